package repository

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/klauspost/compress/zstd"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/storage"
)

// tellLost finds out what of the damaged snapshots is lost, and whether another
// site has what is missing.
func (b *rebuilder) tellLost(ctx context.Context) error {
	known := 0
	if err := b.catalog.Snapshots("", func(*catalog.Snapshot) bool { known++; return true }); err != nil {
		return err
	}
	// One of which another commit is whole is not lost.
	var still []lostCommit
	for _, l := range b.lost {
		s, err := b.catalog.Snapshot(l.Snapshot)
		if err != nil {
			return err
		}
		if s.Commit == l.name {
			still = append(still, l)
		}
	}
	b.lost, b.out.Snapshots = still, known-len(still)
	v := survey{adopter: b.adopter, seen: map[ChunkID]subtree{}}
	for i := range b.lost {
		b.tick("damaged snapshots", i+1)
		if err := v.tables(ctx, &b.lost[i].LostSnapshot); err != nil {
			return err
		}
	}
	err := b.askOthers(ctx)
	for _, l := range b.lost {
		b.out.Lost = append(b.out.Lost, l.LostSnapshot)
	}
	return err
}

// survey finds out which streams of damaged snapshots are whole.
type survey struct {
	adopter
	seen map[ChunkID]subtree // nodes that were found to be whole in some snapshot
	// anywhere: what any site has counts, and not only what the one of the
	// adopter has.
	anywhere bool
}

// subtree is what was found of a node and all below it.
type subtree struct {
	whole bool
	packs []uint32 // that hold it, when it is whole
}

// tables fills in which tables of a snapshot are whole.
func (v *survey) tables(ctx context.Context, l *LostSnapshot) error {
	s, err := v.Snapshot(ctx, l.Snapshot)
	if err != nil {
		return err
	}
	rd, err := v.ReaderFrom(s, v.site.quiet())
	if err != nil {
		return err
	}
	if v.anywhere {
		rd.sites = v.Repository.sites
	}
	d, err := newDecoder()
	if err != nil {
		return err
	}
	defer d.Close()
	for _, t := range s.Tables {
		whole, err := v.isWhole(ctx, rd, d, t.Data)
		if err != nil {
			return err
		}
		if whole {
			l.WholeTables = append(l.WholeTables, t.Name)
			continue
		}
		l.LostTables = append(l.LostTables, t.Name)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Streams)) {
		whole, err := v.isWhole(ctx, rd, d, s.Streams[name])
		if err != nil {
			return err
		}
		if !whole {
			l.LostStreams = append(l.LostStreams, name)
		}
	}
	return nil
}

func (v *survey) isWhole(ctx context.Context, rd *Reader, d *zstd.Decoder, s Stream) (bool, error) {
	if s.Kind == 0 {
		return true, nil // it is empty
	}
	below, err := v.walk(ctx, rd, d, Ref{Kind: s.Kind, ID: s.Root})
	return below.whole, err
}

// walk finds out whether everything from a reference down lies in packs that
// the snapshot names and the site has.
func (v *survey) walk(ctx context.Context, rd *Reader, d *zstd.Decoder, ref Ref) (subtree, error) {
	if known, ok := v.seen[ref.ID]; ok && rd.names(known.packs) {
		return known, nil
	}
	at, err := v.locate(rd, ref.ID)
	if errors.Is(err, ErrUnavailable) || errors.Is(err, ErrCorrupt) || errors.Is(err, ErrWrongKey) {
		return subtree{}, nil
	}
	if err != nil {
		return subtree{}, err
	}
	if ref.Kind != KindNode {
		return subtree{whole: true, packs: []uint32{at.Pack}}, nil
	}
	children, err := v.children(ctx, rd, d, ref)
	if err != nil {
		return subtree{}, err
	}
	if children == nil {
		return subtree{}, nil
	}
	packs := packSet{}
	packs.add(at.Pack)
	for _, c := range children {
		below, err := v.walk(ctx, rd, d, c)
		if err != nil || !below.whole {
			return subtree{}, err
		}
		packs.add(below.packs...)
	}
	out := subtree{whole: true, packs: slices.Sorted(maps.Keys(packs))}
	v.seen[ref.ID] = out
	return out, nil
}

// locate returns a place of a chunk that is not in a lost pack.
func (v *survey) locate(rd *Reader, id ChunkID) (catalog.Location, error) {
	at, err := rd.locate(id)
	if err != nil {
		return at, err
	}
	state, err := v.catalog.StateOf(at.Pack)
	if err == nil && state.Lost {
		err = fmt.Errorf("chunk %s: %w: its pack is lost", id, ErrUnavailable)
	}
	return at, err
}

// children returns what a node refers to; nothing when it cannot be read.
func (v *survey) children(ctx context.Context, rd *Reader, d *zstd.Decoder, node Ref) (children []Ref, err error) {
	err = v.insist(ctx, v.site, "node "+node.ID.String(), func() error {
		children, err = rd.children(ctx, d, node)
		return err
	})
	if errors.Is(err, ErrCorrupt) || errors.Is(err, storage.ErrNotFound) {
		return nil, nil
	}
	return children, err
}

// names reports whether the snapshot names all of these packs.
func (rd *Reader) names(packs []uint32) bool {
	for _, n := range packs {
		if _, err := rd.pack(n); err != nil {
			return false
		}
	}
	return true
}

// askOthers finds out which other sites hold what is missing.
func (b *rebuilder) askOthers(ctx context.Context) error {
	if len(b.lost) == 0 {
		return nil
	}
	for _, other := range b.Repository.sites {
		if other.Name == b.site.Name {
			continue
		}
		err := b.askOther(ctx, other)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			b.out.Unasked = append(b.out.Unasked, Problem{other.Name, err.Error()})
		}
	}
	return nil
}

func (b *rebuilder) askOther(ctx context.Context, other Site) error {
	if err := b.checkRepository(ctx, other); err != nil {
		return err
	}
	has := map[Digest]bool{}
	for i := range b.lost {
		l := &b.lost[i]
		all := true
		for _, p := range l.packs {
			if _, asked := has[p.SHA256]; !asked {
				info, err := other.Store.Stat(ctx, catalog.PackName(p.SHA256))
				if err != nil && !errors.Is(err, storage.ErrNotFound) {
					return fmt.Errorf("ask for %s: %w", catalog.PackName(p.SHA256), err)
				}
				has[p.SHA256] = err == nil && info.Size == p.Size
			}
			all = all && has[p.SHA256]
		}
		if all {
			l.Elsewhere = append(l.Elsewhere, other.Name)
		}
	}
	return nil
}
