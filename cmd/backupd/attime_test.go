package main

import (
	"errors"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/engine"
)

func TestTimesThatAreClearAreUnderstood(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	want := time.Date(2026, 11, 23, 10, 42, 0, 0, time.UTC)
	for _, text := range []string{
		"2026-11-23 10:42", "2026-11-23 10:42:00", "2026-11-23T10:42:00Z", "2026-11-23T12:42:00+02:00", "2026-11-23T10:42:00.000Z",
	} {
		at, err := parseAt(text, now)
		if err != nil || !at.Equal(want) || at.Location() != time.UTC {
			t.Errorf("%q is understood as %v, %v", text, at, err)
		}
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
