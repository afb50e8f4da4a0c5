package repository

import (
	"context"
	"errors"
	"fmt"

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
	Packs     int `json:"packs"`
	Snapshots int `json:"snapshots"`
	// Damaged are objects that could not be read, Lost the snapshots that
	// need something that the site does not have.
	Damaged []Problem      `json:"damaged,omitempty"`
	Lost    []LostSnapshot `json:"lost,omitempty"`
}

// LostSnapshot is a snapshot whose commit is there but not all that it names.
type LostSnapshot struct {
	Snapshot string   `json:"snapshot"`
	Function string   `json:"function"`
	Missing  []string `json:"missing"` // packs
}

// Rebuild fills an empty catalog from what one site holds: no other site and
// nothing of the old catalog is needed. Snapshots that the site cannot give back
// whole are reported and left out. A catalog whose rebuild did not come to its
// end is refused by [Open] with [ErrHalfRebuilt] and may be thrown away. The other sites are compared with what was
// found by the uploads that follow, object by object.
func (r *Repository) Rebuild(ctx context.Context, name string, tick func(packs int)) (*Rebuilt, error) {
	site, err := r.Site(name)
	if err != nil {
		return nil, err
	}
	empty := true
	if err := r.catalog.Snapshots("", func(*catalog.Snapshot) bool { empty = false; return false }); err != nil {
		return nil, err
	}
	if !empty {
		return nil, fmt.Errorf("%w: a rebuild begins with a new data_dir", ErrNotEmpty)
	}
	r.upkeep.Lock()
	defer r.upkeep.Unlock()
	// Until the end nobody may take for all there is what is known so far.
	if err := r.catalog.SetMeta(metaRebuild, []byte(name)); err != nil {
		return nil, err
	}
	b := &rebuilder{adopter: adopter{Repository: r, site: site}, tick: tick}
	if b.out.Damaged, err = r.takeKeys(ctx, site); err != nil {
		return &b.out, err
	}
	if err := b.readPacks(ctx); err != nil {
		return &b.out, err
	}
	crash.Point(crash.RebuildPacks)
	if err := b.readCommits(ctx); err != nil {
		return &b.out, err
	}
	for _, other := range r.sites {
		if other.Name == name {
			continue
		}
		if _, err := r.catalog.ResetSite(other.Name); err != nil {
			return &b.out, err
		}
		crash.Point(crash.RebuildQueued)
	}
	if err := r.catalog.SetMeta(metaRebuild, nil); err != nil {
		return &b.out, err
	}
	r.commitMu.Lock()
	defer r.commitMu.Unlock()
	return &b.out, r.resumeCommits()
}

type rebuilder struct {
	adopter
	tick func(packs int)
	out  Rebuilt
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
			packs[i], chunks[i], bad[i] = b.readFooter(groupCtx, b.site, info)
			if bad[i] != nil && !errors.Is(bad[i], ErrCorrupt) {
				return bad[i]
			}
			return nil
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
		b.tick(b.out.Packs)
	}
	return nil
}

// readCommits reads all commits in their order, and the marks behind them,
// which speak of what the commits brought.
func (b *rebuilder) readCommits(ctx context.Context) error {
	for _, prefix := range []string{"c/", "g/"} {
		err := b.site.Store.List(ctx, prefix, "", func(info storage.Info) error {
			taken, problem, err := b.adopt(ctx, info)
			var lacking *lackingError
			switch {
			case errors.As(err, &lacking):
				b.out.Lost = append(b.out.Lost, lacking.lost)
				return nil
			case err != nil:
				return err
			case problem != nil:
				b.out.Damaged = append(b.out.Damaged, *problem)
			case taken && prefix == "c/":
				b.out.Snapshots++
			}
			crash.Point(crash.RebuildCommit)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
