package repository

import (
	"testing"
	"time"
)

// Since when a site is away is known after a restart, too, and forgotten when it
// is back.
func TestAwaySinceOutlivesARestart(t *testing.T) {
	b := newBench(t)
	b.inStep(t)
	health := func() SiteHealth {
		h, err := b.Health()
		if err != nil {
			t.Fatal(err)
		}
		return h["cloud"]
	}
	fails := func() bool { b.clock.Advance(20 * time.Second); return health().Failing }
	var since time.Time
	b.away(t, "cloud", func() {
		waitFor(t, fails)
		since = health().Since
		b.stop()
		b.clock.Advance(3 * time.Hour)
		b.open(t)
		waitFor(t, fails)
		if got := health().Since; !got.Truncate(time.Second).Equal(since.Truncate(time.Second)) {
			t.Errorf("away since %s, before the restart since %s", got, since)
		}
	})
	waitFor(t, func() bool { return !fails() })
	b.stop()
	b.open(t)
	b.away(t, "cloud", func() {
		waitFor(t, fails)
		if got := health().Since; !got.After(since.Add(time.Hour)) {
			t.Errorf("away since %s, which is the time before it was back", got)
		}
	})
	waitFor(t, func() bool { return !fails() })
}
