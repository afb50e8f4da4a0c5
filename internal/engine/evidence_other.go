package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/saypro/backupd/internal/evidence"
	"github.com/saypro/backupd/internal/repository"
)

const (
	// lookEvery is how often sites are asked whether they keep records that are
	// not ours.
	lookEvery = time.Hour
	// lookBack is from how many records before the end on: others that go on with
	// the same log are there, and a year of it need not be listed each time.
	lookBack = 2000
)

// errForked marks evidence that is not part of this host's log.
var errForked = errors.New("the log of evidence has gone on elsewhere, or this host went back to an earlier state of itself")

// errUnseen marks what may be other evidence.
var errUnseen = errors.New("it could not be looked at")

// joinSegment returns an error for a run of records of our own log that this host
// does not have, or has otherwise.
func (e *Engine) joinSegment(id string, first uint64, count int, content []byte) error {
	if id != logID(e.evidence) || e.evidence.Size() == 0 {
		return nil
	}
	s, err := evidence.ParseSegment(content)
	if err != nil {
		return err
	}
	if size := e.evidence.Size(); s.To > size {
		return fmt.Errorf("%w: it has records %d to %d, and this host has %d", errForked, s.From, s.To-1, size)
	}
	i := 0
	for ours, err := range e.evidence.Envelopes(first, first+uint64(count)) {
		if err != nil {
			return err
		}
		if !bytes.Equal(ours, s.Envelopes[i]) {
			return fmt.Errorf("%w: record %d is another one here", errForked, first+uint64(i))
		}
		i++
	}
	return nil
}

// lookForOthers finds out whether sites keep records of our log that are not ours,
// and has the status say so.
func (e *Engine) lookForOthers(ctx context.Context) {
	size := e.evidence.Size()
	if waits, err := e.awaitsEvidence(); err != nil || waits || size == 0 {
		return
	}
	var found []string
	for _, site := range e.cfg.SiteOrder {
		err := e.lookForOthersAt(ctx, site, size-min(size, lookBack))
		switch {
		case err == nil:
		case ctx.Err() != nil:
			return
		case errors.Is(err, errForked):
			e.log.Error("a site keeps evidence that is not this host's", "site", site, "error", err)
			found = append(found, fmt.Sprintf("site %s: %v; see that only one host works here, and keep what both have for the auditor: docs/operations.md, Two histories", site, err))
		case errors.Is(err, errUnseen):
			e.log.Warn("a site keeps what may be other evidence and cannot be looked at", "site", site, "error", err)
			found = append(append(found, e.saidOf(site)...), fmt.Sprintf("evidence at site %s: %v; another history may hide there: find out who wrote it, docs/operations.md, Whose evidence", site, err))
		default:
			e.log.Warn("a site could not be asked whether it keeps other evidence", "site", site, "error", err)
			found = append(found, e.saidOf(site)...)
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.otherEvidence = found
}

// saidOf keeps what was found of another history at a site that cannot be asked now.
func (e *Engine) saidOf(site string) (out []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, said := range e.otherEvidence {
		if strings.HasPrefix(said, "site "+site+": ") {
			out = append(out, said)
		}
	}
	return out
}

// lookForOthersAt looks at all that a site has: one object that cannot be read must
// not hide what comes behind it, nor so many that there is no time for all.
func (e *Engine) lookForOthersAt(ctx context.Context, site string, from uint64) error {
	bounded, cancel := context.WithTimeout(ctx, elsewherePatience)
	defer cancel()
	objects, err := e.repository.EvidenceAt(bounded, site, logID(e.evidence), from)
	var found findings
	for i, o := range objects {
		if bounded.Err() != nil {
			err = fmt.Errorf("%d of %d objects", len(objects)-i, len(objects))
			break
		}
		if err := e.lookAtOther(bounded, site, o); err != nil {
			found = append(found, fmt.Errorf("%s: %w", o.Name(), err))
		}
	}
	if err != nil && errors.Is(bounded.Err(), context.DeadlineExceeded) {
		found = append(found, fmt.Errorf("%w within %v: %w", errUnseen, elsewherePatience, err))
	} else if err != nil {
		return err
	}
	if len(found) == 0 {
		return nil
	}
	// What is another history's comes first, since not all may be shown.
	slices.SortStableFunc(found, func(a, b error) int { return rankOther(a) - rankOther(b) })
	return found
}

func rankOther(err error) int {
	if errors.Is(err, errForked) {
		return 0
	}
	return 1
}

// findings are errors that are told in one line.
type findings []error

func (f findings) Error() string {
	var all []string
	for _, err := range f {
		all = append(all, err.Error())
	}
	return strings.Join(firstOf(all), "; ")
}

func (f findings) Unwrap() []error { return f }

// lookAtOther returns an error for an object that cannot be read, or that has
// records of our log that are not ours.
func (e *Engine) lookAtOther(ctx context.Context, site string, o repository.EvidenceObject) error {
	known, err := e.repository.KnowsEvidence(o)
	if err != nil || known {
		return err
	}
	content, err := e.repository.ReadEvidence(ctx, site, o)
	if err != nil {
		return fmt.Errorf("%w: %w", errUnseen, err)
	}
	if checkSegment(o.Log, o.First, o.Count, content) != nil {
		return nil // a comparison tells of what is none
	}
	return e.joinSegment(o.Log, o.First, o.Count, content)
}

// giveLostAgain gives the sites what all of them have lost of the evidence, since
// this host has it.
func (e *Engine) giveLostAgain(ctx context.Context) error {
	lost, err := e.repository.LostEvidence()
	if err != nil {
		return err
	}
	for _, o := range lost {
		if o.Log != logID(e.evidence) || o.First+uint64(o.Count) > e.evidence.Size() {
			continue
		}
		content, err := e.evidence.Segment(o.First, o.First+uint64(o.Count))
		if err == nil {
			err = e.repository.AddEvidence(ctx, o.Log, o.First, o.Count, content)
		}
		if err != nil {
			return fmt.Errorf("give %s to the sites again, which all lost it: %w", o.Name(), err)
		}
	}
	return nil
}
