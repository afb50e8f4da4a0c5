package progress

import (
	"maps"
	"sync"
	"time"

	"github.com/saypro/backupd/internal/clock"
)

// Phases adds up how long each phase of an operation takes. Its methods are
// safe for concurrent use; phases may overlap.
type Phases struct {
	clock clock.Clock

	mu    sync.Mutex
	spent map[string]time.Duration
}

// NewPhases returns phases of which none has begun.
func NewPhases(c clock.Clock) *Phases {
	return &Phases{clock: c, spent: map[string]time.Duration{}}
}

// Begin starts a phase and returns the function that ends it.
func (p *Phases) Begin(name string) (end func()) {
	start := p.clock.Now()
	return func() {
		took := p.clock.Now().Sub(start)
		p.mu.Lock()
		defer p.mu.Unlock()
		p.spent[name] += took
	}
}

// Seconds returns the time spent in each phase that has ended.
func (p *Phases) Seconds() map[string]float64 {
	p.mu.Lock()
	spent := maps.Clone(p.spent)
	p.mu.Unlock()
	out := make(map[string]float64, len(spent))
	for name, d := range spent {
		out[name] = d.Seconds()
	}
	return out
}
