package repository

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/storage"
)

// adopter takes what a site holds into the catalog and queues it for others.
type adopter struct {
	*Repository
	site  Site
	sites []string // to queue it for
}

// adopt takes in a commit, with the packs that it names, a mark or a key. What cannot
// be taken in, because it is damaged or the site lacks what it names, is a
// problem and no error.
func (a *adopter) adopt(ctx context.Context, info storage.Info) (taken bool, problem *Problem, err error) {
	if strings.HasPrefix(info.Name, keyPrefix) {
		problem, err = a.adoptKey(ctx, a.site, info)
		return problem == nil && err == nil, problem, err
	}
	object, err := readObject(ctx, a.site.quiet(), info.Name, maxCommit)
	if err != nil {
		return false, nil, err
	}
	if strings.HasPrefix(info.Name, "g/") {
		err = a.adoptMark(info, object)
	} else {
		err = a.adoptCommit(ctx, info, object)
	}
	switch {
	case err == nil:
		return true, nil, nil
	case errors.Is(err, ErrCorrupt), errors.Is(err, ErrWrongKey), errors.Is(err, ErrFormat), errors.Is(err, catalog.ErrCondemned):
		return false, &Problem{info.Name, err.Error()}, nil
	}
	return false, nil, err
}

// lackingError: the site does not have what a commit names.
type lackingError struct{ lost LostSnapshot }

func (e *lackingError) Error() string {
	return fmt.Sprintf("snapshot %s of %s: the site lacks what its commit names: %s",
		e.lost.Snapshot, e.lost.Function, strings.Join(e.lost.Missing, ", "))
}

func (a *adopter) adoptMark(info storage.Info, object []byte) error {
	m, err := openMark(a.keys, info.Name, object)
	if err != nil {
		return err
	}
	o := catalog.Object{Kind: catalog.KindMark, Name: info.Name, Size: info.Size, SHA256: sum(object)}
	return a.applyMark(m, o, a.sites)
}

func (a *adopter) adoptCommit(ctx context.Context, info storage.Info, object []byte) error {
	c, err := openCommitObject(a.keys, info.Name, object)
	if err != nil {
		return err
	}
	for _, s := range c.Snapshots {
		packs, err := a.packsOf(ctx, s)
		if err != nil {
			return err
		}
		if err := a.addSnapshot(s, c, info, object, packs); err != nil {
			return err
		}
	}
	if a.sites == nil || c.Writer == a.writer {
		return nil
	}
	return a.catalog.SetMeta(metaOther, []byte(a.clock.Now().UTC().Format(time.RFC3339)))
}

// metaOther names when a commit was last found that some other writer had made
// behind this catalog's back.
const metaOther = "other_writer"

// checkAlone refuses when somebody else has written to the repository lately:
// what they are about to refer to is known to nobody here.
func (r *Repository) checkAlone(grace time.Duration) error {
	v, err := r.catalog.Meta(metaOther)
	if errors.Is(err, catalog.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	seen, err := time.Parse(time.RFC3339, string(v))
	if err != nil {
		return err
	}
	if until := seen.Add(2 * grace); r.clock.Now().Before(until) {
		return fmt.Errorf("%w: at %s commits of another backupd were found in this repository; nothing is deleted before %s, "+
			"so that two do not work against each other: see that only one writes here",
			ErrNotInStep, v, until.Format(time.RFC3339))
	}
	return nil
}

// packsOf returns the ordinals of the packs that a snapshot names, having taken
// in those that the catalog does not know.
func (a *adopter) packsOf(ctx context.Context, s *Snapshot) ([]uint32, error) {
	out := make([]uint32, 0, len(s.Packs))
	lost := LostSnapshot{Snapshot: s.ID, Function: s.Function}
	for _, p := range s.Packs {
		n, known, err := a.catalog.PackNamed(p.SHA256)
		if err == nil && !known {
			n, known, err = a.adoptPack(ctx, p)
		}
		if err != nil {
			return nil, err
		}
		if !known {
			lost.Missing = append(lost.Missing, catalog.PackName(p.SHA256))
		}
		out = append(out, n)
	}
	if len(lost.Missing) > 0 {
		return nil, &lackingError{lost}
	}
	return out, nil
}

// adoptPack takes in a pack; there is false when the site does not have it
// whole.
func (a *adopter) adoptPack(ctx context.Context, p PackRef) (ordinal uint32, there bool, err error) {
	name := catalog.PackName(p.SHA256)
	info, err := a.site.Store.Stat(ctx, name)
	if errors.Is(err, storage.ErrNotFound) || err == nil && info.Size != p.Size {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	pack, chunks, err := a.readFooter(ctx, a.site, info)
	if errors.Is(err, ErrCorrupt) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	ordinal, err = a.catalog.AddPack(pack, name, chunks, a.sites)
	return ordinal, err == nil, err
}

func (a *adopter) addSnapshot(s *Snapshot, c *commit, info storage.Info, object []byte, packs []uint32) error {
	manifest, err := json.Marshal(s)
	if err != nil {
		return err
	}
	entry := record(s, c)
	entry.Commit, entry.CommitSize, entry.CommitSHA256 = info.Name, info.Size, sum(object)
	entry.Manifest, entry.Packs = manifest, packs
	// When it became durable is not on record; that it is, is seen now.
	entry.Durable = map[string]time.Time{a.site.Name: a.clock.Now().UTC()}
	return a.catalog.AddSnapshot(entry, a.sites)
}
