package evidence

import (
	"slices"
	"time"

	"github.com/saypro/backupd/internal/objective"
)

// Partial is a [Reader] of a part of a log that does not begin with its first
// record.
type Partial interface {
	Reader
	// Earlier are single records from before the part, in order, and Since is
	// when the part begins; zero when it is the whole log. What was between the
	// earlier records is not known.
	Earlier() []Record
	Since() time.Time
}

// startFrom takes in the recovery points that single records from before a part
// of a log tell of: what was usable when the part begins.
func (c *chronicle) startFrom(log Reader, function string) error {
	part, ok := log.(Partial)
	if !ok {
		return nil
	}
	for _, r := range part.Earlier() {
		if r.Function != function || len(reached(&r)) == 0 {
			continue
		}
		day, err := DeriveDay(function, r.Time.UTC().Format(time.DateOnly), r.Sequence, r.Sequence+1, each([]Record{r}))
		if err != nil {
			return err
		}
		day.Points.Started = nil // the runs beside it are not known, so it tells nothing of their rhythm
		c.points(&day.Points, nil)
	}
	return nil
}

// clipped forgets the silence before a part of a log begins: there is none to be
// heard there.
func clipped(h objective.History, log Reader) objective.History {
	part, ok := log.(Partial)
	if !ok || part.Since().IsZero() {
		return h
	}
	for i := range h.Silent {
		if h.Silent[i].From.Before(part.Since()) {
			h.Silent[i].From = part.Since()
		}
	}
	h.Silent = slices.DeleteFunc(h.Silent, func(p objective.Period) bool { return p.To.Sub(p.From) <= Silence })
	return h
}
