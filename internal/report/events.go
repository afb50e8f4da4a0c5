package report

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/saypro/backupd/internal/evidence"
)

// addActs reads everything but the snapshots of a period into the report.
func (p *Period) addActs(l Log) error {
	for _, of := range []struct {
		act      evidence.Act
		function string // empty: acts that may be for all functions
		add      func(act)
		event    func(evidence.Record)
	}{
		{evidence.ActProof, p.Function, p.addProof, nil},
		{evidence.ActRestore, p.Function, p.addRestore, nil},
		{evidence.ActControls, "", p.addControls, nil},
		{evidence.ActDeletion, "", p.addDeletion, p.addHold},
		{evidence.ActKey, "", p.addKey, p.addKeyEvent},
		{evidence.ActSuspect, p.Function, nil, p.addSuspect},
		{evidence.ActAnchor, "", nil, p.addAnchor},
		{evidence.ActClock, "", nil, p.addClock},
	} {
		found, err := l.actsOf(of.act, of.function, p.From, p.readTo)
		if err != nil {
			return err
		}
		for _, a := range found.ended {
			if of.add != nil && p.concerns(a.result) {
				of.add(a)
			}
			if a.result.Outcome != evidence.Done && p.concerns(a.result) {
				p.Failures = append(p.Failures, a.failure())
			}
		}
		for _, r := range found.events {
			if of.event != nil && p.concerns(r) {
				of.event(r)
			}
		}
		p.Unanswered = append(p.Unanswered, found.open...)
	}
	return p.addDrills(l)
}

// concerns reports whether a record is about the function of the report, or
// about all of them.
func (p *Period) concerns(r evidence.Record) bool {
	return p.Function == "" || r.Function == "" || r.Function == p.Function
}

func (p *Period) addProof(a act) { p.Proofs = append(p.Proofs, proofLine(a)) }

func (p *Period) addRestore(a act) {
	r := a.result
	out := Restore{Sequence: r.Sequence, Time: r.Time.UTC(), By: a.who(), Function: r.Function, Outcome: r.Outcome, Error: r.Error}
	if a.intent != nil && a.intent.Restore != nil {
		out.Restore = *a.intent.Restore
	}
	if r.Restore != nil {
		out.Restore = *r.Restore
	}
	if at := out.Restore.RecoveryPoint; at != nil {
		out.RecoveryPoint = at.UTC()
	}
	p.Restores = append(p.Restores, out)
}

func (p *Period) addControls(a act) {
	r := a.result
	c := Controls{Sequence: r.Sequence, Time: r.Time.UTC(), Outcome: r.Outcome, Error: r.Error, Faults: []evidence.Fault{}}
	if r.Controls != nil {
		c.Faults = append(c.Faults, r.Controls.Faults...)
	}
	c.Planted = len(c.Faults)
	for _, f := range c.Faults {
		// Caught at another place than it must be is a miss, and so is what claims
		// to be red and names nothing that caught it.
		if f.Red && f.Caught != "" {
			c.Caught++
		}
	}
	c.Missed = c.Planted - c.Caught
	p.Controls = append(p.Controls, c)
}

func (p *Period) addDeletion(a act) { p.Deletions = append(p.Deletions, deletion(a.result, a.who())) }

func (p *Period) addHold(r evidence.Record) { p.Deletions = append(p.Deletions, deletion(r, r.By)) }

func deletion(r evidence.Record, by string) Deletion {
	d := Deletion{Sequence: r.Sequence, Time: r.Time.UTC(), By: by, Function: r.Function, Outcome: r.Outcome, Error: r.Error}
	if b := r.Deletion; b != nil {
		d.Kind, d.Snapshots, d.Objects, d.Bytes = b.Kind, b.Snapshots, b.Objects, b.Bytes
	}
	return d
}

func (p *Period) addKey(a act) { p.Keys = append(p.Keys, keyOf(a.result, a.who())) }

func (p *Period) addKeyEvent(r evidence.Record) { p.Keys = append(p.Keys, keyOf(r, r.By)) }

func keyOf(r evidence.Record, by string) Key {
	k := Key{Sequence: r.Sequence, Time: r.Time.UTC(), By: by, Outcome: r.Outcome, Error: r.Error}
	if r.Key != nil {
		k.Key = *r.Key
	}
	return k
}

func (p *Period) addSuspect(r evidence.Record) {
	s := Suspect{Sequence: r.Sequence, Time: r.Time.UTC(), Function: r.Function}
	if r.Suspect != nil {
		s.Suspect = *r.Suspect
	}
	p.Suspects = append(p.Suspects, s)
}

func (p *Period) addAnchor(r evidence.Record) {
	if a := r.Anchor; a != nil {
		p.Anchors = append(p.Anchors, Anchor{Sequence: r.Sequence, Time: r.Time.UTC(), To: a.To, Size: a.Size, Root: a.Root})
	}
}

// addClock tells of a clock that was set back among what did not go well: what
// happened before it is missing from the report, or dated wrongly.
func (p *Period) addClock(r evidence.Record) {
	f := failure(r)
	if r.Clock != nil {
		f.Error = fmt.Sprintf("the clock had been ahead, at %s, and was set back; what was recorded meanwhile is of a time that nobody knows: %s",
			r.Clock.Was.UTC().Format(time.RFC3339), r.Clock.Reason)
	}
	p.Failures = append(p.Failures, f)
}

// sort puts what was read act by act in the order of the log.
func (p *Period) sort() {
	slices.SortStableFunc(p.Failures, func(a, b Failure) int {
		return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.Sequence, b.Sequence))
	})
	slices.SortFunc(p.Unanswered, func(a, b Unanswered) int { return cmp.Compare(a.Sequence, b.Sequence) })
	slices.SortFunc(p.Deletions, func(a, b Deletion) int { return cmp.Compare(a.Sequence, b.Sequence) })
	slices.SortFunc(p.Keys, func(a, b Key) int { return cmp.Compare(a.Sequence, b.Sequence) })
}

// utcDay is the day of a time as records write it.
func utcDay(t time.Time) string { return t.UTC().Format(time.DateOnly) }
