package report

import (
	"slices"
	"time"

	"github.com/saypro/backupd/internal/evidence"
)

// runs is what the records of a period say of the snapshots of one function.
type runs struct {
	counts   Runs
	failures []Failure
	open     []Unanswered
}

// stretch is a part of a period that is read at once: a whole day from its
// roll-up, or anything from the records themselves.
type stretch struct {
	from, to time.Time
	day      *evidence.Day
}

// runsOf reads the snapshots of a function. Of days that have a roll-up only
// the failures are read one by one.
func (l Log) runsOf(function string, from, to time.Time) (runs, error) {
	days, err := l.days(function, from)
	if err != nil {
		return runs{}, err
	}
	t := tally{log: l, function: function, open: map[uint64]evidence.Record{}}
	for _, s := range stretches(days, from, to) {
		if s.day != nil {
			err = t.addDay(*s.day)
		} else {
			err = t.addRecords(s.from, s.to)
		}
		if err != nil {
			return runs{}, err
		}
	}
	return t.result(days, to)
}

// days returns the roll-ups of a function that were written since from, by
// their date.
func (l Log) days(function string, from time.Time) (map[string]evidence.Day, error) {
	records, err := l.all(evidence.ActDay, function, from, time.Time{})
	if err != nil {
		return nil, err
	}
	out := map[string]evidence.Day{}
	for _, r := range records {
		if r.Day != nil && r.Function == function {
			out[r.Day.Date] = *r.Day
		}
	}
	return out, nil
}

// stretches cuts a period into the days that have a roll-up and are wholly in
// it, and what is in between.
func stretches(days map[string]evidence.Day, from, to time.Time) []stretch {
	var out []stretch
	for at := from; at.Before(to); {
		next := at.UTC().Truncate(day).Add(day)
		d, ok := days[at.UTC().Format(time.DateOnly)]
		whole := at.UTC().Truncate(day).Equal(at) && !next.After(to)
		switch n := len(out); {
		case ok && whole:
			out = append(out, stretch{from: at, to: next, day: &d})
		case n > 0 && out[n-1].day == nil:
			out[n-1].to = earlier(next, to)
		default:
			out = append(out, stretch{from: at, to: earlier(next, to)})
		}
		at = next
	}
	return out
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// tally adds up the stretches of a period.
type tally struct {
	log      Log
	function string
	runs     runs
	open     map[uint64]evidence.Record // intents without a result so far
}

func (t *tally) addDay(d evidence.Day) error {
	made := map[int64]bool{} // by the start of the run
	for p := range d.Points.All() {
		if p.Started != 0 {
			made[p.Started] = true
			t.runs.counts.Done++ // those that were not done come off below
		}
	}
	for _, f := range d.Failures {
		if f.Act != evidence.ActSnapshot {
			continue
		}
		if made[f.Started] {
			t.runs.counts.Done--
		}
		if err := t.addFailure(f); err != nil {
			return err
		}
	}
	for _, o := range d.Open {
		if o.Act != evidence.ActSnapshot {
			continue
		}
		r, err := t.log.record(o.Intent)
		if err != nil {
			return err
		}
		t.open[o.Intent] = r
	}
	for _, sequence := range d.Closed {
		delete(t.open, sequence)
	}
	return nil
}

// addFailure finds the record of a failure that a day tells of, by its time.
func (t *tally) addFailure(f evidence.DayFailure) error {
	at := time.UnixMilli(f.Ended)
	near, err := t.log.all(evidence.ActSnapshot, t.function, at.Add(-2*time.Millisecond), at.Add(2*time.Millisecond))
	if err != nil {
		return err
	}
	for _, r := range near {
		known := slices.ContainsFunc(t.runs.failures, func(k Failure) bool { return k.Sequence == r.Sequence })
		if r.Phase == evidence.Result && r.Outcome == f.Outcome && !known {
			t.addResult(r)
			return nil
		}
	}
	// The roll-up says that there is one, so it is told in any case.
	t.count(f.Outcome)
	t.runs.failures = append(t.runs.failures, Failure{Time: at.UTC(), Act: f.Act, Function: t.function, Outcome: f.Outcome, Error: f.Error})
	return nil
}

func (t *tally) addRecords(from, to time.Time) error {
	records, err := t.log.all(evidence.ActSnapshot, t.function, from, to)
	if err != nil {
		return err
	}
	for _, r := range records {
		switch r.Phase {
		case evidence.Intent:
			t.open[r.Sequence] = r
		case evidence.Result:
			if r.Intent != nil {
				delete(t.open, *r.Intent)
			}
			t.addResult(r)
		}
	}
	return nil
}

func (t *tally) addResult(r evidence.Record) {
	t.count(r.Outcome)
	if r.Outcome != evidence.Done {
		t.runs.failures = append(t.runs.failures, failure(r))
	}
}

func (t *tally) count(o evidence.Outcome) {
	switch o {
	case evidence.Done:
		t.runs.counts.Done++
	case evidence.Degraded:
		t.runs.counts.Degraded++
	case evidence.CutShort:
		t.runs.counts.CutShort++
	default:
		t.runs.counts.Failed++
	}
}

// result looks in what was written after the period for the ends of what was
// still open at its end.
func (t *tally) result(days map[string]evidence.Day, to time.Time) (runs, error) {
	later := map[uint64]bool{}
	if len(t.open) > 0 {
		for _, d := range days {
			for _, sequence := range d.Closed {
				later[sequence] = true
			}
		}
		if err := t.answeredAfter(to, later); err != nil {
			return runs{}, err
		}
	}
	for _, sequence := range sortedKeys(t.open) {
		t.runs.open = append(t.runs.open, unanswered(t.open[sequence], later[sequence]))
	}
	c := &t.runs.counts
	c.Unanswered = len(t.runs.open)
	c.Begun = c.Done + c.Degraded + c.Failed + c.CutShort + c.Unanswered
	return t.runs, nil
}

// answeredAfter notes which open intents have a result within two days after
// the period: no snapshot takes longer.
func (t *tally) answeredAfter(to time.Time, later map[uint64]bool) error {
	missing := 0
	for sequence := range t.open {
		if !later[sequence] {
			missing++
		}
	}
	for r, err := range t.log.Find(evidence.ActSnapshot, t.function, to, to.Add(2*day)) {
		if err != nil {
			return readError(evidence.ActSnapshot, err)
		}
		if missing == 0 {
			return nil
		}
		if r.Phase != evidence.Result || r.Intent == nil || later[*r.Intent] {
			continue
		}
		if _, open := t.open[*r.Intent]; open {
			later[*r.Intent] = true
			missing--
		}
	}
	return nil
}
