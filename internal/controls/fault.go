package controls

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/saypro/backupd/internal/evidence"
	"github.com/saypro/backupd/internal/verify"
)

// fault is one thing that goes wrong in life, planted.
type fault struct {
	id      string
	planted string
	// expected is the level or the check that must catch it, and naming what
	// its finding must tell of: that something else is red is no catch.
	expected string
	naming   string
	// try plants it on a copy of its own and has it looked for.
	try func(ctx context.Context, c *replica) (finding, error)
}

// finding is what came of looking for a fault.
type finding struct {
	caught string // the level or the check; empty when none was red
	detail string // what it said
}

// errNotHere means that a fault cannot be planted on this host.
var errNotHere = errors.New("not applicable here")

// notHere says why a fault cannot be planted on this host.
func notHere(why string) error { return fmt.Errorf("%w: %s", errNotHere, why) }

// faults are all faults of a round, in the order in which they are planted.
func faults() []fault {
	return slices.Concat(objectFaults(), contentFaults(), captureFaults(), structureFaults(), checkFaults(), staleFaults(), coldFaults(), coldStartFaults(), lockFaults(), realLockFaults(), recordFaults())
}

// try plants one fault on a fresh copy. why, when not empty, says that it could
// not be planted here. That the verifier could not be carried out is no catch:
// inconclusive is not red.
func (s *stage) try(ctx context.Context, f fault) (out evidence.Fault, why string, err error) {
	out = evidence.Fault{ID: f.id, Planted: f.planted, Expected: f.expected}
	started := s.Clock.Now()
	found, err := s.tryOn(ctx, f)
	out.Seconds = s.Clock.Now().Sub(started).Seconds()
	switch {
	case ctx.Err() != nil:
		return out, "", ctx.Err()
	case errors.Is(err, errNotHere):
		return out, strings.TrimPrefix(err.Error(), errNotHere.Error()+": "), nil
	case err != nil:
		out.Detail = "inconclusive: " + err.Error()
		return out, "", nil
	}
	out.Caught, out.Detail = found.caught, found.detail
	out.Red = found.caught == f.expected && strings.Contains(found.detail, f.naming)
	return out, "", nil
}

func (s *stage) tryOn(ctx context.Context, f fault) (found finding, err error) {
	c, err := s.replica(ctx, f.id)
	if err != nil {
		return found, fmt.Errorf("make a copy to spoil: %w", err)
	}
	defer func() { err = errors.Join(err, c.close()) }()
	return f.try(ctx, c)
}

// red reads a proof as whoever relies on it would: the first check that failed,
// if the proof says that there is a difference.
func red(r verify.Result) finding {
	if r.Passed || !r.Difference {
		return finding{detail: fmt.Sprintf("nothing was found, %s holds", r.Level)}
	}
	for _, check := range r.Checks {
		if check.Status == verify.Fail {
			return finding{caught: check.Level, detail: failures(r, check.Level)}
		}
	}
	return finding{detail: "a difference is told, and no check failed"}
}

// failures tells of everything that failed at a level.
func failures(r verify.Result, level string) string {
	var out []string
	for _, check := range r.Checks {
		if check.Status == verify.Fail && check.Level == level {
			out = append(out, check.Name+": "+check.Detail)
		}
	}
	return strings.Join(out, "; ")
}
