package retention

import (
	"fmt"
	"time"
)

// period is a stretch of UTC: from the second on and before to.
type period struct{ from, to int64 }

// unit is what a rule counts. For the last points, which are counted one by
// one, there is no period.
type unit struct {
	name, its string
	period    func(sec int64) period
	label     func(period) string
}

var (
	last    = unit{name: "last"}
	hourly  = unit{"hourly", "its hour", hourOf, labelled("2006-01-02 15:00")}
	daily   = unit{"daily", "its day", dayOf, labelled("2006-01-02")}
	weekly  = unit{"weekly", "its week", weekOf, weekLabel}
	monthly = unit{"monthly", "its month", monthOf, labelled("2006-01")}
	yearly  = unit{"yearly", "its year", yearOf, labelled("2006")}
)

const (
	hour = 60 * 60
	day  = 24 * hour
	week = 7 * day
	// monday is the first one since 1970, which began on a Thursday.
	monday = 4 * day
)

func hourOf(sec int64) period { return even(sec, 0, hour) }
func dayOf(sec int64) period  { return even(sec, 0, day) }
func weekOf(sec int64) period { return even(sec, monday, week) }

// even is the period of a length that never changes, when one begins at first.
func even(sec, first, length int64) period {
	into := (sec - first) % length
	if into < 0 { // before first
		into += length
	}
	return period{sec - into, sec - into + length}
}

func monthOf(sec int64) period {
	y, m, _ := time.Unix(sec, 0).UTC().Date()
	return period{time.Date(y, m, 1, 0, 0, 0, 0, time.UTC).Unix(), time.Date(y, m+1, 1, 0, 0, 0, 0, time.UTC).Unix()}
}

func yearOf(sec int64) period {
	y := time.Unix(sec, 0).UTC().Year()
	return period{time.Date(y, 1, 1, 0, 0, 0, 0, time.UTC).Unix(), time.Date(y+1, 1, 1, 0, 0, 0, 0, time.UTC).Unix()}
}

func labelled(layout string) func(period) string {
	return func(p period) string { return time.Unix(p.from, 0).UTC().Format(layout) }
}

// weekLabel is the week's number as ISO 8601 counts.
func weekLabel(p period) string {
	y, w := time.Unix(p.from, 0).UTC().ISOWeek()
	return fmt.Sprintf("%d-W%02d", y, w)
}
