//go:build crash

package crash

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Variable is where the program is told when to end.
const Variable = "BACKUPD_CRASH"

// order is when to end.
type order struct {
	mu     sync.Mutex
	at     Name // empty: anywhere
	passes int  // still to come, this one included
	random *rand.Rand
	chance float64
}

// given is read before the program begins, so that a wrong order is an error
// and not a run that never came by.
var given = read()

func read() *order {
	text := os.Getenv(Variable)
	if text == "" {
		return nil
	}
	o, err := parse(text)
	if err != nil {
		fmt.Fprintln(os.Stderr, err) // there is nobody else to tell
		os.Exit(64)
	}
	return o
}

func parse(text string) (*order, error) {
	fail := fmt.Errorf("%s=%s: it is NAME, NAME:PASSAGE or random:SEED:PROBABILITY", Variable, text)
	parts := strings.Split(text, ":")
	if parts[0] == "random" {
		if len(parts) != 3 {
			return nil, fail
		}
		seed, err := strconv.ParseUint(parts[1], 10, 64)
		if err != nil {
			return nil, fail
		}
		chance, err := strconv.ParseFloat(parts[2], 64)
		if err != nil {
			return nil, fail
		}
		return &order{random: rand.New(rand.NewPCG(seed, 0)), chance: chance}, nil //nolint:gosec // guards nothing
	}
	o := &order{at: Name(parts[0]), passes: 1}
	if !slices.Contains(points, o.at) || len(parts) > 2 {
		return nil, fail
	}
	if len(parts) == 2 {
		n, err := strconv.Atoi(parts[1])
		if err != nil || n < 1 {
			return nil, fail
		}
		o.passes = n
	}
	return o, nil
}

// due reports whether this passage is the last one.
func (o *order) due(name Name) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.random != nil {
		return o.random.Float64() < o.chance
	}
	if name != o.at {
		return false
	}
	o.passes--
	return o.passes == 0
}

// Point ends the program here if that was asked for, with the signal that no
// program can handle.
func Point(name Name) {
	if fn := watcher.Load(); fn != nil {
		(*fn)(name)
	}
	if given == nil || !given.due(name) {
		return
	}
	// The harness counts from this how often each point was met.
	fmt.Fprintf(os.Stderr, "crash: %s\n", name)
	self, err := os.FindProcess(os.Getpid())
	if err == nil {
		err = self.Kill()
	}
	if err != nil {
		os.Exit(65)
	}
	select {} // the signal is on its way
}
