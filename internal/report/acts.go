package report

import (
	"time"

	"github.com/saypro/backupd/internal/evidence"
)

// act is an act that ended in the period: its result, and its intent where
// that is among the records.
type act struct {
	result evidence.Record
	intent *evidence.Record
}

// acts are what the records of a period say of one kind of act.
type acts struct {
	ended  []act
	open   []Unanswered
	events []evidence.Record
}

// actsOf reads the records of an act from the begin of the period on, and past
// its end for as long as an intent of the period has no result.
func (l Log) actsOf(kind evidence.Act, function string, from, to time.Time) (acts, error) {
	var out acts
	intents := map[uint64]*evidence.Record{}
	open := map[uint64]bool{}
	later := map[uint64]bool{}
	for r, err := range l.Find(kind, function, from, time.Time{}) {
		if err != nil {
			return out, readError(kind, err)
		}
		inside := r.Time.Before(to)
		if !inside && len(open) == len(later) {
			break
		}
		switch {
		case r.Phase == evidence.Intent && inside:
			intents[r.Sequence], open[r.Sequence] = &r, true
		case r.Phase == evidence.Result && inside:
			if r.Intent != nil {
				delete(open, *r.Intent)
			}
			out.ended = append(out.ended, act{result: r, intent: l.intentOf(r, intents)})
		case r.Phase == evidence.Result && r.Intent != nil && open[*r.Intent]:
			later[*r.Intent] = true
		case r.Phase == evidence.Event && inside:
			out.events = append(out.events, r)
		}
	}
	out.open = unansweredOf(intents, open, later)
	return out, nil
}

// intentOf returns the intent of a result: one of the period, or an earlier
// one if the records reach that far.
func (l Log) intentOf(r evidence.Record, known map[uint64]*evidence.Record) *evidence.Record {
	if r.Intent == nil {
		return nil
	}
	if i := known[*r.Intent]; i != nil {
		return i
	}
	i, err := l.record(*r.Intent)
	if err != nil || i.Act != r.Act || i.Phase != evidence.Intent {
		return nil // the verification of the records says what is wrong with that
	}
	return &i
}

func unansweredOf(intents map[uint64]*evidence.Record, open, later map[uint64]bool) []Unanswered {
	var out []Unanswered
	for _, sequence := range sortedKeys(open) {
		out = append(out, unanswered(*intents[sequence], later[sequence]))
	}
	return out
}

func unanswered(r evidence.Record, later bool) Unanswered {
	u := Unanswered{Sequence: r.Sequence, Time: r.Time.UTC(), Act: r.Act, Function: r.Function, By: r.By, Later: later}
	if r.Proof != nil {
		u.Site = r.Proof.Site
	}
	return u
}

func failure(r evidence.Record) Failure {
	f := Failure{
		Sequence: r.Sequence, Intent: r.Intent, Time: r.Time.UTC(), Act: r.Act, Function: r.Function, Outcome: r.Outcome, Error: r.Error,
	}
	if r.Proof != nil {
		f.Site, f.requested = r.Proof.Site, r.Proof.Requested
	}
	return f
}

// failure is that of an act; what its result does not tell its intent may.
func (a act) failure() Failure {
	f := failure(a.result)
	if a.intent != nil && a.intent.Proof != nil && a.result.Proof == nil {
		f.Site, f.requested = a.intent.Proof.Site, a.intent.Proof.Requested
	}
	return f
}

// who is the one that asked for an act.
func (a act) who() string {
	if a.result.By == "" && a.intent != nil {
		return a.intent.By
	}
	return a.result.By
}
