package report

import (
	"slices"
	"time"

	"github.com/saypro/backupd/internal/evidence"
	"github.com/saypro/backupd/internal/objective"
)

// Fix is what shows that something that failed works again.
type Fix struct {
	// At is when that was, Seconds how long after the failure.
	At      time.Time `json:"at"`
	Seconds float64   `json:"seconds"`
	// By is the record that shows it; nil of a snapshot, of which it is the
	// moment from which every site held a newer recovery point.
	By *uint64 `json:"by,omitempty"`
	// Shown says what it was.
	Shown string `json:"shown"`
}

// fixSnapshots finds when every site held a newer recovery point than the runs
// that failed.
func (p *Period) fixSnapshots(function string, failures []Failure, h objective.History) {
	if len(failures) == 0 {
		return
	}
	next := map[string]arrivals{}
	for i := range failures {
		f := &failures[i]
		sites := p.sitesAt(function, f.Time)
		at := time.Time{}
		for _, site := range sites {
			if _, ok := next[site]; !ok {
				next[site] = arrivalsOf(h.Durable[site])
			}
			there := next[site].after(f.Time)
			if there.IsZero() || !there.Before(p.readTo) {
				at = time.Time{}
				break
			}
			if there.After(at) {
				at = there
			}
		}
		if !at.IsZero() {
			f.Fix = &Fix{At: at.UTC(), Seconds: at.Sub(f.Time).Seconds(), Shown: "every site held a newer recovery point"}
		}
	}
}

// sitesAt are the sites of the policy that promised something of a function at a
// time.
func (p *Period) sitesAt(function string, at time.Time) []string {
	for _, policy := range slices.Backward(p.Policies) {
		if _, ok := policy.Functions[function]; ok && !policy.Time.After(at) {
			return policy.Sites
		}
	}
	return nil
}

// arrivals are the recovery points of a site by their consistency points, with
// when the first one from there on was durable.
type arrivals []objective.Arrival

func arrivalsOf(points []objective.Arrival) arrivals {
	out := arrivals(slices.Clone(points))
	slices.SortFunc(out, func(a, b objective.Arrival) int { return a.Consistent.Compare(b.Consistent) })
	for i := len(out) - 2; i >= 0; i-- {
		out[i].At = earlier(out[i].At, out[i+1].At)
	}
	return out
}

// after is when the first point of a later moment was durable; zero: none was.
func (a arrivals) after(t time.Time) time.Time {
	i, _ := slices.BinarySearchFunc(a, t, func(x objective.Arrival, t time.Time) int { return x.Consistent.Compare(t) })
	if i == len(a) {
		return time.Time{}
	}
	return a[i].At
}

// fixOthers finds, for everything else that failed, the first later act of the
// kind that was done.
func (p *Period) fixOthers() {
	for i := range p.Failures {
		f := &p.Failures[i]
		at, by, shown := time.Time{}, uint64(0), ""
		switch f.Act {
		case evidence.ActProof:
			x := p.proofAfter(f)
			if x == nil {
				continue
			}
			at, by, shown = x.Time, x.Sequence, "a proof that passed"
		case evidence.ActControls:
			for _, c := range p.Controls {
				if c.Sequence > f.Sequence && c.Outcome == evidence.Done && c.Missed == 0 {
					at, by, shown = c.Time, c.Sequence, "a round that caught all"
					break
				}
			}
		case evidence.ActRestore:
			for _, r := range p.Restores {
				if r.Sequence > f.Sequence && r.Function == f.Function && r.Outcome == evidence.Done {
					at, by, shown = r.Time, r.Sequence, "a restore that was done"
					break
				}
			}
		case evidence.ActDrill:
			at, by, shown = p.exerciseAfter(f)
		default:
			continue
		}
		if !at.IsZero() {
			f.Fix = &Fix{At: at, Seconds: at.Sub(f.Time).Seconds(), By: &by, Shown: shown}
		}
	}
}

// proofAfter is the first later proof of the same function from the same site
// that passed.
func (p *Period) proofAfter(f *Failure) *ProofLine {
	for i := range p.Proofs {
		x := &p.Proofs[i]
		if x.Sequence > f.Sequence && x.Function == f.Function && x.Finding == Passed && (f.Site == "" || x.Site == f.Site) && x.Level >= f.requested {
			return x
		}
	}
	return nil
}

// exerciseAfter is the first later exercise of the same scenario that was done.
func (p *Period) exerciseAfter(f *Failure) (time.Time, uint64, string) {
	scenario := ""
	for _, d := range p.Drills {
		if slices.Contains(d.Sequences, f.Sequence) {
			scenario = d.Scenario
		}
	}
	for _, d := range p.Drills {
		if n := len(d.Sequences); scenario != "" && d.Scenario == scenario && d.Outcome == evidence.Done && d.Sequences[0] > f.Sequence {
			return d.Ended, d.Sequences[n-1], "the same exercise, passed"
		}
	}
	return time.Time{}, 0, ""
}
