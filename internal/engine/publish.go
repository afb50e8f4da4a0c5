package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"time"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/evidence"
	"github.com/saypro/backupd/internal/repository"
)

const (
	// publishEvery is how long the record of what went well may wait until it
	// is given to the sites; of all else a look every publishNap decides. Each
	// time costs a request at each site.
	publishEvery = 5 * time.Minute
	publishNap   = 5 * time.Second
	// segmentRecords is how many records one object at the sites holds at most:
	// some megabytes.
	segmentRecords = 4096
	// metaLate names the recovery points of which not every site's taking is
	// on record: id → sites.
	metaLate = "evidence late"
)

// keepEvidence tells what becomes of recovery points after their runs and what the
// sites hold of the log, closes the days and gives the log to the sites, until ctx ends.
func (e *Engine) keepEvidence(ctx context.Context) {
	if !e.awaitVoice(ctx) {
		return
	}
	var since, looked time.Time // when something was first found to wait, when others were looked for
	for {
		now := e.clock.Now()
		err := errors.Join(e.tellKept(ctx), e.tellLate(ctx), e.closeDays(ctx), e.tellHeld(ctx))
		end, endErr := e.published()
		err = errors.Join(err, endErr)
		waiting := endErr == nil && end < e.evidence.Size()
		switch {
		case !waiting:
			since = time.Time{}
		case since.IsZero():
			since = now
		}
		if waiting && (e.urgent.Swap(false) || now.Sub(since) >= publishEvery) {
			_, publishErr := e.publish(ctx)
			err = errors.Join(err, publishErr)
		}
		if looked.IsZero() || now.Sub(looked) >= lookEvery || now.Before(looked) {
			e.lookForOthers(ctx)
			err = errors.Join(err, e.giveLostAgain(ctx))
			looked = now
		}
		if err != nil && ctx.Err() == nil {
			e.log.Error("the evidence could not be kept; it is tried again", "error", err)
		}
		if e.clock.Sleep(ctx, publishNap) != nil {
			return
		}
	}
}

// published returns up to which record the log was given to the repository.
func (e *Engine) published() (uint64, error) {
	return e.repository.EvidenceEnd(logID(e.evidence))
}

// logID is the last part of a log's origin, by which its objects are named.
func logID(l *evidence.Log) string { return path.Base(l.Origin()) }

// publish queues what is new of the log for every site, and returns the names of
// the objects.
func (e *Engine) publish(ctx context.Context) (names []string, err error) {
	e.publishMu.Lock()
	defer e.publishMu.Unlock()
	from, err := e.published()
	if err != nil {
		return nil, err
	}
	for size := e.evidence.Size(); from < size; {
		to := min(size, from+segmentRecords)
		content, err := e.evidence.Segment(from, to)
		if err != nil {
			return names, fmt.Errorf("evidence: records %d to %d: %w", from, to-1, err)
		}
		if err := e.repository.AddEvidence(ctx, logID(e.evidence), from, int(to-from), content); err != nil {
			return names, fmt.Errorf("give records %d to %d of the evidence to the sites: %w", from, to-1, err)
		}
		names = append(names, repository.EvidenceObject{Log: logID(e.evidence), First: from, Count: int(to - from)}.Name())
		from = to
	}
	return names, nil
}

// checkSegment returns an error for what is not the piece of a log that it is
// named as.
func checkSegment(id string, first uint64, count int, content []byte) error {
	s, err := evidence.ParseSegment(content)
	if err == nil && (path.Base(s.Origin) != id || s.From != first || s.To != first+uint64(count)) {
		err = fmt.Errorf("%w: it is records %d to %d of %s", evidence.ErrSegment, s.From, s.To, s.Origin)
	}
	return err
}

// expectLater remembers that sites are to take a recovery point after its run.
func (e *Engine) expectLater(id string, sites []string) error {
	if len(sites) == 0 {
		return nil
	}
	return e.changeLate(func(late map[string][]string) { late[id] = sites })
}

func (e *Engine) changeLate(change func(map[string][]string)) error {
	e.lateMu.Lock()
	defer e.lateMu.Unlock()
	late, err := e.late()
	if err != nil {
		return err
	}
	change(late)
	text, err := json.Marshal(late)
	if err != nil {
		return err
	}
	return e.catalog.SetMeta(metaLate, text)
}

func (e *Engine) late() (map[string][]string, error) {
	late := map[string][]string{}
	text, err := e.catalog.Meta(metaLate)
	if errors.Is(err, catalog.ErrNotFound) {
		return late, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &late)
	}
	return late, err
}

// tellLate records which sites have taken recovery points since the end of
// their runs.
func (e *Engine) tellLate(ctx context.Context) error {
	late, err := e.late()
	if err != nil {
		return err
	}
	for id, sites := range late {
		left, err := e.tellTaken(ctx, id, sites)
		if err != nil {
			return err
		}
		if len(left) == len(sites) {
			continue
		}
		err = e.changeLate(func(late map[string][]string) {
			if late[id] = left; len(left) == 0 {
				delete(late, id)
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// tellTaken records which of the sites have a recovery point now, and returns
// the others.
func (e *Engine) tellTaken(ctx context.Context, id string, sites []string) (left []string, err error) {
	info, err := e.repository.Info(id)
	if errors.Is(err, catalog.ErrNotFound) {
		return nil, nil // given up and deleted before every site had it
	}
	if err != nil {
		return nil, err
	}
	for _, site := range sites {
		s, there := info.Sites[site]
		switch {
		case !there: // no longer configured
		case s.State != repository.StateDurable:
			left = append(left, site)
		default:
			err := e.tell(ctx, evidence.Record{Act: evidence.ActDurable, Function: info.Function, Durable: &evidence.Durable{
				Snapshot: id, RecoveryPoint: info.RecoveryPoint.UTC(), Site: site, At: s.Durable.UTC(),
			}})
			if err != nil {
				return nil, err
			}
		}
	}
	return left, nil
}

const (
	// leavePatience is how long an engine that closes waits for sites that fail
	// to take the evidence, and leaveAtMost for any.
	leavePatience = time.Second
	leaveAtMost   = 5 * time.Second
)

// leaveEvidence gives the sites what is new of the log when an engine closes. A
// site that does not take it now is given it by whoever sends next.
func (e *Engine) leaveEvidence() error {
	if e.readOnly || e.evidence == nil || e.evidence.Size() == 0 || e.evidence.Mute() != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), leaveAtMost)
	defer cancel()
	err := errors.Join(e.tellKept(ctx), e.tellLate(ctx))
	names, publishErr := e.publish(ctx)
	if err = errors.Join(err, publishErr); err != nil || len(names) == 0 {
		return err
	}
	e.startUploads(ctx)
	err = e.repository.AwaitEvidence(ctx, names, leavePatience)
	if errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	return err
}
