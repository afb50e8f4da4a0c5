package repository

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/saypro/backupd/internal/catalog"
)

// failer is a test, of rapid or not.
type failer interface {
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// pacedSite is a site as the pacer sees it.
type pacedSite struct {
	pacer
	now, first time.Time
	last       time.Time
	holdings   []catalog.Holding
	away       []time.Duration // of each step so far, how much of it the site was away
	read       int64
}

func (m *pacedSite) each(fn func(catalog.Holding) error) error {
	for _, h := range m.holdings {
		if err := fn(h); err != nil {
			return err
		}
	}
	return nil
}

// step lets the time of a step pass and reads as a rotation does.
func (m *pacedSite) takeStep(t failer, away bool) {
	m.now = m.now.Add(m.step)
	if m.away = append(m.away, 0); away {
		m.away[len(m.away)-1] = m.step
		return
	}
	need, err := m.need(m.now, m.first, m.each)
	if err != nil {
		t.Fatal(err)
	}
	budget := m.share(m.now.Sub(m.last), need)
	m.last = m.now
	slices.SortStableFunc(m.holdings, byAge)
	for i := range m.holdings {
		h := &m.holdings[i]
		if budget <= 0 || !knownRight(*h, m.now).Before(m.soonest(m.now)) {
			break
		}
		h.Read = m.now
		budget -= h.Size
		m.credit -= float64(h.Size)
		m.read += h.Size
	}
}

// awaySince returns for how long the site was away since a moment.
func (m *pacedSite) awaySince(at time.Time) (sum time.Duration) {
	steps := min(len(m.away), int(m.now.Sub(at)/m.step)+1)
	for _, d := range m.away[len(m.away)-steps:] {
		sum += d
	}
	return sum
}

func (m *pacedSite) check(t failer) {
	for _, h := range m.holdings {
		at := h.Read
		if at.IsZero() {
			at = m.first
		}
		if age := m.now.Sub(at) - m.awaySince(at); age > m.every {
			t.Fatalf("step %d: %s of %d bytes has not been read for %v, %v of it with the site there; the bound is %v",
				len(m.away), h.Name, h.Size, m.now.Sub(at), age, m.every)
		}
	}
}

// Whatever is written, however often the service is restarted and for however
// long a site is away: while it can be read nothing remains unread for longer
// than the period, and no more is read than twice as much as there is.
func TestPaceKeepsTheBound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		start := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
		m := &pacedSite{pacer: pacer{every: 720 * time.Hour, step: time.Hour}, now: start, first: start, last: start}
		size := rapid.OneOf(rapid.Int64Range(0, 2000), rapid.Int64Range(1<<20, 64<<20))
		add := func(n int, known bool) {
			for range n {
				h := catalog.Holding{Entry: catalog.Entry{Name: fmt.Sprint(len(m.holdings)), Size: size.Draw(t, "size")}}
				if known {
					h.Read = m.now
				}
				m.holdings = append(m.holdings, h)
			}
		}
		add(rapid.IntRange(1, 20).Draw(t, "there"), rapid.Bool().Draw(t, "known"))
		var most int64 // bytes times steps
		for len(m.away) < 2*720 {
			switch rapid.IntRange(0, 9).Draw(t, "what") {
			case 0:
				add(rapid.IntRange(1, 5).Draw(t, "new"), true)
			case 1:
				m.pacer = pacer{every: m.every, step: m.step} // a restart
			case 2:
				for range rapid.IntRange(1, 200).Draw(t, "away") {
					m.takeStep(t, true)
				}
			}
			for range rapid.IntRange(1, 100).Draw(t, "steps") {
				m.takeStep(t, false)
				m.check(t)
			}
			var held int64
			for _, h := range m.holdings {
				held += h.Size
			}
			most = held
		}
		periods := float64(len(m.away)) / 720
		if allowed := int64(2*(periods+1)*float64(most)) + 64<<20; m.read > allowed {
			t.Fatalf("%d bytes read in %.1f periods of %d bytes", m.read, periods, most)
		}
	})
}

func modelOf(start time.Time, holdings ...catalog.Holding) *pacedSite {
	return &pacedSite{
		pacer: pacer{every: 720 * time.Hour, step: time.Hour}, now: start, first: start, last: start, holdings: holdings,
	}
}

func held(name string, size int64, read time.Time) catalog.Holding {
	return catalog.Holding{Entry: catalog.Entry{Name: name, Size: size}, Copy: catalog.Copy{Read: read}}
}

// What was written at once is read bit by bit all the same.
func TestPaceIsEven(t *testing.T) {
	start := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	m := modelOf(start)
	for i := range 1000 {
		m.holdings = append(m.holdings, held(fmt.Sprint(i), 5000, start))
	}
	for step := range 3 * 720 {
		before := m.read
		m.takeStep(t, false)
		m.check(t)
		if n := m.read - before; n > 3*5000*1000/720+5000 {
			t.Fatalf("step %d reads %d bytes", step, n)
		}
	}
	if m.read > 5*5000*1000 {
		t.Errorf("%d bytes read in three periods", m.read)
	}
}

// An object larger than its share is paid for by reading less afterwards, but
// not by letting another one wait too long.
func TestPaceAfterALargeObject(t *testing.T) {
	start := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	m := modelOf(start, held("large", 64<<20, start.Add(-300*time.Hour)), held("small", 1, start))
	for range 3 * 720 {
		m.takeStep(t, false)
		m.check(t)
	}
}

// The same with the rotation itself, on sites.
func TestRotationReadsEverything(t *testing.T) {
	b, rnd := newBench(t), seeded(t)
	for range 5 {
		b.durable(t, b.write(t, "payments", map[string][]byte{"t": someRows(rnd, 300)}))
	}
	const every = 12 * time.Hour
	rotate := func() (stop func()) {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); b.KeepScrubbed(ctx, every) }()
		return func() { cancel(); <-done }
	}
	stop := rotate()
	snap := b.write(t, "payments", map[string][]byte{"t": someRows(rnd, 300)})
	b.durable(t, snap)
	name := catalog.PackName(snap.Packs[0].SHA256)
	for i := range 90 {
		b.clock.Advance(every / 60)
		waitFor(t, func() bool {
			for _, site := range b.siteNames() {
				at, err := b.metaTime(stepKey(site))
				if err != nil || at.Before(b.clock.Now()) {
					return false
				}
			}
			return b.clock.Sleepers() >= 2
		})
		if i%20 == 19 {
			stop()
			stop = rotate()
		}
		if i == 30 {
			b.rewrite(t, "cloud", name, flipped)
		}
	}
	stop()
	for _, site := range b.siteNames() {
		u, err := b.Unread(site)
		if err != nil || u.Never > 0 || b.clock.Now().Sub(u.Oldest) > every {
			t.Errorf("site %s: %+v at %v (%v)", site, u, b.clock.Now(), err)
		}
	}
	if sum(mustRead(t, filepath.Join(b.roots["cloud"], name))) != snap.Packs[0].SHA256 {
		t.Error("the damaged object was not put right")
	}
}
