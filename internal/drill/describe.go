package drill

import (
	"fmt"
	"strings"

	"github.com/saypro/backupd/internal/evidence"
)

// describe says in a line what a record tells.
func describe(r evidence.Record) string {
	if r.Act == evidence.ActDrill {
		return describeDrill(r)
	}
	what := string(r.Act)
	if r.Function != "" {
		what += " of " + r.Function
	}
	if p := r.Proof; p != nil {
		what += fmt.Sprintf(" from %s, snapshot %s", p.Site, p.Snapshot)
		if r.Phase == evidence.Result {
			what += fmt.Sprintf(", reached %s of %s in %s", orElse(p.Level, "no level"), p.Requested, span(p.Seconds))
		}
	}
	if s := r.Snapshot; s != nil {
		what += fmt.Sprintf(", snapshot %s of %s", s.ID, stamp(s.RecoveryPoint))
	}
	if d := r.Durable; d != nil {
		what += fmt.Sprintf(", snapshot %s at %s", d.Snapshot, d.Site)
	}
	switch r.Phase {
	case evidence.Intent:
		return what + ": begun"
	case evidence.Result:
		what += ": " + string(r.Outcome)
		if r.Error != "" {
			what += ": " + r.Error
		}
	}
	return what
}

func describeDrill(r evidence.Record) string {
	var parts []string
	switch r.Phase {
	case evidence.Intent:
		return "the exercise begins"
	case evidence.Result:
		text := "the exercise has ended: " + string(r.Outcome)
		if r.Error != "" {
			text += ": " + r.Error
		}
		parts = append(parts, text)
	}
	if r.Drill != nil {
		parts = append(parts, recorded(r)...)
	}
	if len(parts) == 0 {
		return "participants are recorded"
	}
	return strings.Join(parts, "; ")
}

// recorded says what people added to an exercise.
func recorded(r evidence.Record) (parts []string) {
	if n := len(r.Drill.Steps); n > 0 && r.Phase == evidence.Event {
		parts = append(parts, fmt.Sprintf("%s recorded", counted(n, "step")))
	}
	if n := len(r.Drill.Observations); n > 0 {
		parts = append(parts, fmt.Sprintf("%s recorded", counted(n, "observation")))
	}
	for _, a := range r.Drill.Actions {
		if a.Closed != nil {
			parts = append(parts, fmt.Sprintf("action %s closed by record %d", a.ID, *a.Closed))
		} else {
			parts = append(parts, fmt.Sprintf("action %s recorded, of %s, due %s", a.ID, a.Owner, a.Due))
		}
	}
	return parts
}

func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
