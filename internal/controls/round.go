package controls

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/saypro/backupd/internal/clock"
	"github.com/saypro/backupd/internal/evidence"
	"github.com/saypro/backupd/internal/progress"
	"github.com/saypro/backupd/internal/repository"
	"github.com/saypro/backupd/internal/verify"
)

var (
	// ErrMissed means that a planted fault was not noticed, or not where it must
	// be: what the verifier says can not be relied on.
	ErrMissed = errors.New("a planted fault was missed")
	// ErrVoid means that a round says nothing: the clean copy was not proven, or
	// there was none.
	ErrVoid = errors.New("the round is void")
	// ErrUnknown marks a fault that there is not.
	ErrUnknown = errors.New("there is no such fault")
)

// Round is what a round of controls works with.
type Round struct {
	// Dir is a folder of this host that belongs to the round alone and is
	// removed by [Round.Clear]; its name makes the prefix at the site.
	Dir string
	// Site is the name of the site that the copies are put on, StandIn why that
	// is a folder of this host, if it is.
	Site    string
	StandIn string
	// Open opens the disposable place at a prefix below the one of the round.
	// Its stores may write, read and delete.
	Open func(prefix string) (repository.Site, error)
	// Cold makes a cold start as all are made. The error is that of one that was
	// not carried out to its end, which the result tells as well.
	Cold func(ctx context.Context, s ColdStart) (verify.Result, error)
	// Locked is a real bucket with object lock.
	Locked Locked
	Clock  clock.Clock
	Log    *slog.Logger
	// Report is told which fault is planted.
	Report progress.Reporter

	// aloud tells what is not planted.
	aloud *slog.Logger
	// prove, in tests, is a verifier that somebody broke.
	prove func(verify.Result) verify.Result
}

// Break puts a verifier to use whose results are not what it found: tests of
// whoever makes rounds look with it whether a round fails then. Such a round
// never passes. nil breaks nothing.
func (r *Round) Break(result func(verify.Result) verify.Result) { r.prove = result }

// Faults lists the faults of a whole round in their order: what is planted, and
// what must catch it.
func Faults() []evidence.Fault {
	var out []evidence.Fault
	for _, f := range faults() {
		out = append(out, evidence.Fault{ID: f.id, Planted: f.planted, Expected: f.expected})
	}
	return out
}

// Check returns an error that matches [ErrUnknown] when there is no fault of one
// of those ids.
func Check(only []string) error {
	_, err := choose(only)
	return err
}

// Run plants the faults named in only, all when there are none, each on a fresh
// copy. The result is whole also with an error, as far as the round came: one
// that matches [ErrMissed] says that the verifier failed, one that matches
// [ErrVoid] that nothing is known, and any other that the round could not be
// carried out.
func (r *Round) Run(ctx context.Context, only []string) (out evidence.Controls, err error) {
	chosen, err := choose(only)
	if err != nil {
		return out, err
	}
	started := r.Clock.Now()
	out = evidence.Controls{Faults: []evidence.Fault{}, Site: r.Site, StandIn: r.StandIn, Only: only, NotApplicable: notApplicable(only)}
	defer func() { out.Seconds = r.Clock.Now().Sub(started).Seconds() }()
	own := *r
	own.Log, own.aloud = asPlanted(r.Log), r.Log
	s, err := own.stage(ctx)
	if err != nil {
		return out, fmt.Errorf("%w: the disposable copies could not be made: %w", ErrVoid, err)
	}
	defer func() { err = errors.Join(err, s.close(ctx)) }()
	if out.Clean, err = s.clean(ctx); err != nil {
		return out, err
	}
	if slices.ContainsFunc(chosen, fault.cold) {
		if out.Clean, err = s.cleanCold(ctx); err != nil {
			return out, err
		}
	}
	for i, f := range chosen {
		r.Report.Report(progress.Event{
			Phase: "controls", Site: r.Site, Done: int64(i), Total: int64(len(chosen)), Unit: "faults", Message: f.id + ": " + f.planted,
		})
		found, why, err := s.try(ctx, f)
		if err != nil {
			return out, err
		}
		if why != "" {
			out.NotApplicable = append(out.NotApplicable, evidence.NotApplicable{ID: f.id, Why: why})
			continue
		}
		out.Faults = append(out.Faults, found)
	}
	if err := judge(out); err != nil || r.prove == nil {
		return out, err
	}
	return out, fmt.Errorf("%w: the verifier was broken on purpose, and nothing was missed", ErrVoid)
}

// judge says what is wrong with a round that came to its end.
func judge(c evidence.Controls) error {
	var missed []string
	for _, f := range c.Faults {
		if !f.Red {
			missed = append(missed, fmt.Sprintf("%s: %s expected, %s: %s", f.ID, f.Expected, caughtBy(f), f.Detail))
		}
	}
	switch {
	case len(missed) > 0:
		return fmt.Errorf("%w, %d of %d: %s", ErrMissed, len(missed), len(c.Faults), strings.Join(missed, "; "))
	case len(c.Faults) == 0:
		return fmt.Errorf("%w: no fault was planted", ErrVoid)
	}
	return nil
}

func caughtBy(f evidence.Fault) string {
	if f.Caught == "" {
		return "nothing caught it"
	}
	return f.Caught + " caught it"
}

// choose returns the faults of those ids, all when there are none.
func choose(only []string) ([]fault, error) {
	all := faults()
	if len(only) == 0 {
		return all, nil
	}
	var out []fault
	for _, id := range only {
		i := slices.IndexFunc(all, func(f fault) bool { return f.id == id })
		if i < 0 {
			return nil, unknown(id)
		}
		out = append(out, all[i])
	}
	return out, nil
}

// Listed is the ids of all faults, three in a line: there are too many for one.
func Listed() string {
	var lines []string
	for three := range slices.Chunk(faults(), 3) {
		line := ""
		for _, f := range three {
			line += fmt.Sprintf("  %-24s", f.id)
		}
		lines = append(lines, strings.TrimRight(line, " "))
	}
	return strings.Join(lines, "\n")
}

// unknown says that there is no such fault, and which is meant perhaps or, when
// none is like it, which there are.
func unknown(id string) error {
	if near := alike(id); len(near) > 0 {
		return fmt.Errorf("%w: %q; did you mean %s? 'backupd drill controls --help' lists them all", ErrUnknown, id, strings.Join(near, " or "))
	}
	return fmt.Errorf("%w: %q; there are\n%s", ErrUnknown, id, Listed())
}

// alike returns the ids, three at most, that have most words in common with one
// that there is not.
func alike(id string) (out []string) {
	most := 1
	for _, f := range faults() {
		n := wordsIn(id, f.id) + wordsIn(f.id, id)
		if n > most {
			out, most = nil, n
		}
		if n == most && len(out) < 3 {
			out = append(out, f.id)
		}
	}
	return out
}

// wordsIn counts the words of an id that occur in another text. A letter or two
// occur in too many.
func wordsIn(id, text string) (n int) {
	for word := range strings.SplitSeq(id, "-") {
		if len(word) > 2 && strings.Contains(text, word) {
			n++
		}
	}
	return n
}
