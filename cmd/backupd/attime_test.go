package main

import (
	"errors"
	"testing"
	"time"

	"github.com/saypro/backupd/cmd/backupd/internal/show"
	"github.com/saypro/backupd/internal/engine"
)

func TestTimesThatAreClearAreUnderstood(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	exact := time.Date(2026, 11, 23, 10, 42, 0, 0, time.UTC)
	second := exact.Add(time.Second - time.Nanosecond) // all of it
	for text, want := range map[string]time.Time{
		"2026-11-23 10:42": second, "2026-11-23 10:42:00": second, "2026-11-23T10:42:00Z": second, "2026-11-23T12:42:00+02:00": second,
		"2026-11-23 10:42:00Z": second, "2026-11-23 10:42Z": second, "2026-11-23 10:42:00 UTC": second,
		"2026-11-23T10:42:00.000Z": exact, "2026-11-23 10:42:00.000": exact,
	} {
		at, err := parseAt(text, now)
		if err != nil || !at.Equal(want) || at.Location() != time.UTC {
			t.Errorf("%q is understood as %v, %v", text, at, err)
		}
	}
}

func TestTimeAsItIsShownFindsItsRecoveryPoint(t *testing.T) {
	point := time.Date(2026, 11, 23, 14, 13, 53, 764_000_000, time.UTC)
	at, err := parseAt(show.Time(point), point.Add(time.Hour))
	if err != nil || at.Before(point) || at.Sub(point) >= time.Second {
		t.Errorf("%q is understood as %v, %v", show.Time(point), at, err)
	}
	if at, err = parseAt(show.Time(point), point); err != nil || at.Before(point) {
		t.Errorf("within the same second: %v, %v", at, err)
	}
}

func TestTimesThatCouldMeanTwoThingsAreRefused(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for _, text := range []string{
		"", "now", "10:42", "10:42am", "2026-11-23", "2026-11-23T10:42:00", "2026-11-23T10:42", "23.11.2026 10:42",
		"11/12/2026 10:42", "2026-11-23 10:42 SAST", "2026-11-23 10:42:00+02:00", "2026-13-01 00:00", "2026-02-30 00:00",
		"2026-11-23 24:00", "1763894520", "5m ago",
		"2026-11-23 12:01", "2026-11-23T13:59:59+01:00", // still to come
	} {
		if at, err := parseAt(text, now); !errors.Is(err, engine.ErrUsage) {
			t.Errorf("%q is taken for %v, %v", text, at, err)
		}
	}
}
