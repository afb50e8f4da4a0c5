package engine_test

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/engine"
	"github.com/saypro/backupd/internal/evidence"
	"github.com/saypro/backupd/internal/restore"
)

// on returns the records of an act, in order.
func (w *world) on(t *testing.T, act evidence.Act) (out []evidence.Record) {
	t.Helper()
	for r, err := range w.Evidence().Find(act, "", time.Time{}, time.Time{}) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, r)
	}
	return out
}

// pair checks that the last two records of an act are an intent and its result,
// and returns that.
func (w *world) pair(t *testing.T, act evidence.Act) evidence.Record {
	t.Helper()
	records := w.on(t, act)
	if len(records) < 2 {
		t.Fatalf("%d records of %s", len(records), act)
	}
	intent, result := records[len(records)-2], records[len(records)-1]
	if intent.Phase != evidence.Intent || result.Phase != evidence.Result || result.Intent == nil || *result.Intent != intent.Sequence {
		t.Fatalf("%s: %+v and %+v are not an intent and its result", act, intent, result)
	}
	return result
}

func TestEveryActIsOnRecord(t *testing.T) {
	w := newWorld(t, extra{function: ", keep: {last: 1}"})
	ctx := engine.By(t.Context(), "ops")
	first, err := w.Snapshot(ctx, []string{"payments"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	r := w.pair(t, evidence.ActSnapshot)
	if r.Outcome != evidence.Done || r.By != "ops" || r.Function != "payments" || r.Snapshot.ID != first[0].Snapshot || len(r.Snapshot.Durable) != 2 ||
		!r.Snapshot.RecoveryPoint.Equal(first[0].RecoveryPoint) || r.Snapshot.Commit == "" || r.Snapshot.Schema == "" {
		t.Errorf("the snapshot is told as %+v, %+v", r, r.Snapshot)
	}
	policies := w.on(t, evidence.ActPolicy)
	if len(policies) != 1 || policies[0].Policy.Functions["payments"].RPOSeconds != 300 {
		t.Errorf("objectives on record: %+v", policies)
	}
	if _, err := w.Verify(ctx, engine.VerifyRequest{Functions: []string{"payments"}, From: "cloud", Level: "L5"}, nil); err != nil {
		t.Fatal(err)
	}
	r = w.pair(t, evidence.ActProof)
	if r.Outcome != evidence.Done || r.Proof.Level != "L5" || r.Proof.Site != "cloud" || len(r.Proof.Tables) != 1 || r.Proof.Tables[0].Digest == "" ||
		r.Proof.Tables[0].Digest != r.Proof.Tables[0].FoundDigest || r.Proof.Tables[0].FoundRows != 2000 {
		t.Errorf("the proof is told as %+v, %+v", r, r.Proof)
	}
	to := w.db.NewDatabase(t).URL()
	if _, err := w.Restore(ctx, restore.Request{Function: "payments", To: to}, nil); err != nil {
		t.Fatal(err)
	}
	if r = w.pair(t, evidence.ActRestore); r.Outcome != evidence.Done || r.Restore.Rows != 2000 || r.Restore.LostSeconds <= 0 || r.Restore.Target == to || r.Restore.RecoveryPoint == nil {
		t.Errorf("the restore is told as %+v, %+v", r, r.Restore)
	}
	asked := w.on(t, evidence.ActRestore)[0].Restore
	if text, err := json.Marshal(asked); err != nil || strings.Contains(string(text), "0001-01-01") || asked.From != "" {
		t.Errorf("asked for the newest is told as %s, %v", text, err)
	}
	at := w.clock.Now().Add(-time.Hour)
	if _, err := w.Restore(ctx, restore.Request{Function: "payments", To: to, At: at, From: "cloud"}, nil); err == nil {
		t.Fatal("a restore into what is not empty, from before there was anything")
	}
	r = w.pair(t, evidence.ActRestore)
	if asked = w.on(t, evidence.ActRestore)[2].Restore; !asked.At.Equal(at) || asked.From != "cloud" || r.Outcome != evidence.Failed || r.Restore.RecoveryPoint != nil {
		t.Errorf("asked for a moment and a site is told as %+v, then %+v", asked, r.Restore)
	}
	if _, err := w.Snapshot(ctx, []string{"payments"}, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Hold(ctx, engine.HoldRequest{Snapshot: first[0].Snapshot, Reason: "audit"}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Hold(ctx, engine.HoldRequest{Snapshot: first[0].Snapshot}); err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, r := range w.on(t, evidence.ActDeletion) {
		kinds = append(kinds, r.Deletion.Kind)
	}
	if !slices.Equal(kinds, []string{"hold", "release"}) {
		t.Errorf("on record: %v", kinds)
	}
	if _, err := w.Prune(ctx, engine.PruneRequest{}, nil); err != nil {
		t.Fatal(err)
	}
	if r = w.pair(t, evidence.ActDeletion); r.Deletion.Kind != "prune" {
		t.Errorf("the prune is told as %+v", r.Deletion)
	}
	if _, err := w.Sweep(ctx, engine.SweepRequest{}, nil); err != nil {
		t.Fatal(err)
	}
	if r = w.pair(t, evidence.ActDeletion); r.Deletion.Kind != "sweep" || r.Outcome != evidence.Done {
		t.Errorf("the sweep is told as %+v", r.Deletion)
	}
	if _, err := w.RotateKey(ctx, nil); err != nil {
		t.Fatal(err)
	}
	if r = w.pair(t, evidence.ActKey); r.Key.Operation != "rotate" || r.Key.Key == "" {
		t.Errorf("the rotation is told as %+v", r.Key)
	}
	if open, err := w.Evidence().Unfinished(); err != nil || len(open) > 0 {
		t.Errorf("without a result: %v, %v", open, err)
	}
}

// What fails is told like what goes well, and a site that takes a recovery
// point later is told when it has.
func TestFailuresAndLateSitesAreOnRecord(t *testing.T) {
	w := newWorld(t, extra{})
	w.links["cloud"].Cut()
	if _, err := w.Snapshot(t.Context(), []string{"payments"}, nil); err == nil {
		t.Fatal("nothing is said of the site that is away")
	}
	r := w.pair(t, evidence.ActSnapshot)
	if _, there := r.Snapshot.Durable["cloud"]; there || r.Outcome != evidence.Degraded || len(r.Snapshot.Durable) != 1 {
		t.Errorf("with a site away: %+v, %+v", r, r.Snapshot)
	}
	w.links["cloud"].Restore()
	if _, err := w.Sync(t.Context(), engine.SyncRequest{}, nil); err != nil {
		t.Fatal(err)
	}
	w.shut(t)
	w.open(t)
	late := w.on(t, evidence.ActDurable)
	if len(late) != 1 || late[0].Durable.Site != "cloud" || late[0].Durable.Snapshot != r.Snapshot.ID || late[0].Durable.At.Before(r.Snapshot.Durable["onsite"]) {
		t.Errorf("of the late site: %+v", late)
	}
	w.db.Exec(t, "ALTER SCHEMA payments RENAME TO elsewhere")
	if _, err := w.Snapshot(t.Context(), []string{"payments"}, nil); err == nil {
		t.Fatal("nothing is said of a schema that is not there")
	}
	if r := w.pair(t, evidence.ActSnapshot); r.Outcome != evidence.Failed || r.Error == "" || r.Snapshot != nil {
		t.Errorf("of the failure: %+v", r)
	}
}

// lostHost gives the world an empty host that has nothing but the
// configuration and the identity, and the key of the evidence unless that is
// lost, too.
func (w *world) lostHost(t *testing.T, keyLost bool) {
	t.Helper()
	w.shut(t)
	w.Engine = nil
	w.cfg.DataDir += "-anew"
	if keyLost {
		if err := os.Remove(w.cfg.Evidence.KeyFile); err != nil {
			t.Fatal(err)
		}
	}
}

// The evidence goes on where it ended, from any one site, and a key that was
// lost is seen.
func TestEvidenceOutlivesItsHost(t *testing.T) {
	for name, keyLost := range map[string]bool{"with its key": false, "without its key": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, extra{})
			if _, err := w.Snapshot(t.Context(), []string{"payments"}, nil); err != nil {
				t.Fatal(err)
			}
			w.shut(t)
			w.open(t) // the evidence is queued on closing, and sent by the next
			if _, err := w.Sync(t.Context(), engine.SyncRequest{}, nil); err != nil {
				t.Fatal(err)
			}
			before, key := w.Evidence().Size(), w.Evidence().PublicKey()
			w.lostHost(t, keyLost)
			out, err := engine.Rebuild(t.Context(), w.cfg, "cloud", w.options(), nil)
			if err != nil || out.Records < before {
				t.Fatalf("rebuilt: %+v, %v; there were %d records", out, err, before)
			}
			w.open(t)
			defer w.shut(t)
			if got := w.Evidence(); got.Origin() != key.Origin || (got.PublicKey() == key) == keyLost {
				t.Errorf("it goes on as %v, before %v", got.PublicKey(), key)
			}
			if _, err := w.Snapshot(t.Context(), []string{"payments"}, nil); err != nil {
				t.Fatal(err)
			}
			if r := w.pair(t, evidence.ActSnapshot); r.Sequence < before || r.Outcome != evidence.Done {
				t.Errorf("after the loss: %+v", r)
			}
		})
	}
}

// What is done with keys is on record before and after: those of the
// repository, and that of the record itself, whose intent and result are signed
// by two keys.
func TestEveryKeyActIsOnRecord(t *testing.T) {
	w := newWorld(t, extra{})
	r := w.pair(t, evidence.ActKey)
	if r.Key.Operation != "init" || r.Outcome != evidence.Done || len(r.Key.Recipients) != 2 || r.Key.Key == "" || !slices.Equal(r.Key.Sites, []string{"cloud", "onsite"}) {
		t.Errorf("the init is told as %+v, %+v", r, r.Key)
	}
	first, size := w.Evidence().PublicKey(), w.Evidence().Size()
	w.shut(t)
	if _, err := engine.Init(t.Context(), w.cfg, w.options()); err != nil {
		t.Fatal(err)
	}
	w.open(t)
	if got := w.Evidence().Size(); got != size {
		t.Errorf("an init that made nothing wrote %d records", got-size)
	}
	ctx := engine.By(t.Context(), "ops")
	if _, err := w.RotateEvidenceKey(ctx); err != nil {
		t.Fatal(err)
	}
	last := w.on(t, evidence.ActKey)
	last = last[len(last)-3:]
	if last[0].Phase != evidence.Intent || last[0].Key.Operation != "rotate-sign" || last[0].By != "ops" || last[1].Key.Operation != "sign" ||
		last[2].Phase != evidence.Result || last[2].Outcome != evidence.Done || *last[2].Intent != last[0].Sequence || last[2].Key.Public != last[1].Key.Public {
		t.Errorf("the rotation is told as %+v", last)
	}
	// A crash when the key was turned, and its result not written.
	if _, err := w.Evidence().Begin(evidence.Record{Act: evidence.ActKey, Key: &evidence.Key{Operation: "rotate-sign"}}); err != nil {
		t.Fatal(err)
	}
	if err := w.Evidence().RotateKeyFile(w.cfg.Evidence.KeyFile, "ops"); err != nil {
		t.Fatal(err)
	}
	w.again(t)
	if _, err := w.Evidence().EndUnfinished(); err != nil {
		t.Fatal(err)
	}
	v := w.check(t, first.String())
	if !v.OK || v.Acts["key done"] != 2 || v.Acts["key cut short"] != 1 || len(v.Keys) != 3 {
		t.Errorf("%+v, %v, %+v", v.Findings, v.Acts, v.Keys)
	}
}

// A host that was lost begins no log of its own by another init: that which the
// sites keep is taken over.
func TestInitOfALostHostBeginsNoLog(t *testing.T) {
	w := newWorld(t, extra{})
	w.take(t, "payments")
	w.again(t) // the evidence is queued on closing
	w.sync(t)
	w.lostHost(t, false)
	if _, err := engine.Init(t.Context(), w.cfg, w.options()); err != nil {
		t.Fatal(err)
	}
	out, err := engine.Rebuild(t.Context(), w.cfg, "cloud", w.options(), nil)
	if err != nil || out.Records == 0 {
		t.Fatalf("rebuilt: %+v, %v", out, err)
	}
	w.open(t)
	if r := w.on(t, evidence.ActKey); len(r) != 3 {
		t.Errorf("%d records of keys, there were 3", len(r))
	}
}
