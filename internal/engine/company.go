package engine

import (
	"context"
	"slices"
	"sync"
	"time"
)

// The kinds of restores that measure how long they take.
const (
	aProof     = "proof"
	aColdStart = "cold start"
)

// apartFor is how long a proof or a cold start on schedule waits for the other
// to end. Then it goes on beside it, and the record says so: one that is stuck
// must not keep the rest from being proven.
const apartFor = time.Hour

// company knows which proofs and cold starts run, and which ran at the same time.
type company struct {
	mu   sync.Mutex
	here map[*guest]bool
}

// guest is one of them.
type guest struct {
	kind, name string
	met        map[string]bool // names of others, guarded by company.mu
}

// enter notes that one begins.
func (c *company) enter(kind, function, site string) *guest {
	g := &guest{kind: kind, name: kind + " of " + function + " from " + site, met: map[string]bool{}}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.here == nil {
		c.here = map[*guest]bool{}
	}
	for other := range c.here {
		g.met[other.name], other.met[g.name] = true, true
	}
	c.here[g] = true
	return g
}

// leave notes that it has ended, and returns what ran at the same time.
func (c *company) leave(g *guest) (beside []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.here, g)
	for name := range g.met {
		beside = append(beside, name)
	}
	slices.Sort(beside)
	return beside
}

func (c *company) any(kind string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for g := range c.here {
		if g.kind == kind {
			return true
		}
	}
	return false
}

// apart waits until none of a kind runs, as both would take longer than they
// need, and measure that. The error is that of ctx.
func (e *Engine) apart(ctx context.Context, from string) error {
	const pause = 500 * time.Millisecond
	for waited := time.Duration(0); e.company.any(from) && waited < apartFor; waited += pause {
		if err := e.clock.Sleep(ctx, pause); err != nil {
			return err
		}
	}
	return ctx.Err()
}
