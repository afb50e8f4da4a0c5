package evidence

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// made is a log of a promise, some hours of snapshots and a proof of the first of
// them, from which whoever has the key makes others.
func made(t testing.TB) (*life, []Record) {
	t.Helper()
	l := newLife(t)
	l.promise(t, promised())
	l.hours(t, 2)
	p := goodProof()
	p.Snapshot, p.Started = "s2", l.clock.Now()
	p.Ended, p.Seconds = p.Started.Add(time.Minute), 60
	n := must1(l.Begin(Record{Act: ActProof, Function: "payments", Proof: &Proof{Snapshot: "s2", Site: "cloud", Requested: "L5"}}))(t)
	l.clock.Advance(time.Minute)
	must(t, n, l.End(n, Record{Act: ActProof, Outcome: Done, Proof: p}))
	l.hours(t, 1)
	return l, collect(t, l.Records(0, l.Size()))
}

// resultOf returns the first result, or event, of an act.
func resultOf(t testing.TB, records []Record, act Act) *Record {
	t.Helper()
	i := slices.IndexFunc(records, func(r Record) bool { return r.Act == act && r.Phase != Intent })
	if i < 0 {
		t.Fatalf("there is no %s", act)
	}
	return &records[i]
}

// intentOf returns the intent of a result.
func intentOf(records []Record, result *Record) *Record { return &records[*result.Intent] }

// and adds records behind others, a minute after each other.
func and(records []Record, more ...Record) []Record {
	for _, r := range more {
		last := records[len(records)-1]
		r.Sequence, r.Time = last.Sequence+1, last.Time.Add(time.Minute)
		records = append(records, r)
	}
	return records
}

// attack is what somebody who has the key does to records, and what is said of it:
// a finding, or a warning. Nothing is when neither is given.
type attack struct {
	change func(r []Record) []Record
	want   FindingKind
	warns  WarningKind
	says   string
}

func (a attack) try(t *testing.T, l *life, records []Record) {
	t.Helper()
	v := verify(t, bundleOf(t, forge(t, l, a.change(copied(t, records))), time.Time{}, time.Time{}), VerifyOptions{Keys: []PublicKey{l.PublicKey()}})
	var said []string
	for _, f := range v.Findings {
		if f.Kind == a.want {
			said = append(said, f.Text)
		} else {
			t.Errorf("%s: %s", place(f), f.Text)
		}
	}
	for _, w := range v.Warnings {
		if w.Kind == a.warns {
			said = append(said, w.Text)
		}
	}
	if nothing := a.want == "" && a.warns == ""; nothing && len(v.Findings)+len(v.Warnings) > 0 || !nothing && !strings.Contains(strings.Join(said, "\n"), a.says) || !nothing && len(said) == 0 {
		t.Errorf("findings %+v, warnings %+v, and %s %s that says %q is to be among them", v.Findings, v.Warnings, a.want, a.warns, a.says)
	}
}
