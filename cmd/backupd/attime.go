package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/saypro/backupd/internal/engine"
)

// atLayouts are the forms of a time besides RFC 3339, all of them UTC.
var atLayouts = []string{
	"2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02 15:04:05Z", "2006-01-02 15:04Z", "2006-01-02 15:04:05 UTC", "2006-01-02 15:04 UTC",
}

// parseAt reads the time that a restore asks for. A time that could be meant
// in two ways is refused: at 3 a.m. nobody should restore an hour too late
// because of a time zone. So is one that is still to come. A time without a
// fraction means its whole last second: times are shown without fractions, and
// what is shown must find the recovery point that it was shown for.
func parseAt(text string, now time.Time) (time.Time, error) {
	at, err := time.Parse(time.RFC3339Nano, text)
	for _, layout := range atLayouts {
		if err == nil {
			break
		}
		at, err = time.ParseInLocation(layout, text, time.UTC)
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("%w: --at %q: write it as \"2006-01-02 15:04\" or \"2006-01-02 15:04:05\", both UTC, "+
			"or as RFC 3339 with its offset, 2006-01-02T15:04:05Z or 2006-01-02T15:04:05+02:00", engine.ErrUsage, text)
	}
	if at.After(now) {
		return time.Time{}, fmt.Errorf("%w: --at %q is in the future: it means %s, and it is %s now",
			engine.ErrUsage, text, at.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	if !strings.ContainsAny(text, ".,") {
		at = at.Add(time.Second - time.Nanosecond)
	}
	return at.UTC(), nil
}
