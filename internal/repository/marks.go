package repository

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/crash"
)

// mark is the content of a mark object: something that was decided about the
// repository and that every site, and a rebuilt catalog, must know.
type mark struct {
	Format   int       `json:"format"`
	Writer   string    `json:"writer"`
	Sequence uint64    `json:"sequence"`
	Time     time.Time `json:"time"`

	Hold    *holdMark    `json:"hold,omitempty"`
	Condemn *condemnMark `json:"condemn,omitempty"`
	// Spare names snapshots that were condemned and are needed again.
	Spare []string `json:"spare,omitempty"`
	// Key is the id of the key that packs, commits and marks are sealed with
	// from here on; this mark itself is sealed with the one before.
	Key string `json:"key,omitempty"`
}

// holdMark: the snapshot must not be deleted, or may be again when there is no
// reason; and why what looked wrong in it is fine, when somebody has judged it.
type holdMark struct {
	Snapshot string `json:"snapshot"`
	Reason   string `json:"reason"`
	Cleared  string `json:"cleared,omitempty"`
}

func (m *holdMark) held() catalog.Held { return catalog.Held{Reason: m.Reason, Cleared: m.Cleared} }

// condemnMark names what nobody needs any more.
type condemnMark struct {
	Snapshots map[string]string `json:"snapshots,omitempty"` // id → why no rule keeps it
	Commits   []string          `json:"commits,omitempty"`   // replaced by others
	Packs     []Digest          `json:"packs,omitempty"`
}

// markName is where a mark is kept: sorted by time, then writer, then number.
func markName(m *mark) string {
	return fmt.Sprintf("g/%s-%s-%d", m.Time.UTC().Format("2006/01/02/150405.000"), m.Writer, m.Sequence)
}

// addMark seals a mark into the spool and gives it to record, which queues it
// for every site in the transaction that does what the mark says.
func (r *Repository) addMark(ctx context.Context, m *mark, doIt func(catalog.Object) error) error {
	if err := r.mayWrite(); err != nil {
		return err
	}
	if err := r.makeRoom(ctx, maxSmall); err != nil {
		return err
	}
	r.commitMu.Lock()
	defer r.commitMu.Unlock()
	seq, err := r.catalog.NextSequence()
	if err != nil {
		return err
	}
	m.Format, m.Writer, m.Sequence, m.Time = Format, r.writer, seq, r.nextTime()
	name := markName(m)
	key, err := r.keys.sealing()
	if err != nil {
		return err
	}
	object, err := sealObject(key, markSeal, name, m)
	if err != nil {
		return fmt.Errorf("repository: seal mark: %w", err)
	}
	if err := r.spool.put(name, object); err != nil {
		return err
	}
	crash.Point(crash.MarkKept)
	err = doIt(catalog.Object{Kind: catalog.KindMark, Name: name, Size: int64(len(object)), SHA256: sum(object)})
	if err != nil {
		return errors.Join(err, r.spool.remove(name))
	}
	crash.Point(crash.MarkQueued)
	r.wake()
	return nil
}

func openMark(keys *keyring, name string, object []byte) (*mark, error) {
	var m mark
	if err := openObject(keys, markSeal, name, object, &m); err != nil {
		return nil, err
	}
	if m.Format > Format {
		return nil, fmt.Errorf("%w: mark of format %d", ErrFormat, m.Format)
	}
	return &m, nil
}

// applyMark does in the catalog what a mark of another catalog's says, and
// remembers the mark as an object that the sites named lack.
func (r *Repository) applyMark(m *mark, o catalog.Object, sites []string) error {
	switch {
	case m.Hold != nil:
		return r.catalog.TakeHold(m.Hold.Snapshot, m.Hold.held(), o, sites)
	case m.Condemn != nil:
		doomed := catalog.Doomed{Snapshots: m.Condemn.Snapshots, Commits: m.Condemn.Commits}
		for _, sha := range m.Condemn.Packs {
			n, ok, err := r.catalog.PackNamed(sha)
			if err != nil {
				return err
			}
			if ok {
				doomed.Packs = append(doomed.Packs, n)
			}
		}
		return r.catalog.Condemn(doomed, m.Time, o, sites)
	case len(m.Spare) > 0:
		return r.catalog.Spare(m.Spare, o, sites)
	case m.Key != "":
		return r.useKey(m, o, sites)
	}
	return r.catalog.AddObject(o, sites)
}

// Hold keeps a snapshot from being deleted, whatever the rules say, until it is
// released with an empty reason. One that is condemned, and not yet being
// deleted, is spared.
func (r *Repository) Hold(ctx context.Context, id, reason string) error {
	return r.mark(ctx, id, func(m *holdMark) error {
		m.Reason = reason
		return nil
	})
}

// mark writes down what is decided of one snapshot: what was before, changed.
// Two who decide at once do not undo what the other did.
func (r *Repository) mark(ctx context.Context, id string, change func(*holdMark) error) error {
	r.holdMu.Lock()
	defer r.holdMu.Unlock()
	s, err := r.catalog.Snapshot(id)
	if err != nil {
		return err
	}
	m := &holdMark{Snapshot: s.ID, Reason: s.Held, Cleared: s.Cleared}
	if err := change(m); err != nil {
		return err
	}
	return r.addMark(ctx, &mark{Hold: m}, func(o catalog.Object) error {
		return r.catalog.Hold(s.ID, m.held(), o, r.siteNames())
	})
}
