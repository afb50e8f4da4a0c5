package evidence

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/clock"
)

// life is a log in which all acts happened for some hours, with what its writer
// knows.
type life struct {
	*Log
	clock  *clock.Fake
	store  *memory
	signer *Signer
}

func newLife(t testing.TB) *life {
	t.Helper()
	l := &life{clock: clock.NewFake(begin), store: &memory{}, signer: newSigner(t)}
	l.Log = openLog(t, l.store, l.signer, l.clock)
	return l
}

func must[T any](t testing.TB, v T, err error) T {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

var digest = strings.Repeat("0d", 32)

func (l *life) snapshot(t testing.TB, function string) {
	t.Helper()
	n, err := l.Begin(Record{Act: ActSnapshot, Function: function, By: "schedule"})
	must(t, n, err)
	at := l.clock.Now()
	l.clock.Advance(20 * time.Second)
	err = l.End(n, Record{Act: ActSnapshot, Outcome: Done, Snapshot: &Snapshot{
		ID: fmt.Sprint("s", n), RecoveryPoint: at, Started: at, Ended: l.clock.Now(), DurableSeconds: 20, Rows: 1000, BytesRaw: 1e6, BytesNew: 1e4, BytesStored: 4e3,
		Tables: 3, Durable: map[string]time.Time{"onsite": l.clock.Now(), "cloud": l.clock.Now()}, Commit: digest, Schema: digest,
	}})
	must(t, n, err)
}

// proof is one that reached its level.
func goodProof() *Proof {
	p := &Proof{Snapshot: "s1", RecoveryPoint: begin, Site: "cloud", Requested: "L5", Level: "L5", Passed: true, Commit: digest, Seconds: 31}
	for _, level := range levels[:6] {
		p.Checks = append(p.Checks, Check{Name: "of " + level, Level: level, Status: Pass})
	}
	p.Tables = []Table{{Name: "payments.ledger", Rows: 2000, Digest: "aa", FoundRows: 2000, FoundDigest: "aa"}}
	return p
}

func (l *life) proof(t testing.TB, outcome Outcome, p *Proof) uint64 {
	t.Helper()
	n := must1(l.Begin(Record{Act: ActProof, Function: "payments", Proof: &Proof{Snapshot: "s1", Site: "cloud", Requested: "L5"}}))(t)
	l.clock.Advance(time.Minute)
	r := Record{Act: ActProof, Outcome: outcome, Proof: p}
	if outcome != Done {
		r.Error = "it says why"
	}
	must(t, n, l.End(n, r))
	return l.Size() - 1
}

func must1[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T { t.Helper(); return must(t, v, err) }
}

// hours lets time go by with snapshots every five minutes.
func (l *life) hours(t testing.TB, n int) {
	t.Helper()
	for range n * 12 {
		l.snapshot(t, "payments")
		l.clock.Advance(5*time.Minute - 20*time.Second)
	}
}

// note records an event of the log.
func (l *life) note(t testing.TB, r Record) uint64 {
	t.Helper()
	return must1(l.Note(r))(t)
}

func (l *life) day(t testing.TB, function string, first uint64) {
	t.Helper()
	date := l.clock.Now().UTC().Format(time.DateOnly)
	for l.clock.Now().UTC().Format(time.DateOnly) == date {
		l.clock.Advance(time.Hour)
		l.note(t, Record{Act: ActAlive, Alive: &Alive{}})
	}
	next := l.Size() - 1
	d, err := DeriveDay(function, date, first, next, l.Records(first, next))
	must(t, d, err)
	l.note(t, Record{Act: ActDay, Function: function, Day: &d})
}

// full is a life with something of everything, all of it in order.
func full(t testing.TB) *life {
	t.Helper()
	l := newLife(t)
	promise := &Policy{Sites: []string{"cloud"}, Functions: map[string]FunctionObjective{"payments": {RPOSeconds: 300}}}
	var err error
	promise.SHA256, err = promise.Digest()
	must(t, promise, err)
	l.note(t, Record{Act: ActPolicy, Policy: promise})
	l.hours(t, 2)
	l.anchor(t)
	passed := l.proof(t, Done, goodProof())
	failed := goodProof()
	failed.Level, failed.Passed, failed.Difference = "L4", false, true
	failed.Tables[0].FoundDigest = "ab"
	l.proof(t, Different, failed)
	l.proof(t, Failed, nil)
	n := must1(l.Begin(Record{Act: ActDrill, Drill: &Drill{ID: "d1", Kind: "failover", Scenario: "cloud"}}))(t)
	actions := []Action{{ID: "a1", Text: "more disks", Owner: "ops", Due: "2026-12-01"}}
	must(t, n, l.End(n, Record{Act: ActDrill, Outcome: Done, Drill: &Drill{
		ID: "d1", Kind: "failover", Scenario: "cloud", SHA256: digest, Actions: actions,
		Steps: []DrillStep{{ID: "1", Text: "restore", Status: Pass, Seconds: 30, LostSeconds: 100, RPOSeconds: 300, RTOSeconds: 3600, Proof: &passed}},
	}}))
	closing := l.proof(t, Done, goodProof())
	actions[0].Closed = &closing
	l.note(t, Record{Act: ActDrill, Drill: &Drill{ID: "d1", Kind: "failover", Scenario: "cloud", Actions: actions}})
	n = must1(l.Begin(Record{Act: ActControls, Controls: &Controls{}}))(t)
	must(t, n, l.End(n, Record{Act: ActControls, Outcome: Done, Controls: &Controls{Faults: []Fault{{ID: "bit", Planted: "a bit flipped", Expected: "L1", Caught: "L1", Red: true}}}}))
	l.day(t, "payments", 0)
	l.clock.Advance(time.Hour)
	l.note(t, Record{Act: ActAlive, Alive: &Alive{}})
	l.hours(t, 1)
	must1(l.Begin(Record{Act: ActRestore, Function: "payments", Restore: &Restore{Target: "db2"}}))(t)
	l.hours(t, 1)
	return l
}

func (l *life) anchor(t testing.TB) {
	t.Helper()
	at, _, err := OpenCheckpoint(must1(l.Checkpoint())(t), l.PublicKey())
	must(t, at, err)
	l.note(t, Record{Act: ActAnchor, Anchor: &Anchor{To: "mail audit@auditor.example", Size: at.Size, Root: at.Root.String()}})
}

func bundleOf(t testing.TB, l *Log, since, until time.Time) []byte {
	t.Helper()
	var b bytes.Buffer
	if _, err := l.WriteBundle(&b, since, until); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func verify(t testing.TB, bundle []byte, o VerifyOptions) *Verification {
	t.Helper()
	v, err := Verify(t.Context(), bytes.NewReader(bundle), int64(len(bundle)), o)
	if err != nil {
		t.Fatal(err)
	}
	if v.OK != (len(v.Findings) == 0) {
		t.Fatalf("ok: %t with %d findings", v.OK, len(v.Findings))
	}
	return v
}

func good(t testing.TB, v *Verification) {
	t.Helper()
	for _, f := range v.Findings {
		t.Errorf("%s: %s", place(f), f.Text)
	}
}

func place(f Finding) string {
	if f.Record == nil {
		return string(f.Kind)
	}
	return fmt.Sprintf("%s of record %d", f.Kind, *f.Record)
}

func TestWhatIsInOrderIsFoundInOrder(t *testing.T) {
	l := full(t)
	head := must1(l.Checkpoint())(t)
	earlier := must1(l.CheckpointAt(30))(t)
	v := verify(t, bundleOf(t, l.Log, time.Time{}, time.Time{}), VerifyOptions{Keys: []PublicKey{l.PublicKey()}, Heads: [][]byte{head, earlier}})
	good(t, v)
	at, _, err := OpenCheckpoint(head, l.PublicKey())
	if err != nil || v.Root != at.Root.String() || v.To != at.Size || v.From != 0 {
		t.Errorf("%+v, %v", v, err)
	}
	if len(v.Keys) != 1 || !v.Keys[0].Trusted || len(v.Policies) != 1 || len(v.Anchors) != 1 || !v.Anchors[0].Checked || v.Days != 1 || len(v.Open) != 1 {
		t.Errorf("%+v", v)
	}
	if v.Acts["proof done"] != 2 || v.Acts["proof different"] != 1 || v.Acts["proof failed"] != 1 || v.Acts["snapshot done"] != 48 || v.Acts["alive event"] != 15 {
		t.Errorf("%v", v.Acts)
	}
	if v.Silence.Seconds != 3600 || v.Silences != 0 || len(v.Heads) != 2 || !v.Heads[0].Fits || !v.Heads[1].Fits {
		t.Errorf("%+v %d %+v", v.Silence, v.Silences, v.Heads)
	}
}

// TestPeriods checks bundles of each part of a log, with a change of keys before,
// within and after.
func TestPeriods(t *testing.T) {
	l := newLife(t)
	first := l.PublicKey()
	for range 4 {
		l.hours(t, 1)
		next := must1(NewSigner(first.Origin))(t)
		if err := l.Rotate(next, "root"); err != nil {
			t.Fatal(err)
		}
	}
	keys := VerifyOptions{Keys: []PublicKey{first}}
	for from := range 5 {
		for to := range 5 {
			since, until := begin.Add(time.Duration(from)*61*time.Minute), begin.Add(time.Duration(to)*61*time.Minute)
			b := bundleOf(t, l.Log, since, until)
			v := verify(t, b, keys)
			good(t, v)
			if len(v.Keys) != 5 {
				t.Errorf("%d keys", len(v.Keys))
			}
			// The last record before the period and the first behind it show that
			// nothing is left out.
			want, before, behind := 0, 0, 0
			for r, err := range l.Records(0, l.Size()) {
				switch {
				case err != nil:
					t.Fatal(err)
				case r.Time.Before(since):
					before = 1
				case r.Time.Before(until):
					want++
				default:
					behind = 1
				}
			}
			want += before + behind
			if got := int(v.To - v.From); got != want {
				t.Errorf("%v to %v: %d records, want %d", since, until, got, want)
			}
		}
	}
	// Who was given the newest key needs no older one: it signed for all there is.
	for _, since := range []time.Time{{}, begin.Add(90 * time.Minute)} {
		v := verify(t, bundleOf(t, l.Log, since, time.Time{}), VerifyOptions{Keys: []PublicKey{l.PublicKey()}})
		good(t, v)
		for _, k := range v.Keys {
			if !k.Trusted {
				t.Errorf("%+v is not trusted", k)
			}
		}
	}
}

// TestABundleOfLessThanItsPeriod: what lies at the edges is left out.
func TestABundleOfLessThanItsPeriod(t *testing.T) {
	l := full(t)
	keys := VerifyOptions{Keys: []PublicKey{l.PublicKey()}}
	since, until := begin.Add(40*time.Minute), begin.Add(80*time.Minute)
	whole := verify(t, bundleOf(t, l.Log, since, until), keys)
	good(t, whole)
	if len(warnings(whole, WarnShort)) > 0 || !whole.Since.Equal(since) || !whole.Until.Equal(until) {
		t.Errorf("%+v", whole.Warnings)
	}
	less := bundleOf(t, l.Log, since.Add(10*time.Minute), until.Add(-10*time.Minute))
	stretched := func(more ...string) []byte {
		about := string(unzip(t, less, bundleAbout))
		for _, at := range [][2]time.Time{{since.Add(10 * time.Minute), since}, {until.Add(-10 * time.Minute), until}} {
			about = strings.Replace(about, at[0].Format(time.RFC3339), at[1].Format(time.RFC3339), 1)
		}
		return rezip(t, less, map[string][]byte{bundleAbout: []byte(strings.NewReplacer(more...).Replace(about))})
	}
	if v := verify(t, stretched(), keys); !slices.Equal(kinds(v), []FindingKind{FoundPeriod}) || len(v.Findings) != 2 {
		t.Errorf("both ends left out: %+v", v.Findings)
	}
	// So it is when the edges are left open, and when nothing is left.
	about := string(unzip(t, less, bundleAbout))
	for _, line := range strings.Split(about, "\n") {
		if strings.Contains(line, `"since"`) || strings.Contains(line, `"until"`) {
			about = strings.Replace(about, line+"\n", "", 1)
		}
	}
	if v := verify(t, rezip(t, less, map[string][]byte{bundleAbout: []byte(about)}), keys); !slices.Equal(kinds(v), []FindingKind{FoundPeriod}) || len(v.Findings) != 2 {
		t.Errorf("said to be of all: %+v", v.Findings)
	}
	nothing := Checkpoint{Origin: l.Origin(), Root: must1(l.rootAt(0))(t)}
	empty := rezip(t, bundleOf(t, newLife(t).Log, time.Time{}, time.Time{}), map[string][]byte{
		bundleAbout: bytes.Replace(unzip(t, bundleOf(t, l.Log, time.Time{}, time.Time{}), bundleAbout), []byte(fmt.Sprintf(`"to": %d`, l.Size())), []byte(`"to": 0`), 1),
		bundleStart: must1(nothing.sign(l.signer))(t), bundleEnd: must1(nothing.sign(l.signer))(t),
	})
	if v := verify(t, empty, keys); !slices.Equal(kinds(v), []FindingKind{FoundPeriod}) {
		t.Errorf("with nothing in it: %+v", v.Findings)
	}
	// Who says besides that the log ends there is asked to show it.
	v := verify(t, less, keys)
	cut := stretched(fmt.Sprintf(`"size": %d`, v.Size), fmt.Sprintf(`"size": %d`, v.To))
	if v := verify(t, cut, keys); len(v.Findings) != 1 || len(warnings(v, WarnShort)) != 1 {
		t.Errorf("the end left out and the log cut: %+v, %+v", v.Findings, v.Warnings)
	}
}

// TestNothingYet: a bundle of an empty log is in order.
func TestNothingYet(t *testing.T) {
	l := newLife(t)
	good(t, verify(t, bundleOf(t, l.Log, time.Time{}, time.Time{}), VerifyOptions{Keys: []PublicKey{l.PublicKey()}}))
}

// TestAnExerciseAtATableMayTakeLong: nobody has to end it within a day.
func TestAnExerciseAtATableMayTakeLong(t *testing.T) {
	l := newLife(t)
	must1(l.Begin(Record{Act: ActDrill, Drill: &Drill{ID: "d", Kind: "tabletop", Scenario: "fire", SHA256: digest}}))(t)
	l.hours(t, 30)
	v := verify(t, bundleOf(t, l.Log, time.Time{}, time.Time{}), VerifyOptions{Keys: []PublicKey{l.PublicKey()}})
	good(t, v)
	if len(v.Open) != 1 {
		t.Errorf("%+v", v.Open)
	}
}

// TestALongActAtTheEndOfAPart: how it ended is not in the bundle when the log goes
// on, and is when it does not.
func TestALongActAtTheEndOfAPart(t *testing.T) {
	l := newLife(t)
	l.hours(t, 1)
	n := must1(l.Begin(Record{Act: ActRestore, Function: "payments", Restore: &Restore{Target: "db2"}}))(t)
	l.hours(t, 26)
	until := l.clock.Now()
	trust := VerifyOptions{Keys: []PublicKey{l.PublicKey()}}
	if v := verify(t, bundleOf(t, l.Log, time.Time{}, time.Time{}), trust); !slices.Equal(kinds(v), []FindingKind{FoundUnfinished}) {
		t.Errorf("the whole log: %+v", v.Findings)
	}
	l.hours(t, 4)
	must(t, n, l.End(n, Record{Act: ActRestore, Outcome: Done, Restore: &Restore{Target: "db2"}}))
	l.hours(t, 6*24)
	v := verify(t, bundleOf(t, l.Log, time.Time{}, until), trust)
	good(t, v)
	if got := warnings(v, WarnOpen); len(got) != 1 || !strings.Contains(got[0], "the log goes on, and a bundle that reaches behind record") {
		t.Errorf("%q", got)
	}
	v = verify(t, bundleOf(t, l.Log, time.Time{}, time.Time{}), trust)
	good(t, v)
	if got := warnings(v, WarnOpen); len(got) != 0 {
		t.Errorf("the whole log after its end: %q", got)
	}
	// Nothing takes more than a week.
	must1(l.Begin(Record{Act: ActRestore, Function: "payments", Restore: &Restore{Target: "db2"}}))(t)
	l.hours(t, 8*24)
	until = l.clock.Now()
	l.hours(t, 1)
	if v := verify(t, bundleOf(t, l.Log, time.Time{}, until), trust); !slices.Equal(kinds(v), []FindingKind{FoundUnfinished}) {
		t.Errorf("after more than a week: %+v", v.Findings)
	}
}

// TestTheRecordsAtTheBordersAreNotOfThePeriod: what was begun just before it or
// just behind it is no open act of it.
func TestTheRecordsAtTheBordersAreNotOfThePeriod(t *testing.T) {
	l := newLife(t)
	l.hours(t, 1)
	must1(l.Begin(Record{Act: ActProof, Function: "payments", Proof: &Proof{Snapshot: "s1", Site: "cloud", Requested: "L5"}}))(t)
	l.clock.Advance(time.Minute)
	since := l.clock.Now()
	l.clock.Advance(time.Minute)
	l.hours(t, 1)
	until := l.clock.Now()
	l.snapshot(t, "payments")
	v := verify(t, bundleOf(t, l.Log, since, until), VerifyOptions{Keys: []PublicKey{l.PublicKey()}})
	good(t, v)
	if got := warnings(v, WarnOpen); len(got) != 0 || len(v.Open) != 0 {
		t.Errorf("%q", got)
	}
}

// rezip writes a bundle anew with some of its files changed; nil leaves one out.
func rezip(t testing.TB, bundle []byte, change map[string][]byte) []byte {
	t.Helper()
	r, err := zip.NewReader(bytes.NewReader(bundle), int64(len(bundle)))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	put := func(name string, content []byte) {
		f, err := w.Create(name)
		if err == nil {
			_, err = f.Write(content)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range r.File {
		content, changed := change[f.Name]
		if !changed {
			content = unzip(t, bundle, f.Name)
		}
		delete(change, f.Name)
		if content != nil {
			put(f.Name, content)
		}
	}
	for name, content := range change {
		put(name, content)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func unzip(t testing.TB, bundle []byte, name string) []byte {
	t.Helper()
	r, err := zip.NewReader(bytes.NewReader(bundle), int64(len(bundle)))
	if err != nil {
		t.Fatal(err)
	}
	f, err := r.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	content, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func kinds(v *Verification) (out []FindingKind) {
	for _, f := range v.Findings {
		if !slices.Contains(out, f.Kind) {
			out = append(out, f.Kind)
		}
	}
	return out
}
