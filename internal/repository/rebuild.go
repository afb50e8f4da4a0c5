package repository

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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
	// Until the end nobody may take for all there is what is known so far.
	if err := r.catalog.SetMeta(metaRebuild, []byte(name)); err != nil {
		return nil, err
	}
	b := &rebuilder{Repository: r, site: site, packs: map[Digest]int64{}, tick: tick}
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
	*Repository
	site  Site
	packs map[Digest]int64 // that are in the catalog now
	tick  func(packs int)
	out   Rebuilt
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
			packs[i], chunks[i], bad[i] = b.readFooter(groupCtx, info)
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
		b.packs[packs[i].SHA256] = packs[i].Size
		b.out.Packs++
		b.tick(b.out.Packs)
	}
	return nil
}

// readFooter reads the header and the footer of one pack.
func (b *rebuilder) readFooter(ctx context.Context, info storage.Info) (p catalog.Pack, chunks []catalog.Chunk, err error) {
	digest, err := hex.DecodeString(info.Name[strings.LastIndexByte(info.Name, '/')+1:])
	if err != nil || len(digest) != 32 || info.Size < headerSize+trailerSize || info.Size > maxPack {
		return p, nil, fmt.Errorf("%w: neither its name nor its size is that of a pack", ErrCorrupt)
	}
	copy(p.SHA256[:], digest)
	p.Size = info.Size
	head, err := b.read(ctx, info.Name, 0, headerSize)
	if err != nil {
		return p, nil, err
	}
	id, salt, err := parseHeader(packMagic, head)
	if err != nil {
		return p, nil, err
	}
	p.Key, p.Salt = id, salt
	key := b.keys[id]
	if key == nil {
		return p, nil, fmt.Errorf("%w: %w: sealed with key %s", ErrCorrupt, ErrWrongKey, id)
	}
	tail, err := b.read(ctx, info.Name, info.Size-trailerSize, trailerSize)
	if err != nil {
		return p, nil, err
	}
	length := int64(binary.BigEndian.Uint32(tail)) + trailerSize
	if length > info.Size-headerSize {
		return p, nil, fmt.Errorf("%w: its footer does not fit", ErrCorrupt)
	}
	if tail, err = b.read(ctx, info.Name, info.Size-length, length); err != nil {
		return p, nil, err
	}
	aead, err := key.sealer(purposePack, salt[:])
	if err != nil {
		return p, nil, err
	}
	entries, err := openFooter(aead, b.id, tail, info.Size)
	return p, chunksOf(entries), err
}

func (b *rebuilder) read(ctx context.Context, name string, offset, length int64) ([]byte, error) {
	body, err := b.site.Store.Get(ctx, name, offset, length)
	if err != nil {
		return nil, err
	}
	out := make([]byte, length)
	_, err = io.ReadFull(body, out)
	if closeErr := body.Close(); err == nil {
		err = closeErr
	}
	return out, err
}

// readCommits reads all commits in their order.
func (b *rebuilder) readCommits(ctx context.Context) error {
	return b.site.Store.List(ctx, "c/", "", func(info storage.Info) error {
		object, err := readObject(ctx, b.site, info.Name, maxCommit)
		if err != nil {
			return err
		}
		c, err := openCommitObject(b.keys, info.Name, object)
		if errors.Is(err, ErrCorrupt) || errors.Is(err, ErrWrongKey) {
			b.out.Damaged = append(b.out.Damaged, Problem{info.Name, err.Error()})
			return nil
		}
		if err != nil {
			return &ObjectError{b.site.Name, info.Name, err}
		}
		for _, s := range c.Snapshots {
			if err := b.add(s, c, info, sum(object)); err != nil {
				return err
			}
		}
		crash.Point(crash.RebuildCommit)
		return nil
	})
}

// add puts one snapshot into the catalog if the site has all of its packs.
func (b *rebuilder) add(s *Snapshot, c *commit, info storage.Info, digest [32]byte) error {
	lost := LostSnapshot{Snapshot: s.ID, Function: s.Function}
	for _, p := range s.Packs {
		if size, ok := b.packs[p.SHA256]; !ok || size != p.Size {
			lost.Missing = append(lost.Missing, catalog.PackName(p.SHA256))
		}
	}
	if len(lost.Missing) > 0 {
		b.out.Lost = append(b.out.Lost, lost)
		return nil
	}
	manifest, err := json.Marshal(s)
	if err != nil {
		return err
	}
	record := record(s, c)
	record.Commit, record.CommitSize, record.CommitSHA256, record.Manifest = info.Name, info.Size, digest, manifest
	// When it became durable is not on record; that it is, is seen now.
	record.Durable = map[string]time.Time{b.site.Name: b.clock.Now().UTC()}
	b.out.Snapshots++
	return b.catalog.AddSnapshot(record, nil)
}
