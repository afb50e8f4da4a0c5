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
	// verdicts are what marks that were taken in earlier say of snapshots.
	verdicts map[string]verdict
}

// verdict is since when a snapshot is condemned, and why.
type verdict struct {
	at  time.Time
	why string
}

// adopt takes in a commit, with the packs that it names, a mark, evidence or a
// key. What cannot be taken in, because it is damaged or the site lacks what it names, is a
// problem and no error.
func (a *adopter) adopt(ctx context.Context, info storage.Info) (taken bool, problem *Problem, err error) {
	if strings.HasPrefix(info.Name, keyPrefix) {
		problem, err = a.adoptKey(ctx, a.site, info)
		return problem == nil && err == nil, problem, err
	}
	object, err := a.readListed(ctx, info.Name)
	switch {
	case err == nil:
	case errors.Is(err, ErrCorrupt) || a.refusedEvidence(ctx, info.Name, err):
		return false, &Problem{info.Name, err.Error()}, nil
	case errors.Is(err, storage.ErrNotFound):
		return false, nil, nil // it has been deleted since
	default:
		return false, nil, err
	}
	switch {
	case strings.HasPrefix(info.Name, "g/"):
		err = a.adoptMark(info, object)
	case strings.HasPrefix(info.Name, evidencePrefix):
		err = a.adoptEvidence(info, object)
	default:
		err = a.adoptCommit(ctx, info, object)
	}
	switch {
	case err == nil:
		return true, nil, nil
	case errors.Is(err, ErrCorrupt), errors.Is(err, ErrWrongKey), errors.Is(err, ErrFormat), errors.Is(err, catalog.ErrCondemned), errors.Is(err, ErrOtherEvidence):
		return false, &Problem{info.Name, err.Error()}, nil
	}
	return false, nil, err
}

// readListed reads an object that a listing named. The error matches
// [storage.ErrNotFound] when it has been deleted since. What is listed and not
// given is asked for again: some servers replace an object by removing it first,
// and a live backupd may be doing that now. When it is never given, the error
// matches [ErrCorrupt]: what a commit needs that nobody can read is not known.
func (a *adopter) readListed(ctx context.Context, name string) (object []byte, err error) {
	for range lookTries {
		err = a.insist(ctx, a.site, name, func() (err error) {
			object, err = readObject(ctx, a.site.quiet(), name, maxCommit)
			return err
		})
		if !errors.Is(err, storage.ErrNotFound) {
			return object, err
		}
		listed, asked := a.lists(ctx, name)
		if asked != nil {
			return nil, asked
		}
		if !listed {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%w: it is listed, and the site does not give it: %w", ErrCorrupt, err)
}

// lists reports whether the site lists an object.
func (a *adopter) lists(ctx context.Context, name string) (listed bool, err error) {
	err = a.site.background().List(ctx, name, "", func(info storage.Info) error {
		listed = listed || info.Name == name
		return nil
	})
	return listed, err
}

// refusedEvidence reports whether a site refuses to give one object of evidence while
// it gives others: whoever may write there can encrypt it with a key of their own,
// and that must not end a rebuild or a comparison.
func (a *adopter) refusedEvidence(ctx context.Context, name string, err error) bool {
	return strings.HasPrefix(name, evidencePrefix) && errors.Is(err, storage.ErrDenied) && a.checkRepository(ctx, a.site.quiet()) == nil
}

// lackingError: the site does not have what a commit names.
type lackingError struct {
	snapshot *Snapshot
	commit   *commit
	info     storage.Info // of the commit
	object   []byte
	packs    []uint32 // that are there
	missing  []PackRef
	unsure   error // not nil when some other site may have what is missing
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
		packs, lacking, err := a.packsOf(ctx, s)
		switch {
		case err != nil:
		case lacking == nil:
			err = a.addSnapshot(s, c, info, object, packs)
		default:
			lacking.commit, lacking.info, lacking.object = c, info, object
			err = a.adoptLacking(lacking)
		}
		if err != nil {
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

// adoptLacking takes in a snapshot of which no site has everything, so that what
// is whole of it can be read. A rebuild asks one site only and is told.
func (a *adopter) adoptLacking(e *lackingError) error {
	if a.sites == nil || e.unsure != nil {
		return e
	}
	a.log.Error("a snapshot is found of which no site has everything", "snapshot", e.snapshot.ID,
		"function", e.snapshot.Function, "missing", packNames(e.missing))
	return a.addDamaged(e)
}

// packsOf returns the ordinals of the packs that a snapshot names, having taken
// in those that the catalog does not know, and what is at no site that may be
// asked; nil when nothing is.
func (a *adopter) packsOf(ctx context.Context, s *Snapshot) (packs []uint32, lacking *lackingError, err error) {
	packs = make([]uint32, 0, len(s.Packs))
	out := lackingError{snapshot: s}
	for _, p := range s.Packs {
		n, there, err := a.pack(ctx, p)
		if errors.Is(err, errUnsure) {
			out.unsure, err = errors.Join(out.unsure, err), nil
		}
		switch {
		case err != nil:
			return nil, nil, err
		case there:
			packs = append(packs, n)
		default:
			out.missing = append(out.missing, p)
		}
	}
	if len(out.missing) == 0 {
		return packs, nil, nil
	}
	out.packs = packs
	return packs, &out, nil
}

// errUnsure: a site that may have a pack cannot be asked now.
var errUnsure = errors.New("a site that may have it cannot be asked")

// pack returns the ordinal of a pack that a commit names; there is false when it
// is neither at this site nor, where others may be asked, at any other.
func (a *adopter) pack(ctx context.Context, p PackRef) (n uint32, there bool, err error) {
	n, known, err := a.catalog.PackNamed(p.SHA256)
	if err != nil {
		return n, false, err
	}
	if known {
		state, err := a.catalog.StateOf(n)
		if err != nil || !state.Lost && !state.Deleting {
			return n, err == nil, err
		}
	}
	if n, there, err = a.packAt(ctx, a.site, p); err != nil || there || a.sites == nil {
		return n, there, err
	}
	for _, other := range a.Repository.sites {
		if other.Name == a.site.Name {
			continue
		}
		n, there, atOther := a.packAt(ctx, other, p)
		if there {
			return n, true, nil
		}
		if atOther == nil { // an empty bucket says nothing
			atOther = a.checkRepository(ctx, other)
		}
		if atOther != nil {
			err = errors.Join(err, fmt.Errorf("%w: %w", errUnsure, atOther))
		}
	}
	return 0, false, err
}

// packAt takes in a pack from a site that has it whole: one that the catalog
// does not know, one that was lost, and one that is being deleted elsewhere.
func (a *adopter) packAt(ctx context.Context, site Site, p PackRef) (n uint32, there bool, err error) {
	name := catalog.PackName(p.SHA256)
	info, err := site.Store.Stat(ctx, name)
	if errors.Is(err, storage.ErrNotFound) || err == nil && info.Size != p.Size {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	pack, chunks, err := a.insistOnFooter(ctx, site, info)
	if errors.Is(err, ErrCorrupt) || errors.Is(err, storage.ErrNotFound) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	if a.sites == nil { // a rebuild queues everything at its end
		n, err = a.catalog.AddPack(pack, name, chunks, nil)
		return n, err == nil, err
	}
	err = checkSame(ctx, site, catalog.Entry{Name: name, Size: p.Size, SHA256: p.SHA256})
	if errors.Is(err, storage.ErrNotFound) || errors.Is(err, ErrCorrupt) {
		return 0, false, nil
	}
	if err == nil {
		n, err = a.catalog.TakePack(pack, chunks, site.Name)
	}
	return n, err == nil, err
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
	entry.Condemned, entry.Reason = a.verdicts[s.ID].at, a.verdicts[s.ID].why
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
