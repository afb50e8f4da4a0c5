package repository

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/crash"
	"github.com/saypro/backupd/internal/storage"
)

// ErrNotEmpty means that the catalog knows snapshots already.
var ErrNotEmpty = errors.New("the catalog is not empty")

// ErrHalfRebuilt means that a rebuild of this catalog did not come to its end:
// it knows some recovery points and says nothing of the others.
var ErrHalfRebuilt = errors.New("the catalog is half rebuilt")

// checkRebuilt refuses a catalog whose rebuild did not come to its end.
func checkRebuilt(cat *catalog.Catalog) error {
	from, err := cat.Meta(metaRebuild)
	if errors.Is(err, catalog.ErrNotFound) || err == nil && len(from) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	return fmt.Errorf("%w: the rebuild from site %s was cut short; run 'backupd catalog rebuild --from SITE' again, "+
		"from any site", ErrHalfRebuilt, from)
}

// Rebuilt says what Rebuild found.
type Rebuilt struct {
	// Packs were read, Snapshots can be restored.
	Packs     int `json:"packs"`
	Snapshots int `json:"snapshots"`
	// Evidence are the objects of evidence.
	Evidence int `json:"evidence"`
	// Seconds is how long it took, Requests what was asked of the site; nil for
	// a folder.
	Seconds  float64           `json:"seconds"`
	Requests *storage.Requests `json:"requests"`
	// Damaged are objects that could not be read, Lost the snapshots that
	// need something that the site does not have.
	Damaged []Problem      `json:"damaged,omitempty"`
	Lost    []LostSnapshot `json:"lost,omitempty"`
	// Unasked are the other sites that could not be asked for what is lost.
	Unasked []Problem `json:"unasked,omitempty"`
	// Records is how many records of the evidence log were taken over from them.
	Records uint64 `json:"records,omitempty"`
}

// LostSnapshot is a snapshot whose commit is there but not all that it names.
type LostSnapshot struct {
	Snapshot      string    `json:"snapshot"`
	Function      string    `json:"function"`
	RecoveryPoint time.Time `json:"recovery_point"`
	Missing       []string  `json:"missing"` // packs
	// LostTables cannot be restored whole from the site, WholeTables can, as far
	// as the packs themselves tell. LostStreams are what else cannot: without
	// the schema no table can be loaded by itself.
	LostTables  []string `json:"lost_tables,omitempty"`
	WholeTables []string `json:"whole_tables,omitempty"`
	LostStreams []string `json:"lost_streams,omitempty"`
	// Elsewhere are the sites that hold all that is missing, in its full length.
	Elsewhere []string `json:"elsewhere,omitempty"`
}

// Rebuild fills an empty catalog from what one site holds: no other site and
// nothing of the old catalog is needed. Snapshots that the site cannot give back
// whole are reported and kept as damaged ones, so that what is whole of them can
// be read. A catalog whose rebuild did not come to its end is refused by [Open]
// with [ErrHalfRebuilt] and may be thrown away. The other sites are compared with
// what was found by the uploads that follow, object by object. tick, when not
// nil, is told what is read and how many objects of it have been.
func (r *Repository) Rebuild(ctx context.Context, name string, tick func(phase string, done int)) (*Rebuilt, error) {
	site, err := r.Site(name)
	if err != nil {
		return nil, err
	}
	empty := true
	if err := r.catalog.Snapshots("", func(*catalog.Snapshot) bool { empty = false; return false }); err != nil {
		return nil, err
	}
	if !empty {
		return nil, fmt.Errorf("%w: a rebuild begins with a new data_dir; one that was cut short before has come to its end, and 'backupd snapshots' shows what it brought", ErrNotEmpty)
	}
	if tick == nil {
		tick = func(string, int) {}
	}
	r.upkeep.Lock()
	defer r.endUpkeep()
	// Until the end nobody may take for all there is what is known so far.
	if err := r.catalog.SetMeta(metaRebuild, []byte(name)); err != nil {
		return nil, err
	}
	start := r.clock.Now()
	b := &rebuilder{adopter: adopter{Repository: r, site: site}, tick: tick}
	err = b.run(ctx)
	b.out.Seconds = r.clock.Now().Sub(start).Seconds()
	return &b.out, err
}

type rebuilder struct {
	adopter
	tick func(phase string, done int)
	lost []lostCommit
	out  Rebuilt
}

// lostCommit is a commit that names packs that the site lacks.
type lostCommit struct {
	LostSnapshot
	name  string // of the object
	packs []PackRef
}

func (b *rebuilder) run(ctx context.Context) (err error) {
	if b.out.Damaged, err = b.takeKeys(ctx, b.site); err != nil {
		return err
	}
	if err := b.readPacks(ctx); err != nil {
		return err
	}
	crash.Point(crash.RebuildPacks)
	if err := b.readCommits(ctx); err != nil {
		return err
	}
	if err := b.tellLost(ctx); err != nil {
		return err
	}
	for _, other := range b.Repository.sites {
		if other.Name == b.site.Name {
			continue
		}
		if _, err := b.catalog.ResetSite(other.Name); err != nil {
			return err
		}
		crash.Point(crash.RebuildQueued)
	}
	if err := b.catalog.SetMeta(metaRebuild, nil); err != nil {
		return err
	}
	b.commitMu.Lock()
	defer b.commitMu.Unlock()
	return b.resumeCommits()
}

// rebuildParallel is how many footers are read at once.
const rebuildParallel = 8

// readPacks lists the packs and reads what each says of its chunks, a page of
// packs at a time, in the order of their names.
func (b *rebuilder) readPacks(ctx context.Context) error {
	var page []storage.Info
	flush := func() error {
		err := b.readFooters(ctx, page)
		page = page[:0]
		return err
	}
	err := b.site.Store.List(ctx, "p/", "", func(info storage.Info) error {
		page = append(page, info)
		if len(page) < 64 {
			return nil
		}
		return flush()
	})
	if err != nil {
		return err
	}
	return flush()
}

func (b *rebuilder) readFooters(ctx context.Context, page []storage.Info) error {
	packs := make([]catalog.Pack, len(page))
	chunks := make([][]catalog.Chunk, len(page))
	bad := make([]error, len(page))
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(rebuildParallel)
	for i, info := range page {
		group.Go(func() error {
			packs[i], chunks[i], bad[i] = b.insistOnFooter(groupCtx, b.site, info)
			if bad[i] == nil || errors.Is(bad[i], ErrCorrupt) || errors.Is(bad[i], storage.ErrNotFound) {
				return nil
			}
			return bad[i]
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for i, info := range page {
		if bad[i] != nil {
			b.out.Damaged = append(b.out.Damaged, Problem{info.Name, bad[i].Error()})
			continue
		}
		if _, err := b.catalog.AddPack(packs[i], info.Name, chunks[i], nil); err != nil {
			return err
		}
		crash.Point(crash.RebuildPack)
		b.out.Packs++
		b.tick("packs", b.out.Packs)
	}
	return nil
}

// readCommits reads all commits in their order, and the marks behind them,
// which speak of what the commits brought; then evidence.
func (b *rebuilder) readCommits(ctx context.Context) error {
	for _, part := range []struct{ prefix, phase string }{{"c/", "commits"}, {"g/", "marks"}, {evidencePrefix, "evidence"}} {
		done := 0
		err := b.site.Store.List(ctx, part.prefix, "", func(info storage.Info) error {
			if !mayBeOurs(info.Name) {
				return nil
			}
			done++
			b.tick(part.phase, done)
			return b.readOne(ctx, info)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// readOne takes in a commit, a mark or evidence.
func (b *rebuilder) readOne(ctx context.Context, info storage.Info) error {
	taken, problem, err := b.adopt(ctx, info)
	var lacking *lackingError
	switch {
	case errors.As(err, &lacking):
		b.lost = append(b.lost, lostBy(lacking))
		if err := b.addDamaged(lacking); err != nil {
			return err
		}
	case err != nil:
		return err
	case problem != nil:
		b.out.Damaged = append(b.out.Damaged, *problem)
	}
	if taken && strings.HasPrefix(info.Name, evidencePrefix) {
		b.out.Evidence++
	}
	crash.Point(crash.RebuildCommit)
	return nil
}

func lostBy(e *lackingError) lostCommit {
	s := e.snapshot
	return lostCommit{name: e.info.Name, packs: e.missing, LostSnapshot: LostSnapshot{
		Snapshot: s.ID, Function: s.Function, RecoveryPoint: s.RecoveryPoint.UTC(), Missing: packNames(e.missing),
	}}
}
