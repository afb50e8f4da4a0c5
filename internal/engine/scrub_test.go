package engine_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/engine"
)

// What has not been read for longer than it may shows in the status, and a scrub
// ends it.
func TestUnreadBeyondTheBoundIsDegraded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, extra{more: "scrub: {every: 48h}\n"})
	w.take(t, "payments")
	overdue := func() bool {
		t.Helper()
		s, err := w.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, site := range s.Sites {
			if site.OldestUnread.IsZero() || site.OldestUnread.After(s.Time) {
				t.Errorf("site %s: oldest unread %v at %v", site.Site, site.OldestUnread, s.Time)
			}
		}
		return slices.ContainsFunc(s.Reasons, func(r string) bool { return strings.Contains(r, "has not been read for") })
	}
	if overdue() {
		t.Error("what was just written is overdue")
	}
	w.clock.advance(71 * time.Hour) // the bound, and nearly a day
	if overdue() {
		t.Error("overdue within a day of the bound")
	}
	w.clock.advance(2 * time.Hour)
	if !overdue() {
		t.Error("three days later nothing is overdue")
	}
	results, err := w.Scrub(t.Context(), engine.ScrubRequest{Sites: []string{"onsite"}}, nil)
	if err != nil || len(results) != 1 || results[0].Objects == 0 {
		t.Fatalf("%+v, %v", results, err)
	}
	sites, err := w.Sites(t.Context())
	if err != nil || sites.Sites[0].Unread.AgeSeconds > 60 || sites.Sites[1].Unread.AgeSeconds < 72*3600 ||
		sites.Sites[1].Unread.BoundSeconds != 48*3600 || !sites.Sites[1].Degraded {
		t.Errorf("%+v, %v", sites, err)
	}
}

// The verdict of a scrub is the worst of what it found.
func TestVerdictOfAScrub(t *testing.T) {
	t.Parallel()
	w := newWorld(t, extra{})
	w.take(t, "payments")
	all := func(want error) []engine.ScrubResult {
		t.Helper()
		results, err := w.Scrub(t.Context(), engine.ScrubRequest{All: true}, nil)
		if want == nil && err != nil || !errors.Is(err, want) {
			t.Errorf("%+v: %v, want %v", results, err, want)
		}
		return results
	}
	packs := func(name string) bool { return strings.HasPrefix(name, "p/") }
	all(nil)
	w.remove(t, "cloud", packs)
	if r := all(engine.ErrDegraded); r[1].Missing == 0 || r[1].Mended != r[1].Missing {
		t.Errorf("%+v", r)
	}
	all(nil)
	w.links["cloud"].Cut()
	r, err := w.Scrub(t.Context(), engine.ScrubRequest{All: true}, nil)
	if err == nil || errors.Is(err, engine.ErrDegraded) || errors.Is(err, engine.ErrDifference) || r[1].Error == "" || r[0].Error != "" || r[0].Objects == 0 {
		t.Errorf("%+v, %v", r, err)
	}
	w.links["cloud"].Restore()
	w.remove(t, "cloud", packs)
	w.remove(t, "onsite", packs)
	lost := all(engine.ErrDifference)
	for _, site := range lost {
		for _, o := range site.Wrong {
			if !o.Lost || len(o.Snapshots) != 1 {
				t.Errorf("site %s: %+v", site.Site, o)
			}
		}
	}
	if _, err := w.Scrub(t.Context(), engine.ScrubRequest{Sites: []string{"nowhere"}}, nil); !errors.Is(err, engine.ErrUsage) {
		t.Errorf("a site that there is not: %v", err)
	}
	if _, err := w.Scrub(t.Context(), engine.ScrubRequest{Budget: -1}, nil); !errors.Is(err, engine.ErrUsage) {
		t.Errorf("a negative budget: %v", err)
	}
}
