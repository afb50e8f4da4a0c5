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
	var object []byte
	err = a.insist(ctx, a.site, info.Name, func() (err error) {
		object, err = readObject(ctx, a.site.quiet(), info.Name, maxCommit)
		return err
	})
	if errors.Is(err, ErrCorrupt) {
		return false, &Problem{info.Name, err.Error()}, nil
	}
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
type lackingError struct {
	snapshot *Snapshot
	commit   *commit
	info     storage.Info // of the commit
	object   []byte
	packs    []uint32 // that are there
	missing  []PackRef
}

func (e *lackingError) Error() string {
	return fmt.Sprintf("snapshot %s of %s: the site lacks what its commit names: %s",
		e.snapshot.ID, e.snapshot.Function, strings.Join(packNames(e.missing), ", "))
}

func packNames(packs []PackRef) []string {
	var out []string
	for _, p := range packs {
		out = append(out, catalog.PackName(p.SHA256))
	}
	return out
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
		packs, missing, err := a.packsOf(ctx, s)
		if err != nil {
			return err
		}
		if len(missing) > 0 {
			return &lackingError{snapshot: s, commit: c, info: info, object: object, packs: packs, missing: missing}
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
// in those that the catalog does not know, and the packs that the site lacks.
func (a *adopter) packsOf(ctx context.Context, s *Snapshot) (packs []uint32, missing []PackRef, err error) {
	packs = make([]uint32, 0, len(s.Packs))
	for _, p := range s.Packs {
		n, known, err := a.catalog.PackNamed(p.SHA256)
		lost := false
		switch {
		case err != nil:
		case known:
			lost, err = a.catalog.Lost(catalog.PackName(p.SHA256))
		default:
			n, known, err = a.adoptPack(ctx, p)
		}
		if err != nil {
			return nil, nil, err
		}
		if !known || lost {
			missing = append(missing, p)
			continue
		}
		packs = append(packs, n)
	}
	return packs, missing, nil
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
	pack, chunks, err := a.insistOnFooter(ctx, a.site, info)
	if errors.Is(err, ErrCorrupt) || errors.Is(err, storage.ErrNotFound) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	ordinal, err = a.catalog.AddPack(pack, name, chunks, a.sites)
	return ordinal, err == nil, err
}

func (a *adopter) addSnapshot(s *Snapshot, c *commit, info storage.Info, object []byte, packs []uint32) error {
	entry, err := a.entry(s, c, info, object, packs)
	if err != nil {
		return err
	}
	return a.catalog.AddSnapshot(entry, a.sites)
}

// entry is what the catalog remembers of a snapshot that the site holds.
func (a *adopter) entry(s *Snapshot, c *commit, info storage.Info, object []byte, packs []uint32) (catalog.Snapshot, error) {
	manifest, err := json.Marshal(s)
	if err != nil {
		return catalog.Snapshot{}, err
	}
	entry := record(s, c)
	entry.Commit, entry.CommitSize, entry.CommitSHA256 = info.Name, info.Size, sum(object)
	entry.Manifest, entry.Packs = manifest, packs
	// When it became durable is not on record; that it is, is seen now.
	entry.Durable = map[string]time.Time{a.site.Name: a.clock.Now().UTC()}
	return entry, nil
}

// addDamaged remembers a snapshot of which the site lacks something, so that
// what is whole of it can be read.
func (a *adopter) addDamaged(e *lackingError) error {
	entry, err := a.entry(e.snapshot, e.commit, e.info, e.object, e.packs)
	if err != nil {
		return err
	}
	var missing []catalog.Pack
	for _, p := range e.missing {
		missing = append(missing, catalog.Pack{SHA256: p.SHA256, Size: p.Size})
	}
	return a.catalog.AddDamaged(entry, missing, a.clock.Now())
}
