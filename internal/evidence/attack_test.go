package evidence

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// linesOf returns the envelopes of a bundle whose records are in one file.
func linesOf(t testing.TB, bundle []byte) [][]byte {
	t.Helper()
	text := unzip(t, bundle, recordsFile(0))
	return bytes.Split(bytes.TrimSuffix(text, []byte("\n")), []byte("\n"))
}

// with returns a bundle with other envelopes, and with what it says of itself in
// keeping.
func with(t testing.TB, bundle []byte, envelopes [][]byte) []byte {
	t.Helper()
	old := string(unzip(t, bundle, bundleAbout))
	n := len(linesOf(t, bundle))
	about := strings.NewReplacer(`"to": `+strconv.Itoa(n), `"to": `+strconv.Itoa(len(envelopes)), `"size": `+strconv.Itoa(n), `"size": `+strconv.Itoa(len(envelopes))).Replace(old)
	return rezip(t, bundle, map[string][]byte{
		recordsFile(0): append(bytes.Join(envelopes, []byte("\n")), '\n'),
		bundleAbout:    []byte(about),
	})
}

// forge is a log as somebody makes it who has the key and may write what they
// like: nothing is checked, and all hashes and signatures are right.
func forge(t testing.TB, l *life, records []Record) *Log {
	t.Helper()
	out := &Log{store: &memory{}, clock: l.clock, program: "test", open: map[uint64]opened{}, now: empty(l.signer)}
	b := builder{reader: out.store.EvidenceHashes, root: out.now.root}
	for i := range records {
		payload := must1(encodeStatement(&records[i], l.Origin(), b.root))(t)
		sealed := must1(seal(payload, l.signer))(t)
		if err := b.add(&records[i], sealed); err != nil {
			t.Fatal(err)
		}
	}
	head := must1(Checkpoint{Origin: l.Origin(), Size: b.size, Root: b.root}.sign(l.signer))(t)
	if err := out.store.AppendEvidence(head, b.entries); err != nil {
		t.Fatal(err)
	}
	out.now = state{signer: l.signer, size: b.size, root: b.root, last: records[len(records)-1].Time, head: head}
	return out
}

// TestChangedBundles: whoever has a bundle and not the key changes it.
func TestChangedBundles(t *testing.T) {
	l := full(t)
	other := newLife(t)
	other.hours(t, 1)
	thief := must1(NewSigner(l.Origin()))(t)
	bundle := bundleOf(t, l.Log, time.Time{}, time.Time{})
	all := linesOf(t, bundle)
	trust := VerifyOptions{Keys: []PublicKey{l.PublicKey()}}
	edited := func(n int, old, with string) [][]byte {
		e := must1(unseal(all[n]))(t)
		changed := bytes.Replace(e.payload, []byte(old), []byte(with), 1)
		if bytes.Equal(changed, e.payload) {
			t.Fatalf("no %q in record %d", old, n)
		}
		fake := must1(seal(changed, thief))(t)
		fake = bytes.Replace(fake, []byte(thief.Public().ID), []byte(l.PublicKey().ID), 1)
		f := must1(unseal(fake))(t)
		sig := bytes.Replace(fake, []byte(base64Of(f.signature)), []byte(base64Of(e.signature)), 1)
		return slices.Concat(all[:n], [][]byte{sig}, all[n+1:])
	}
	resigned := func(n int) []byte { return must1(seal(must1(unseal(all[n]))(t).payload, thief))(t) }
	for name, attack := range map[string]struct {
		bundle []byte
		want   []FindingKind
	}{
		"a figure is edited":             {with(t, bundle, edited(9, `"rows":1000`, `"rows":9999`)), []FindingKind{FoundSignature, FoundRoot}},
		"a failure becomes a success":    {with(t, bundle, edited(indexOf(t, l, Different), `"difference"`, `"diff_none"`)), []FindingKind{FoundForm, FoundRoot}},
		"a record is removed":            {with(t, bundle, slices.Concat(all[:20], all[21:])), []FindingKind{FoundSequence, FoundRoot}},
		"the last record is removed":     {with(t, bundle, all[:len(all)-1]), []FindingKind{FoundRoot}},
		"all but the first are removed":  {with(t, bundle, all[:1]), []FindingKind{FoundRoot}},
		"two records change places":      {with(t, bundle, slices.Concat(all[:20], all[21:22], all[20:21], all[22:])), []FindingKind{FoundSequence, FoundRoot}},
		"a record is put in twice":       {with(t, bundle, slices.Concat(all[:20], all[19:])), []FindingKind{FoundSequence, FoundRoot}},
		"one of another log is put in":   {with(t, bundle, slices.Concat(all[:20], [][]byte{collect(t, other.Envelopes(5, 6))[0]}, all[20:])), []FindingKind{FoundSequence, FoundSignature, FoundSubject, FoundRoot}},
		"one is signed by another key":   {with(t, bundle, slices.Concat(all[:20], [][]byte{resigned(20)}, all[21:])), []FindingKind{FoundSignature, FoundRoot}},
		"the end is another's":           {rezip(t, bundle, map[string][]byte{bundleEnd: must1(other.Checkpoint())(t)}), []FindingKind{FoundRoot}},
		"the end is of an earlier time":  {rezip(t, bundle, map[string][]byte{bundleEnd: must1(l.CheckpointAt(40))(t)}), []FindingKind{FoundRoot}},
		"the end is signed by a thief":   {rezip(t, bundle, map[string][]byte{bundleEnd: must1(Checkpoint{Origin: l.Origin(), Size: l.Size(), Root: l.state().root}.sign(thief))(t)}), []FindingKind{FoundRoot}},
		"the start is of another time":   {rezip(t, bundle, map[string][]byte{bundleStart: must1(l.CheckpointAt(40))(t)}), []FindingKind{FoundRoot}},
		"a line is no record":            {with(t, bundle, slices.Concat(all[:20], [][]byte{[]byte("{}")}, all[21:])), []FindingKind{FoundForm, FoundRoot}},
		"the key was given of another":   {bundleOf(t, other.Log, time.Time{}, time.Time{}), []FindingKind{FoundKey}},
		"all is signed by another key":   {bundleOf(t, forge(t, &life{Log: l.Log, clock: l.clock, signer: thief}, collect(t, l.Records(0, l.Size()))), time.Time{}, time.Time{}), []FindingKind{FoundSignature, FoundRoot}},
		"the hashes before are made up":  {rezip(t, bundleOf(t, l.Log, begin.Add(time.Hour), time.Time{}), map[string][]byte{bundleTree: treeOf(t, l, begin.Add(time.Hour), Hash{1})}), []FindingKind{FoundRoot}},
		"what follows is another's tree": {rezip(t, bundleOf(t, l.Log, begin.Add(time.Hour), time.Time{}), map[string][]byte{bundleStart: must1(l.CheckpointAt(7))(t)}), []FindingKind{FoundRoot}},
	} {
		v := verify(t, attack.bundle, trust)
		for _, kind := range attack.want {
			if !slices.Contains(kinds(v), kind) {
				t.Errorf("%s: no finding of %s among %v", name, kind, kinds(v))
			}
		}
		if v.OK {
			t.Errorf("%s: nothing was found", name)
		}
	}
	good(t, verify(t, with(t, bundle, all), trust)) // the machinery itself changes nothing
}

// indexOf returns the place of the first record that ended so.
func indexOf(t testing.TB, l *life, ended Outcome) int {
	t.Helper()
	return slices.IndexFunc(collect(t, l.Records(0, l.Size())), func(r Record) bool { return r.Outcome == ended })
}

// treeOf is the tree part of a bundle with its first hash changed.
func treeOf(t testing.TB, l *life, since time.Time, h Hash) []byte {
	t.Helper()
	var hashes bundleHashes
	if err := strictJSON(unzip(t, bundleOf(t, l.Log, since, time.Time{}), bundleTree), &hashes); err != nil {
		t.Fatal(err)
	}
	hashes.Before[0] = h
	return must1(jsonOf(hashes))(t)
}

// TestForgedRecords: whoever has the key writes what is not so, with right
// signatures and hashes all over.
func TestForgedRecords(t *testing.T) {
	l := full(t)
	all := collect(t, l.Records(0, l.Size()))
	trust := VerifyOptions{Keys: []PublicKey{l.PublicKey()}}
	find := func(records []Record, is func(r Record) bool) *Record {
		i := slices.IndexFunc(records, is)
		if i < 0 {
			t.Fatal("there is no such record")
		}
		return &records[i]
	}
	proofThat := func(o Outcome) func(Record) bool {
		return func(r Record) bool { return r.Proof != nil && r.Phase == Result && r.Outcome == o }
	}
	for name, attack := range map[string]struct {
		change func(r []Record) []Record
		want   FindingKind
	}{
		"nothing is changed":     {func(r []Record) []Record { return r }, ""},
		"a record is back-dated": {func(r []Record) []Record { r[50].Time = r[50].Time.Add(-3 * time.Hour); return r }, FoundTime},
		"a sequence is skipped": {func(r []Record) []Record {
			for i := 60; i < len(r); i++ {
				r[i].Sequence++
			}
			return r
		}, FoundSequence},
		"a failed snapshot is never ended": {func(r []Record) []Record {
			r[21] = Record{Sequence: 21, Time: r[21].Time, Act: ActAlive, Phase: Event, Alive: &Alive{SinceSequence: 20}}
			return r
		}, FoundUnfinished},
		"a restore is never ended": {func(r []Record) []Record {
			last := r[len(r)-1]
			return append(r, Record{Sequence: last.Sequence + 1, Time: last.Time.Add(25 * time.Hour), Act: ActAlive, Phase: Event, Alive: &Alive{SinceSequence: last.Sequence}})
		}, FoundUnfinished},
		"a result without an act": {func(r []Record) []Record { n := uint64(0); r[21].Intent = &n; return r }, FoundResult},
		"a result of another act": {func(r []Record) []Record {
			*find(r, proofThat(Done)).Intent = find(r, func(r Record) bool { return r.Restore != nil }).Sequence
			return r
		}, FoundResult},
		"a difference passes": {func(r []Record) []Record {
			p := find(r, proofThat(Different))
			p.Outcome, p.Error, p.Proof.Passed, p.Proof.Difference, p.Proof.Level = Done, "", true, false, "L5"
			return r
		}, FoundVerdict},
		"a failed check passes": {func(r []Record) []Record {
			find(r, proofThat(Done)).Proof.Checks[3].Status = Fail
			return r
		}, FoundVerdict},
		"a level without checks": {func(r []Record) []Record {
			p := find(r, proofThat(Done)).Proof
			p.Checks = p.Checks[:4]
			return r
		}, FoundVerdict},
		"a higher level": {func(r []Record) []Record { find(r, proofThat(Done)).Proof.Level = "L7"; return r }, FoundVerdict},
		"an inconclusive check passes": {func(r []Record) []Record {
			find(r, proofThat(Done)).Proof.Checks[5].Status = Inconclusive
			return r
		}, FoundVerdict},
		"a skip without a reason": {func(r []Record) []Record {
			p := find(r, proofThat(Done)).Proof
			p.Checks = append(p.Checks, Check{Name: "sum", Level: "L5", Status: Skipped})
			return r
		}, FoundVerdict},
		"a comparison that does not hold": {func(r []Record) []Record {
			p := find(r, proofThat(Done)).Proof
			p.Checks = append(p.Checks, Check{Name: "sum", Level: "L5", Status: Pass, Operator: ">=", Expected: "10", Observed: "9.5"})
			return r
		}, FoundVerdict},
		"a table with fewer rows": {func(r []Record) []Record { find(r, proofThat(Done)).Proof.Tables[0].FoundRows--; return r }, FoundVerdict},
		"a fault caught elsewhere is red": {func(r []Record) []Record {
			find(r, func(r Record) bool { return r.Controls != nil && r.Phase == Result }).Controls.Faults[0].Caught = "L5"
			return r
		}, FoundVerdict},
		"a round without faults": {func(r []Record) []Record {
			find(r, func(r Record) bool { return r.Controls != nil && r.Phase == Result }).Controls.Faults = nil
			return r
		}, FoundVerdict},
		"a step that took too long": {func(r []Record) []Record {
			find(r, func(r Record) bool { return r.Drill != nil && r.Phase == Result }).Drill.Steps[0].Seconds = 4000
			return r
		}, FoundVerdict},
		"people who took too long": {func(r []Record) []Record {
			d := find(r, func(r Record) bool { return r.Drill != nil && r.Phase == Result }).Drill
			d.Steps[0].Kind = stepRestore
			d.Steps = append(d.Steps, DrillStep{ID: "2", Kind: stepPeople, Status: Pass, Seconds: 3590})
			return r
		}, FoundVerdict},
		"a site that was not kept out": {func(r []Record) []Record {
			find(r, func(r Record) bool { return r.Drill != nil && r.Phase == Result }).Drill.Refused = []Refusal{{Site: "onsite", Attempts: 3, Passed: 1}}
			return r
		}, FoundVerdict},
		"an exercise with an open question": {func(r []Record) []Record {
			d := find(r, func(r Record) bool { return r.Drill != nil && r.Phase == Result }).Drill
			d.Steps = append(d.Steps, DrillStep{ID: "2", Kind: "inject", Status: Skipped})
			return r
		}, FoundVerdict},
		"a step that lost too much": {func(r []Record) []Record {
			find(r, func(r Record) bool { return r.Drill != nil && r.Phase == Result }).Drill.Steps[0].LostSeconds = 301
			return r
		}, FoundVerdict},
		"a step on a proof that failed": {func(r []Record) []Record {
			failed := find(r, proofThat(Different)).Sequence
			find(r, func(r Record) bool { return r.Drill != nil && r.Phase == Result }).Drill.Steps[0].Proof = &failed
			return r
		}, FoundVerdict},
		"an action closed by what was before it": {func(r []Record) []Record {
			early := find(r, proofThat(Done)).Sequence
			find(r, func(r Record) bool { return r.Drill != nil && r.Phase == Event }).Drill.Actions[0].Closed = &early
			return r
		}, FoundVerdict},
		"a day that says less": {func(r []Record) []Record {
			find(r, func(r Record) bool { return r.Day != nil }).Day.NotDone = 0
			return r
		}, FoundDay},
		"a day that is not": {func(r []Record) []Record {
			find(r, func(r Record) bool { return r.Day != nil }).Day.Date = "2026-10-31"
			return r
		}, FoundDay},
		"a day of a run that is not over": {func(r []Record) []Record {
			d := find(r, func(r Record) bool { return r.Day != nil })
			d.Day.Next = d.Sequence
			return r
		}, FoundDay},
		"data of before the run": {func(r []Record) []Record {
			r[21].Snapshot.RecoveryPoint = r[20].Time.Add(-time.Hour)
			return r
		}, FoundPoint},
		"data of after the run": {func(r []Record) []Record {
			r[21].Snapshot.RecoveryPoint = r[21].Time.Add(time.Hour)
			return r
		}, FoundPoint},
		"a site that held it before there was any": {func(r []Record) []Record {
			r[21].Snapshot.Durable["cloud"] = r[20].Time.Add(-time.Hour)
			return r
		}, FoundPoint},
		"a site that took it later before there was any": {func(r []Record) []Record {
			return append(r, Record{
				Sequence: uint64(len(r)), Time: r[len(r)-1].Time, Act: ActDurable, Phase: Event, Function: "payments",
				Durable: &Durable{Snapshot: "s20", RecoveryPoint: r[20].Time, Site: "third", At: r[20].Time.Add(-time.Hour)},
			})
		}, FoundPoint},
		"a promise that was another": {func(r []Record) []Record {
			find(r, func(r Record) bool { return r.Policy != nil }).Policy.Functions["payments"] = FunctionObjective{RPOSeconds: 86400}
			return r
		}, FoundVerdict},
		"an anchor that nobody was given": {func(r []Record) []Record {
			find(r, func(r Record) bool { return r.Anchor != nil }).Anchor.Root = Hash{1}.String()
			return r
		}, FoundAnchor},
		"an anchor of later": {func(r []Record) []Record {
			find(r, func(r Record) bool { return r.Anchor != nil }).Anchor.Size = uint64(len(r))
			return r
		}, FoundAnchor},
		"alive since another record": {func(r []Record) []Record {
			find(r, func(r Record) bool { return r.Alive != nil }).Alive.SinceSequence = 3
			return r
		}, FoundSequence},
		"an outcome that is not": {func(r []Record) []Record { r[21].Outcome = "fine"; return r }, FoundForm},
		"a body too many":        {func(r []Record) []Record { r[20].Alive = &Alive{}; return r }, FoundForm},
	} {
		t.Run(name, func(t *testing.T) {
			v := verify(t, bundleOf(t, forge(t, l, attack.change(copied(t, all))), time.Time{}, time.Time{}), trust)
			switch {
			case attack.want == "":
				good(t, v)
			case !slices.Contains(kinds(v), attack.want):
				t.Errorf("no finding of %s among %+v", attack.want, v.Findings)
			}
		})
	}
}

// sumUp puts summaries of the day that is over where the service puts them, but
// for that of a function that is left out, and returns where the next one begins.
func (l *life) sumUp(t testing.TB, from uint64, leftOut string) uint64 {
	t.Helper()
	next, date := from, ""
	for r := range each2(t, l.Records(from, l.Size())) {
		if of := r.Time.Format(time.DateOnly); date == "" || of == date {
			next, date = r.Sequence+1, of
		}
	}
	for _, function := range []string{"accounts", "payments"} {
		if function == leftOut {
			continue
		}
		d := must1(DeriveDay(function, date, from, next, l.Records(from, next)))(t)
		l.note(t, Record{Act: ActDay, Function: function, Day: &d})
	}
	return next
}

// summedUp is a log of whole days of two functions, with a run over each midnight. Each
// day is summed up after it, but for the functions that are left out, by day.
func summedUp(t testing.TB, n int, leftOut map[int]string) *life {
	t.Helper()
	l := newLife(t)
	l.promise(t, Policy{Functions: map[string]FunctionObjective{"payments": {}, "accounts": {}}})
	from := uint64(0)
	for day := range n {
		midnight := l.clock.Now().Truncate(24 * time.Hour).Add(24 * time.Hour)
		for l.clock.Now().Before(midnight.Add(-time.Hour)) {
			l.snapshot(t, "payments")
			l.snapshot(t, "accounts")
			l.clock.Advance(50 * time.Minute)
		}
		l.clock.Advance(midnight.Add(-5 * time.Second).Sub(l.clock.Now()))
		l.snapshot(t, "payments")
		from = l.sumUp(t, from, leftOut[day])
	}
	l.hours(t, 2)
	return l
}

func TestDaysWithoutASummary(t *testing.T) {
	for name, try := range map[string]struct {
		leftOut map[int]string
		found   int
	}{
		"each day has one":                     {nil, 0},
		"one in the middle is left out":        {map[int]string{1: "payments"}, 1},
		"the last of one function is left out": {map[int]string{2: "accounts"}, 1},
		// On the first day it was only just promised.
		"all of one function are left out":        {map[int]string{0: "payments", 1: "payments", 2: "payments"}, 2},
		"a later day has one, the two before not": {map[int]string{0: "accounts", 1: "accounts"}, 2},
	} {
		l := summedUp(t, 3, try.leftOut)
		v := verify(t, bundleOf(t, l.Log, time.Time{}, time.Time{}), VerifyOptions{Keys: []PublicKey{l.PublicKey()}})
		if len(v.Findings) != try.found || try.found > 0 && !slices.Equal(kinds(v), []FindingKind{FoundDay}) {
			t.Errorf("%s: %+v", name, v.Findings)
		}
	}
	// A period that begins within a day knows nothing of its beginning.
	l := summedUp(t, 3, nil)
	for hours := range 60 {
		good(t, verify(t, bundleOf(t, l.Log, begin.Add(time.Duration(hours)*time.Hour), time.Time{}), VerifyOptions{Keys: []PublicKey{l.PublicKey()}}))
	}
	// Nobody sums up what is no longer promised, nor what was only just over.
	l = summedUp(t, 3, map[int]string{2: "accounts"})
	l.promise(t, Policy{Functions: map[string]FunctionObjective{"payments": {}}})
	l.hours(t, 2)
	good(t, verify(t, bundleOf(t, l.Log, time.Time{}, time.Time{}), VerifyOptions{Keys: []PublicKey{l.PublicKey()}}))
}

func TestAProofOfWhatWasNeverMade(t *testing.T) {
	l := newLife(t)
	l.hours(t, 1)
	p := goodProof()
	p.Snapshot, p.RecoveryPoint = "unknown", l.clock.Now()
	l.proof(t, Done, p)
	keys := VerifyOptions{Keys: []PublicKey{l.PublicKey()}}
	v := verify(t, bundleOf(t, l.Log, time.Time{}, time.Time{}), keys)
	good(t, v)
	if got := warnings(v, WarnUnmade); len(got) != 1 || !strings.Contains(got[0], "snapshot unknown") {
		t.Errorf("%+v", v.Warnings)
	}
	// What was made before the period is not known.
	if v := verify(t, bundleOf(t, l.Log, begin.Add(time.Minute), time.Time{}), keys); len(warnings(v, WarnUnmade)) != 0 {
		t.Errorf("%+v", v.Warnings)
	}
}

// TestHonestPoints: what looks like a forgery and is none.
func TestHonestPoints(t *testing.T) {
	stranger := func(l *life, at time.Time) {
		p := goodProof()
		p.Snapshot, p.RecoveryPoint = "unknown", at
		l.proof(t, Done, p)
	}
	for name, live := range map[string]func(l *life){
		"a point that is older than the log": func(l *life) { stranger(l, begin.Add(-time.Hour)) },
		"one of a run that was cut short": func(l *life) {
			n := must1(l.Begin(Record{Act: ActSnapshot, Function: "payments"}))(t)
			at := l.clock.Now()
			l.clock.Advance(20 * time.Minute)
			must(t, n, l.End(n, Record{Act: ActSnapshot, Outcome: CutShort, Error: "the program ended before this did"}))
			stranger(l, at)
		},
		"one of a run that goes on": func(l *life) {
			must1(l.Begin(Record{Act: ActSnapshot, Function: "payments"}))(t)
			stranger(l, l.clock.Now())
		},
		"one that was made before the host was lost": func(l *life) {
			l.clock.Advance(20 * time.Minute)
			at := l.clock.Now()
			l.clock.Advance(20 * time.Minute)
			l.note(t, Record{Act: ActAlive, Alive: &Alive{TakenFrom: "cloud"}})
			stranger(l, at)
		},
		"a clock that was set back during a run": func(l *life) {
			n := must1(l.Begin(Record{Act: ActSnapshot, Function: "payments"}))(t)
			l.clock.Advance(-30 * time.Minute)
			at := l.clock.Now()
			l.clock.Advance(time.Minute)
			must(t, n, l.End(n, Record{Act: ActSnapshot, Outcome: Done, Snapshot: &Snapshot{
				ID: "back", RecoveryPoint: at, Started: at, Ended: at, Commit: digest, Durable: map[string]time.Time{"cloud": at},
			}}))
		},
		"a run that could be put on record only when it was over": func(l *life) {
			at := l.clock.Now()
			l.clock.Advance(30 * time.Minute)
			n := must1(l.Begin(Record{Act: ActSnapshot, Function: "payments", Late: "the disk was full"}))(t)
			must(t, n, l.End(n, Record{Act: ActSnapshot, Outcome: Done, Snapshot: &Snapshot{
				ID: "late", RecoveryPoint: at, Started: at, Ended: at, Commit: digest, Durable: map[string]time.Time{"cloud": at},
			}}))
		},
		"a clock that was set back before it": func(l *life) {
			l.clock.Advance(-30 * time.Minute)
			l.hours(t, 1)
		},
		"a clock that jumps ahead during a run": func(l *life) {
			n := must1(l.Begin(Record{Act: ActSnapshot, Function: "payments"}))(t)
			at := l.clock.Now()
			l.clock.Advance(30 * time.Hour)
			must(t, n, l.End(n, Record{Act: ActSnapshot, Outcome: Done, Snapshot: &Snapshot{
				ID: "ahead", RecoveryPoint: at, Started: at, Ended: l.clock.Now(), Commit: digest, Durable: map[string]time.Time{"cloud": l.clock.Now()},
			}}))
		},
	} {
		l := newLife(t)
		l.hours(t, 1)
		live(l)
		l.hours(t, 1)
		v := verify(t, bundleOf(t, l.Log, time.Time{}, time.Time{}), VerifyOptions{Keys: []PublicKey{l.PublicKey()}})
		for _, f := range v.Findings {
			// Another run is begun before the one that goes on has ended.
			if name != "one of a run that goes on" || f.Kind != FoundUnfinished {
				t.Errorf("%s: %s: %s", name, f.Kind, f.Text)
			}
		}
		if got := warnings(v, WarnUnmade); len(got) != 0 {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// copied copies records with all that hangs on them.
func copied(t testing.TB, records []Record) (out []Record) {
	t.Helper()
	if err := strictJSON(must1(jsonOf(records))(t), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestWhatOnlyAnAnchorCatches: a log cut back to an earlier head, and one
// written anew with the stolen key, are whole in themselves. A checkpoint that
// the auditor was given before catches both.
func TestWhatOnlyAnAnchorCatches(t *testing.T) {
	l := full(t)
	records := collect(t, l.Records(0, l.Size()))
	anchor := must1(l.Checkpoint())(t)
	early := must1(l.CheckpointAt(30))(t)
	trust := VerifyOptions{Keys: []PublicKey{l.PublicKey()}}
	anchored := VerifyOptions{Keys: trust.Keys, Heads: [][]byte{anchor}}

	cut := forge(t, l, copied(t, records[:len(records)-30]))
	good(t, verify(t, bundleOf(t, cut, time.Time{}, time.Time{}), trust)) // not caught
	if v := verify(t, bundleOf(t, cut, time.Time{}, time.Time{}), anchored); !slices.Equal(kinds(v), []FindingKind{FoundHead}) {
		t.Errorf("truncated: %+v", v.Findings)
	}

	rewritten := copied(t, records)
	i := indexOf(t, l, Different)
	p := goodProof()
	rewritten[i].Outcome, rewritten[i].Error, rewritten[i].Proof = Done, "", p
	day := slices.IndexFunc(rewritten, func(r Record) bool { return r.Day != nil })
	d, err := DeriveDay("payments", rewritten[day].Day.Date, 0, rewritten[day].Day.Next, each(rewritten[:rewritten[day].Day.Next]))
	must(t, d, err)
	rewritten[day].Day = &d
	fork := forge(t, l, rewritten)
	good(t, verify(t, bundleOf(t, fork, time.Time{}, time.Time{}), trust)) // not caught
	v := verify(t, bundleOf(t, fork, time.Time{}, time.Time{}), VerifyOptions{Keys: trust.Keys, Heads: [][]byte{anchor, early}})
	if !slices.Equal(kinds(v), []FindingKind{FoundHead}) || v.Heads[0].Fits || !v.Heads[1].Fits {
		t.Errorf("forked: %+v, %+v", v.Findings, v.Heads)
	}

	// Within the log, the record of an anchor holds the root of then.
	at := slices.IndexFunc(rewritten, func(r Record) bool { return r.Anchor != nil })
	rewritten[3].Snapshot, rewritten[3].By = nil, "nobody"
	if v := verify(t, bundleOf(t, forge(t, l, rewritten), time.Time{}, time.Time{}), trust); !slices.Contains(kinds(v), FoundAnchor) {
		t.Errorf("changed before the anchor at %d: %+v", at, v.Findings)
	}
	stranger := must1(NewSigner(l.Origin()))(t)
	fake := must1(Checkpoint{Origin: l.Origin(), Size: 12}.sign(stranger))(t)
	if v := verify(t, bundleOf(t, l.Log, time.Time{}, time.Time{}), VerifyOptions{Keys: trust.Keys, Heads: [][]byte{fake}}); !slices.Equal(kinds(v), []FindingKind{FoundHead}) {
		t.Errorf("a checkpoint of a stranger's: %+v", v.Findings)
	}
}

func TestHeadsOutsideOfThePeriodAreSaid(t *testing.T) {
	l := full(t)
	trust := VerifyOptions{Keys: []PublicKey{l.PublicKey()}, Heads: [][]byte{must1(l.CheckpointAt(3))(t), must1(l.Checkpoint())(t)}}
	v := verify(t, bundleOf(t, l.Log, begin.Add(time.Hour), begin.Add(2*time.Hour)), trust)
	if !v.OK || len(v.Heads) != 2 || !strings.Contains(v.Heads[0].NotChecked, "without --from") || !strings.Contains(v.Heads[1].NotChecked, "without --to") ||
		v.Heads[0].Fits || v.Heads[1].Fits {
		t.Errorf("%+v, %+v", v.Findings, v.Heads)
	}
	if got := warnings(v, WarnUnchecked); len(got) != 2 || !strings.Contains(got[0], "of 3 records") {
		t.Errorf("%q", got)
	}
	// One of more records than the log is said to hold at all shows that it was cut.
	all, records := bundleOf(t, l.Log, time.Time{}, time.Time{}), l.Size()
	l.snapshot(t, "payments")
	trust.Heads = [][]byte{must1(l.Checkpoint())(t)}
	if v := verify(t, all, trust); !slices.Equal(kinds(v), []FindingKind{FoundHead}) || v.Heads[0].NotChecked != "" || v.Size != records {
		t.Errorf("cut: %+v, %+v", v.Findings, v.Heads)
	}
}

// TestALogThatWasCutIsSaidToGoOn: so the checkpoint that shows it is of more records
// than the bundle, and is not compared. That is never silent.
func TestALogThatWasCutIsSaidToGoOn(t *testing.T) {
	l := newLife(t)
	l.hours(t, 2)
	head := must1(l.Checkpoint())(t)
	all := collect(t, l.Records(0, 21))
	bundle := bundleOf(t, forge(t, l, all), time.Time{}, time.Time{})
	about := strings.Replace(string(unzip(t, bundle, bundleAbout)), `"size": 21`, `"size": 5000`, 1)
	about = strings.Replace(about, `"made"`, fmt.Sprintf(`"until": %q, "made"`, all[20].Time.Format(time.RFC3339Nano)), 1)
	v := verify(t, rezip(t, bundle, map[string][]byte{bundleAbout: []byte(about)}), VerifyOptions{Keys: []PublicKey{l.PublicKey()}, Heads: [][]byte{head}})
	good(t, v)
	if got := warnings(v, WarnUnchecked); len(got) != 1 {
		t.Errorf("%+v", v.Warnings)
	}
}

// TestAStepRestsOnTheProofOfWhatItClaims: and on no other that passed.
func TestAStepRestsOnTheProofOfWhatItClaims(t *testing.T) {
	good := DrillStep{ID: "1", Kind: stepRestore, Function: "payments", Site: "cloud", Snapshot: "s1", RecoveryPoint: begin, Level: "L5", Status: Pass}
	for name, c := range map[string]struct {
		claims func(s *DrillStep)
		proof  func(p *Proof)
		want   string
	}{
		"as it is":          {func(*DrillStep) {}, func(p *Proof) { p.Drill = "d1" }, ""},
		"to a lower level":  {func(s *DrillStep) { s.Level = "L4" }, func(*Proof) {}, ""},
		"another function":  {func(s *DrillStep) { s.Function = "catalog" }, func(*Proof) {}, `a proof of function "payments"`},
		"another site":      {func(s *DrillStep) { s.Site = "onsite" }, func(*Proof) {}, `a proof of site "cloud"`},
		"no site":           {func(s *DrillStep) { s.Site = "" }, func(*Proof) {}, `a proof of site "cloud"`},
		"another snapshot":  {func(s *DrillStep) { s.Snapshot = "s99" }, func(*Proof) {}, `a proof of snapshot "s1"`},
		"another state":     {func(s *DrillStep) { s.RecoveryPoint = begin.Add(time.Hour) }, func(*Proof) {}, "a proof of that of"},
		"a higher level":    {func(s *DrillStep) { s.Level = "L6" }, func(*Proof) {}, "a proof to L5"},
		"another exercise":  {func(*DrillStep) {}, func(p *Proof) { p.Drill = "d0" }, `a proof of exercise "d0"`},
		"nothing at all":    {func(s *DrillStep) { s.Proof = nil }, func(*Proof) {}, "names no proof"},
		"a round of faults": {func(s *DrillStep) { *s.Proof += 2 }, func(*Proof) {}, "no proof that passed"},
		"nothing restored": {func(s *DrillStep) { s.Level = "L2" }, func(p *Proof) {
			p.Requested, p.Level, p.Checks, p.Tables = "L2", "L2", p.Checks[:3], nil
		}, "to have restored"},
	} {
		l := newLife(t)
		l.hours(t, 1)
		p := goodProof()
		c.proof(p)
		proof := l.proof(t, Done, p)
		n := must1(l.Begin(Record{Act: ActControls, Controls: &Controls{}}))(t)
		must(t, n, l.End(n, Record{Act: ActControls, Outcome: Done, Controls: &Controls{Faults: []Fault{{ID: "bit", Planted: "a bit flipped", Expected: "L1", Caught: "L1", Red: true}}}}))
		d := must1(l.Begin(Record{Act: ActDrill, Drill: &Drill{ID: "d1", Scenario: "fire", SHA256: digest}}))(t)
		step := good
		step.Proof = &proof
		c.claims(&step)
		must(t, d, l.End(d, Record{Act: ActDrill, Outcome: Done, Drill: &Drill{ID: "d1", Scenario: "fire", SHA256: digest, Steps: []DrillStep{step}}}))
		v := verify(t, bundleOf(t, l.Log, time.Time{}, time.Time{}), VerifyOptions{Keys: []PublicKey{l.PublicKey()}})
		if (c.want == "") != v.OK || !v.OK && (len(v.Findings) != 1 || v.Findings[0].Kind != FoundVerdict || !strings.Contains(v.Findings[0].Text, c.want)) {
			t.Errorf("%s: %+v", name, v.Findings)
		}
	}
}

// TestBombsAndNonsense: whatever the file is, the check ends soon and says no.
func TestBombsAndNonsense(t *testing.T) {
	l := newLife(t)
	l.hours(t, 1)
	good := bundleOf(t, l.Log, time.Time{}, time.Time{})
	zeros := make([]byte, 64<<20)
	random := make([]byte, 4096)
	seed := rand.New(rand.NewPCG(1, 2))
	for i := range random {
		random[i] = byte(seed.Uint32())
	}
	var twice bytes.Buffer
	w := zip.NewWriter(&twice)
	for range 2 {
		must1(w.Create(bundleAbout))(t)
	}
	must(t, 0, w.Close())
	about := string(unzip(t, good, bundleAbout))
	for name, b := range map[string][]byte{
		"nothing":                  nil,
		"random bytes":             random,
		"a zip cut short":          good[:len(good)-9],
		"a bomb for what it says":  rezip(t, good, map[string][]byte{bundleAbout: zeros}),
		"a bomb of hashes":         rezip(t, good, map[string][]byte{bundleTree: zeros}),
		"a bomb of keys":           rezip(t, good, map[string][]byte{bundleKeys: zeros}),
		"a bomb of one record":     rezip(t, good, map[string][]byte{recordsFile(0): zeros}),
		"a bomb of empty lines":    rezip(t, good, map[string][]byte{recordsFile(0): bytes.Repeat([]byte("\n"), 8<<20)}),
		"a record too few":         rezip(t, good, map[string][]byte{recordsFile(0): append(bytes.Join(linesOf(t, good)[1:], []byte("\n")), '\n')}),
		"no line break at the end": rezip(t, good, map[string][]byte{recordsFile(0): bytes.Join(linesOf(t, good), []byte("\n"))}),
		"no records":               rezip(t, good, map[string][]byte{recordsFile(0): nil}),
		"no tree":                  rezip(t, good, map[string][]byte{bundleTree: nil}),
		"a file that is no part":   rezip(t, good, map[string][]byte{"../../etc/passwd": []byte("x")}),
		"records of elsewhere":     rezip(t, good, map[string][]byte{recordsFile(7): []byte("x")}),
		"a file twice":             twice.Bytes(),
		"another format":           rezip(t, good, map[string][]byte{bundleAbout: []byte(strings.Replace(about, "v1", "v9", 1))}),
		"more records than fit":    rezip(t, good, map[string][]byte{bundleAbout: []byte(strings.Replace(about, `"size": 25`, `"size": 1e30`, 1))}),
		"from behind to":           rezip(t, good, map[string][]byte{bundleAbout: []byte(strings.Replace(about, `"from": 0`, `"from": 99`, 1))}),
		"hashes too many":          rezip(t, good, map[string][]byte{bundleTree: must1(jsonOf(bundleHashes{Before: []Hash{{1}}, Consistency: []Hash{}}))(t)}),
	} {
		start := spent(t)
		v, err := Verify(t.Context(), bytes.NewReader(b), int64(len(b)), VerifyOptions{Keys: []PublicKey{l.PublicKey()}})
		if !errors.Is(err, ErrBundle) && !errors.Is(err, ErrEnvelope) {
			t.Errorf("%s: %+v, %v", name, v, err)
		}
		if took := spent(t) - start; took > 5*time.Second {
			t.Errorf("%s took %v", name, took)
		}
	}
	if _, err := Verify(t.Context(), bytes.NewReader(good), int64(len(good)), VerifyOptions{}); !errors.Is(err, ErrKey) {
		t.Errorf("without a key: %v", err)
	}
}

// FuzzBundle: no bytes make the check fail otherwise than with an error.
func FuzzBundle(f *testing.F) {
	l := newLife(f)
	l.hours(f, 1)
	f.Add(bundleOf(f, l.Log, time.Time{}, time.Time{}))
	trust := VerifyOptions{Keys: []PublicKey{l.PublicKey()}}
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := Verify(t.Context(), bytes.NewReader(b), int64(len(b)), trust)
		if err == nil && v.OK && v.Size != l.Size() {
			t.Fatalf("%+v", v)
		}
	})
}
