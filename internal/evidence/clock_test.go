package evidence

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"time"
)

const ahead = 3 * 365 * 24 * time.Hour

// astray is a log of which an hour was written with a clock that was years
// ahead, and another after that was said.
func astray(t testing.TB) (l *life, setBack uint64) {
	t.Helper()
	l = newLife(t)
	promise := func(rpo float64) Record {
		p := &Policy{Sites: []string{"cloud"}, Functions: map[string]FunctionObjective{"payments": {RPOSeconds: rpo}}}
		p.SHA256 = must1(p.Digest())(t)
		return Record{Act: ActPolicy, Policy: p}
	}
	l.note(t, promise(300))
	l.hours(t, 1)
	l.clock.Advance(ahead)
	l.note(t, promise(600))
	l.hours(t, 1)
	l.clock.Advance(-ahead)
	must(t, l, l.SetBack("the host came back with a clock of its own", "ops"))
	setBack = l.Size() - 1
	l.hours(t, 1)
	return l, setBack
}

func TestAClockThatWasAheadIsSetBack(t *testing.T) {
	l := newLife(t)
	l.hours(t, 1)
	if err := l.SetBack("for nothing", "ops"); !errors.Is(err, ErrNotAhead) {
		t.Errorf("set back though it was right: %v", err)
	}
	l.clock.Advance(ahead)
	l.hours(t, 1)
	l.clock.Advance(-ahead)
	l.snapshot(t, "payments")
	if newest, by := l.Ahead(); by < ahead-2*time.Hour || newest.Before(begin.Add(ahead)) {
		t.Errorf("ahead by %v, newest %v", by, newest)
	}
	size, now := l.Size(), l.clock.Now()
	must(t, l, l.SetBack("a flat battery", "ops"))
	if _, by := l.Ahead(); by > 0 || l.Size() != size+1 {
		t.Errorf("still ahead by %v, %d records", by, l.Size()-size)
	}
	l.snapshot(t, "payments")
	for _, log := range []*Log{l.Log, openLog(t, l.store, l.signer, l.clock)} {
		last := time.Time{}
		for r := range each2(t, log.Records(0, log.Size())) {
			if r.Time.Before(last) || r.Sequence < size && r.Time.After(now) {
				t.Fatalf("record %d of %v after %v", r.Sequence, r.Time, last)
			}
			last = r.Time
		}
		n := len(collect(t, log.Find(ActSnapshot, "payments", time.Time{}, now)))
		if n != 24 {
			t.Errorf("%d records of snapshots before, there are 24", n)
		}
		if n := len(collect(t, log.Find(ActSnapshot, "payments", now, time.Time{}))); n != int(log.Size())-24-2 {
			t.Errorf("%d records of snapshots since, of %d", n, log.Size())
		}
		if r, ok, err := log.Latest(ActSnapshot, ""); err != nil || !ok || r.Sequence != log.Size()-1 || r.Time.After(l.clock.Now()) {
			t.Errorf("the latest is %d of %v: %v", r.Sequence, r.Time, err)
		}
	}
}

func each2(t testing.TB, seq func(func(Record, error) bool)) func(func(Record) bool) {
	return slices.Values(collect(t, seq))
}

// What is promised goes on from where the clock was set back, and what happened
// meanwhile takes part in nothing.
func TestHistoryGoesOnAfterTheClockWasSetBack(t *testing.T) {
	l, n := astray(t)
	set := must1(l.read(n))(t)
	to := l.clock.Now()
	h := must1(History(l.Log, "payments", begin, to))(t)
	if len(h.Policies) != 2 || h.Policies[1].RPO != 10*time.Minute || !h.Policies[1].From.Equal(set.Time) {
		t.Errorf("policies %+v, set back at %v", h.Policies, set.Time)
	}
	points := 0
	for _, a := range h.Durable["cloud"] {
		if !a.At.After(to) {
			points++
		}
	}
	if points != 24 {
		t.Errorf("%d recovery points, 24 are of a time that is known", points)
	}
	// With the days closed before and after it is the same.
	l2, n2 := astray(t)
	l2.day(t, "payments", n2)
	h2 := must1(History(l2.Log, "payments", begin, l2.clock.Now()))(t)
	if len(h2.Durable["cloud"]) != len(h.Durable["cloud"]) || len(h2.Runs) != len(h.Runs) {
		t.Errorf("%d points and %d runs from days, %d and %d from records", len(h2.Durable["cloud"]), len(h2.Runs), len(h.Durable["cloud"]), len(h.Runs))
	}
}

func TestAClockThatWasSetBackIsAFinding(t *testing.T) {
	l, n := astray(t)
	for name, since := range map[string]time.Time{"all": {}, "from before": begin.Add(30 * time.Minute)} {
		b := bundleOf(t, l.Log, since, time.Time{})
		opened, err := ReadBundle(t.Context(), bytes.NewReader(b), int64(len(b)), VerifyOptions{Keys: []PublicKey{l.PublicKey()}})
		if err != nil {
			t.Fatal(err)
		}
		v, records := opened.Verification, opened.Records
		if len(v.Findings) != 1 || v.Findings[0].Kind != FoundClock || *v.Findings[0].Record != n {
			t.Errorf("%s: %+v", name, v.Findings)
		}
		for i := 1; i < len(records); i++ {
			if records[i].Time.Before(records[i-1].Time) {
				t.Fatalf("%s: record %d is before that before it", name, records[i].Sequence)
			}
		}
	}
	b := bundleOf(t, l.Log, must1(l.read(n))(t).Time.Add(time.Second), time.Time{})
	v, err := Verify(t.Context(), bytes.NewReader(b), int64(len(b)), VerifyOptions{Keys: []PublicKey{l.PublicKey()}})
	if err != nil || !v.OK {
		t.Errorf("what came after it: %+v, %v", v.Findings, err)
	}
}

// A forger who says that the clock was set back must say from where.
func TestASetBackThatDoesNotFitIsBackDating(t *testing.T) {
	l, n := astray(t)
	var records []Record
	for e := range slices.Values(collect(t, l.Envelopes(0, l.Size()))) {
		records = append(records, must1(decodeRecord(e))(t))
	}
	records[n].Clock.Was = records[n].Clock.Was.Add(time.Hour)
	b := bundleOf(t, forge(t, l, records), time.Time{}, time.Time{})
	v, err := Verify(t.Context(), bytes.NewReader(b), int64(len(b)), VerifyOptions{Keys: []PublicKey{l.PublicKey()}})
	if err != nil || !slices.ContainsFunc(v.Findings, func(f Finding) bool { return f.Kind == FoundTime && *f.Record == n }) {
		t.Errorf("%+v, %v", v.Findings, err)
	}
}

// A site that kept such a log gives it back.
func TestALogThatWasSetBackIsAdopted(t *testing.T) {
	l, _ := astray(t)
	envelopes, head := joined(t, segments(t, l.Log, 20))
	to := openLog(t, &memory{}, l.signer, l.clock)
	if err := to.Adopt(sequence(envelopes), head, nil, "ops"); err != nil {
		t.Fatal(err)
	}
	a, b := collect(t, l.Records(0, l.Size())), collect(t, to.Records(0, to.Size()))
	if !slices.EqualFunc(a, b, func(x, y Record) bool { return x.Time.Equal(y.Time) && x.Sequence == y.Sequence }) {
		t.Error("it reads otherwise")
	}
	at := l.clock.Now()
	l.snapshot(t, "payments")
	if r, _, _ := to.Latest(ActClock, ""); !r.Time.Before(at) {
		t.Errorf("the clock was set back at %v", r.Time)
	}
}
