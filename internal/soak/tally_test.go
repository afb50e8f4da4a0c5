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
	deleted    map[string]int // at one site, because it was given up
	checks     int            // of a site
	restored   int            // recovery points that came back, at one site each
	promised   int
	violations int
}

func newTally() *tally {
	return &tally{kills: map[string]int{}, operations: map[string]int{}, faults: map[string]int{}, deleted: map[string]int{}}
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
	row := func(name string, n int, detail string) { fmt.Fprintf(&b, "| %s | %d | %s |\n", name, n, detail) }
	b.WriteString("| what | how often | of which |\n| --- | --- | --- |\n")
	row("operations", total(t.operations), details(t.operations))
	row("kills", total(t.kills), details(t.kills))
	row("faults", total(t.faults), details(t.faults))
	row("recovery points and commits that went, at one site", total(t.deleted), details(t.deleted))
	row("looks at all that a site claims", t.checks, "")
	row("recovery points read back from one site, byte for byte", t.restored, "")
	row("recovery points that the program had reported", t.promised, "")
	row("**violations**", t.violations, "")
	return b.String()
}

// details lists the counts, the highest first.
func details(counts map[string]int) string {
	names := slices.Sorted(maps.Keys(counts))
	slices.SortStableFunc(names, func(a, b string) int { return counts[b] - counts[a] })
	for i, name := range names {
		names[i] = fmt.Sprintf("%s %d", name, counts[name])
	}
	return strings.Join(names, ", ")
}
