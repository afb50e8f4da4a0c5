package soak

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
)

// tally counts what a run did and found.
type tally struct {
	mu         sync.Mutex
	kills      map[string]int // by the point, or by the moment
	operations map[string]int
	faults     map[string]int
	checks     int // of a site
	restored   int // recovery points that came back, at one site each
	promised   int
	violations int
}

func newTally() *tally {
	return &tally{kills: map[string]int{}, operations: map[string]int{}, faults: map[string]int{}}
}

func (t *tally) count(what map[string]int, name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	what[name]++
}

func total(counts map[string]int) (n int) {
	for _, c := range counts {
		n += c
	}
	return n
}

// String is a table for docs/reliability.md.
func (t *tally) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var b strings.Builder
	row := func(name string, n int) { fmt.Fprintf(&b, "| %s | %d |\n", name, n) }
	b.WriteString("| | |\n| --- | --- |\n")
	for _, part := range []struct {
		title  string
		counts map[string]int
	}{{"operations", t.operations}, {"kills", t.kills}, {"faults", t.faults}} {
		row("**"+part.title+"**", total(part.counts))
		for _, name := range slices.Sorted(maps.Keys(part.counts)) {
			row(name, part.counts[name])
		}
	}
	row("checks of a site", t.checks)
	row("recovery points read back from one site, byte for byte", t.restored)
	row("recovery points that the program had reported", t.promised)
	row("**violations**", t.violations)
	return b.String()
}
