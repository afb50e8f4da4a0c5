package show

import (
	"fmt"
	"strings"
	"time"

	"github.com/saypro/backupd/internal/progress"
)

// rateWindow is the time over which a rate is measured: long enough to be
// steady, short enough to follow a site that slows down.
const rateWindow = 15 * time.Second

// key identifies one phase of one function at one site.
type key struct{ function, phase, site string }

// phase is how far one of them has come.
type phase struct {
	key
	now     progress.Event
	samples []sample
	first   time.Time
	moved   time.Time // when it last moved
	changed bool      // since it was last shown
	told    bool      // its end was shown
	over    bool      // without a known end, and another has begun since
}

type sample struct {
	at   time.Time
	done int64
}

// phases follows every phase in the order in which they appeared.
type phases struct {
	known map[key]*phase
	order []*phase
}

func (ps *phases) add(e progress.Event, at time.Time) {
	p, begins := ps.find(key{e.Function, e.Phase, e.Site})
	again := e.Done < p.now.Done || e.Total > p.now.Total && p.told || p.over
	if begins || again {
		ps.closeOpen(p)
	}
	// What is announced and has not moved yet waits for other phases: its time
	// counts from when it gets going.
	if begins || again || e.Done == 0 && e.Total > 0 {
		p.samples, p.first, p.told, p.over, p.changed = nil, at, false, false, true
	}
	if p.moved.IsZero() || e.Done != p.now.Done || e.Total != p.now.Total {
		p.changed, p.moved = true, at
	}
	p.now = e
	p.sample(at)
}

// find returns the phase of that key, and whether it is a new one.
func (ps *phases) find(k key) (p *phase, begins bool) {
	if p = ps.known[k]; p != nil {
		return p, false
	}
	if ps.known == nil {
		ps.known = map[key]*phase{}
	}
	p = &phase{key: k}
	ps.known[k] = p
	ps.order = append(ps.order, p)
	return p, true
}

// closeOpen closes the phases of a function that have no known end: that the
// next one begins is all that anybody learns of it.
func (ps *phases) closeOpen(next *phase) {
	for _, p := range ps.order {
		if p != next && p.function == next.function && p.now.Total == 0 {
			p.over = true
		}
	}
}

// sample keeps about ten points of the rate window.
func (p *phase) sample(at time.Time) {
	if n := len(p.samples); n > 0 && at.Sub(p.samples[n-1].at) < rateWindow/10 {
		return
	}
	p.samples = append(p.samples, sample{at, p.now.Done})
	for len(p.samples) > 2 && at.Sub(p.samples[0].at) > rateWindow {
		p.samples = p.samples[1:]
	}
}

func (p *phase) finished() bool { return p.now.Total > 0 && p.now.Done >= p.now.Total }

// active reports whether the phase deserves a line: until it is at its end, so
// that one that hangs is seen to hang.
func (p *phase) active() bool { return !p.over && !p.finished() }

// rate returns units per second at the moment; 0 when it is too early to
// tell.
func (p *phase) rate(at time.Time) float64 {
	if len(p.samples) == 0 {
		return 0
	}
	span := at.Sub(p.samples[0].at)
	if span < 500*time.Millisecond {
		return 0
	}
	return float64(p.now.Done-p.samples[0].done) / span.Seconds()
}

// line shows the phase as it stands: "payments copy  1.2 GiB of 4.0 GiB, 30%,
// 101 MiB/s, 28s left". Percents are cut, so that 100% means done.
func (p *phase) line(at time.Time) string {
	if p.now.Total == 0 && p.now.Done == 0 {
		if took := at.Sub(p.first).Truncate(time.Second); took > 0 {
			return p.name() + "  " + Duration(took)
		}
		return p.name()
	}
	parts := []string{p.amount(p.now.Done)}
	if p.now.Total > 0 {
		parts[0] += " of " + p.amount(p.now.Total)
		parts = append(parts, fmt.Sprintf("%d%%", p.percent()))
	}
	rate := p.rate(at)
	if rate > 0 {
		parts = append(parts, p.amount(int64(rate))+"/s")
	}
	if left := p.now.Total - p.now.Done; rate > 0 && left > 0 {
		parts = append(parts, Seconds(float64(left)/rate)+" left")
	}
	return p.name() + "  " + strings.Join(parts, ", ")
}

func (p *phase) percent() int {
	share := float64(p.now.Done) / float64(p.now.Total) * 100
	if share >= 100 && !p.finished() {
		return 99
	}
	return min(int(share), 100)
}

// lastLine shows a phase that has come to its end.
func (p *phase) lastLine() string {
	took := p.moved.Sub(p.first)
	line := p.name() + "  " + p.amount(p.now.Done) + " in " + Duration(took)
	if s := took.Seconds(); s >= 0.5 {
		line += ", " + p.amount(int64(float64(p.now.Done)/s)) + "/s"
	}
	return line
}

func (p *phase) name() string {
	return nameOf(p.now)
}

func nameOf(e progress.Event) string {
	parts := make([]string, 0, 3)
	for _, part := range []string{e.Function, e.Phase, e.Site} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, " ")
}

func (p *phase) amount(n int64) string {
	if p.now.Unit == "" || p.now.Unit == "bytes" {
		return Bytes(n)
	}
	return Count(n) + " " + p.now.Unit
}
