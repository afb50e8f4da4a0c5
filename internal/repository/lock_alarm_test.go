package repository_test

import (
	"strings"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/repository"
)

func TestLockAlarm(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	const hold = 35 * 24 * time.Hour
	for name, c := range map[string]struct {
		locks repository.Locks
		alarm string
	}{
		"fresh":               {repository.Locks{Objects: 9, Horizon: now.Add(hold)}, ""},
		"about to be put off": {repository.Locks{Objects: 9, Horizon: now.Add(hold/2 - hold/16)}, ""},
		"nobody puts it off":  {repository.Locks{Objects: 9, Horizon: now.Add(hold / 3)}, "not being extended"},
		"run out":             {repository.Locks{Objects: 9, Horizon: now.Add(-time.Hour)}, "not being extended"},
		"never protected":     {repository.Locks{Objects: 9, Unprotected: 2}, "2 of 9"},
	} {
		got := c.locks.Alarm(hold, now)
		if (got == "") != (c.alarm == "") || !strings.Contains(got, c.alarm) {
			t.Errorf("%s: alarm %q", name, got)
		}
	}
}
