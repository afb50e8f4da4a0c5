package repository

import (
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/klauspost/compress/zstd"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/crash"
)

const (
	// rewriteWindow is how many packs one sweep looks at, the next sweep going
	// on behind them: what it must remember of each is some kilobytes.
	rewriteWindow = 2048
)

// metaRewrite names the pack behind which the next sweep looks.
const metaRewrite = "rewrite"

// liveness is what of the packs looked at is needed, by pack and by the offset
// of each chunk.
type liveness map[uint32]map[uint32]needed

type needed struct {
	ref Ref
	at  catalog.Location
}

func (l liveness) bytes(pack uint32) (n int64) {
	for _, c := range l[pack] {
		n += int64(c.at.Stored)
	}
	return n
}

// packed returns about how long a pack of nothing but what is needed would be: a
// small one is mostly header and footer, and no better when it is written anew.
func (l liveness) packed(pack uint32) int64 {
	const around, entry = packAround, packEntry
	return around + l.bytes(pack) + entry*int64(len(l[pack]))
}

// rewrite moves what is needed of mostly dead packs into new ones and writes
// new commits of the snapshots that named them. When every site has those, a
// later sweep condemns the old commits and packs. Until then both are whole.
func (s *sweeper) rewrite(ctx context.Context) error {
	if s.o.MaxRewrite <= 0 {
		return nil
	}
	snapshots, err := s.kept(ctx)
	if err != nil {
		return err
	}
	window, err := s.window(snapshots)
	if err != nil || len(window) == 0 {
		return err
	}
	live := liveness{}
	for n := range window {
		live[n] = map[uint32]needed{}
	}
	if err := s.findLive(ctx, snapshots, live); err != nil {
		return err
	}
	chosen := s.choose(window, live)
	if len(chosen) == 0 || s.o.DryRun {
		return nil
	}
	moved, err := s.move(ctx, chosen, live)
	if err != nil {
		return err
	}
	crash.Point(crash.SweepMoved)
	return s.restage(ctx, snapshots, chosen, moved)
}

// kept returns every snapshot that is kept and that all sites hold whole.
func (s *sweeper) kept(ctx context.Context) (out []*Snapshot, err error) {
	var ids []string
	var failed error
	err = s.catalog.Snapshots("", func(c *catalog.Snapshot) bool {
		var states map[string]SiteState
		states, failed = s.siteStates(c)
		if c.Condemned.IsZero() && holders(states) >= len(s.sites) && c.Staged == "" {
			ids = append(ids, c.ID)
		}
		return failed == nil
	})
	err = errors.Join(err, failed)
	for _, id := range ids {
		snap, readErr := s.Snapshot(ctx, id)
		if readErr != nil {
			return nil, errors.Join(err, readErr)
		}
		out = append(out, snap)
	}
	return out, err
}

// window returns the packs to look at: of those that the snapshots name, the
// next ones in the order of their ordinals.
func (s *sweeper) window(snapshots []*Snapshot) (map[uint32]catalog.Pack, error) {
	var last uint32
	if v, err := s.catalog.Meta(metaRewrite); err == nil && len(v) == 4 {
		last = binary.BigEndian.Uint32(v)
	}
	named := map[uint32]catalog.Pack{}
	for _, snap := range snapshots {
		for _, p := range snap.Packs {
			n, ok, err := s.catalog.PackNamed(p.SHA256)
			if err != nil {
				return nil, err
			}
			if !ok {
				return nil, fmt.Errorf("repository: %w: snapshot %s names pack %x, which the catalog does not know", ErrCorrupt, snap.ID, p.SHA256)
			}
			named[n] = catalog.Pack{SHA256: p.SHA256, Size: p.Size}
		}
	}
	order := slices.Sorted(maps.Keys(named))
	from := 0
	for from < len(order) && order[from] <= last {
		from++
	}
	if from == len(order) {
		from = 0
	}
	out := map[uint32]catalog.Pack{}
	for _, n := range order[from:min(from+rewriteWindow, len(order))] {
		out[n], last = named[n], n
	}
	if s.o.DryRun {
		return out, nil
	}
	return out, s.catalog.SetMeta(metaRewrite, binary.BigEndian.AppendUint32(nil, last))
}

// findLive walks the streams of all snapshots, each node once, and notes the
// chunks that lie in the packs looked at.
func (s *sweeper) findLive(ctx context.Context, snapshots []*Snapshot, live liveness) error {
	seen := map[ChunkID]struct{}{}
	d, err := newDecoder()
	if err != nil {
		return err
	}
	defer d.Close()
	for i, snap := range snapshots {
		s.tick("look for what is needed", int64(i), int64(len(snapshots)))
		rd, err := s.quietReader(snap)
		if err != nil {
			return err
		}
		w := walker{rd: rd, d: d, seen: seen, live: live}
		for _, stream := range streams(snap) {
			if stream.Kind == 0 {
				continue
			}
			if err := w.walk(ctx, Ref{Kind: stream.Kind, ID: stream.Root}); err != nil {
				return fmt.Errorf("snapshot %s of %s: %w", snap.ID, snap.Function, err)
			}
		}
	}
	return nil
}

// quietReader returns a reader whose rate is bounded: nobody waits for it.
func (s *sweeper) quietReader(snap *Snapshot) (*Reader, error) {
	rd, err := s.Reader(snap, nil, nil)
	if err != nil {
		return nil, err
	}
	sites := make([]Site, len(rd.sites))
	for i, site := range rd.sites {
		sites[i] = site.quiet()
	}
	rd.sites = sites
	return rd, nil
}

// walker visits the chunks below a root, each node once. A chunk is noted in
// every pack that holds it, whichever of them the snapshot at hand names: others
// may name another, and their nodes were seen already.
type walker struct {
	rd   *Reader
	d    *zstd.Decoder
	seen map[ChunkID]struct{}
	live liveness
}

func (w *walker) walk(ctx context.Context, ref Ref) error {
	if err := w.note(ref); err != nil || ref.Kind != KindNode {
		return err
	}
	if _, ok := w.seen[ref.ID]; ok {
		return nil
	}
	w.seen[ref.ID] = struct{}{}
	children, err := w.rd.children(ctx, w.d, ref)
	if err != nil {
		return err
	}
	for _, c := range children {
		if err := w.walk(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

func (w *walker) note(ref Ref) error {
	places, err := w.rd.repo.catalog.Places(ref.ID)
	if err != nil {
		return err
	}
	if len(places) == 0 {
		return fmt.Errorf("chunk %s: %w: the catalog knows no pack that holds it", ref.ID, ErrUnavailable)
	}
	for _, at := range places {
		if chunks, ok := w.live[at.Pack]; ok {
			chunks[at.Offset] = needed{ref: ref, at: at}
		}
	}
	return nil
}

// choose returns the packs to rewrite, those of which least is needed first,
// as many as the bound allows.
func (s *sweeper) choose(window map[uint32]catalog.Pack, live liveness) map[uint32]catalog.Pack {
	order := slices.SortedFunc(maps.Keys(window), func(a, b uint32) int {
		return cmp.Or(cmp.Compare(live.bytes(a), live.bytes(b)), cmp.Compare(a, b))
	})
	chosen := map[uint32]catalog.Pack{}
	for _, n := range order {
		needs, size := live.bytes(n), window[n].Size
		if float64(live.packed(n)) >= rewriteBelow*float64(size) || s.out.Moved.Bytes+needs > s.o.MaxRewrite {
			continue
		}
		chosen[n] = window[n]
		s.out.Rewritten.add(size)
		s.out.Moved.Objects += len(live[n])
		s.out.Moved.Bytes += needs
	}
	return chosen
}

// move writes what is needed of the packs into new ones and returns, for each
// old pack, the new ones that hold what was needed of it.
func (s *sweeper) move(ctx context.Context, chosen map[uint32]catalog.Pack, live liveness) (map[uint32]packSet, error) {
	p := &packer{
		repo: s.Repository, room: func(n int64) error { return s.makeRoom(ctx, n) },
		pending: map[ChunkID]uint32{}, packs: packSet{},
	}
	defer p.abandon()
	// A pack is closed when it is full, so what was needed of an old one is in
	// the packs that were open while it was read: closed ones in their order.
	type span struct{ from, to int }
	spans := map[uint32]span{}
	for i, n := range slices.Sorted(maps.Keys(chosen)) {
		s.tick("rewrite packs", int64(i), int64(len(chosen)))
		from := len(p.packs)
		if err := s.movePack(ctx, p, chosen[n], live[n]); err != nil {
			return nil, err
		}
		spans[n] = span{from, len(p.packs)}
	}
	if err := p.finish(); err != nil {
		return nil, err
	}
	closed := slices.Sorted(maps.Keys(p.packs))
	moved := map[uint32]packSet{}
	for n, sp := range spans {
		moved[n] = packSet{}
		if len(live[n]) > 0 {
			moved[n].add(closed[sp.from:min(sp.to+1, len(closed))]...)
		}
		if err := s.checkMoved(live[n], moved[n]); err != nil {
			return nil, err
		}
	}
	return moved, nil
}

// movePack reads what is needed of a pack, from the first site that has it
// right, and adds it to the new packs.
func (s *sweeper) movePack(ctx context.Context, p *packer, old catalog.Pack, chunks map[uint32]needed) error {
	rd, err := s.quietReader(&Snapshot{Packs: []PackRef{{SHA256: old.SHA256, Size: old.Size}}})
	if err != nil {
		return err
	}
	d, err := newDecoder()
	if err != nil {
		return err
	}
	defer d.Close()
	comp, err := s.compressors.get()
	if err != nil {
		return err
	}
	defer s.compressors.put(comp)
	var refs []Ref
	for _, offset := range slices.Sorted(maps.Keys(chunks)) {
		refs = append(refs, chunks[offset].ref)
	}
	next := 0
	return rd.fetch(ctx, d, refs, func(content []byte) error {
		encoded, err := comp.encode(nil, content)
		if err != nil {
			return err
		}
		ref := refs[next]
		next++
		return p.add([]sealable{{kind: ref.Kind, id: ref.ID, raw: uint32(len(content)), encoded: encoded}})
	})
}

// checkMoved makes sure that each chunk lies in one of the new packs, before
// any commit relies on it.
func (s *sweeper) checkMoved(chunks map[uint32]needed, to packSet) error {
	for _, c := range chunks {
		places, err := s.catalog.Places(c.ref.ID)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(places, func(at catalog.Location) bool { _, ok := to[at.Pack]; return ok }) {
			return fmt.Errorf("repository: %w: chunk %s was not moved", ErrCorrupt, c.ref.ID)
		}
	}
	return nil
}

// restage writes a new commit for each snapshot that names a pack that was
// rewritten.
func (s *sweeper) restage(ctx context.Context, snapshots []*Snapshot, chosen map[uint32]catalog.Pack, moved map[uint32]packSet) error {
	to := map[Digest]packSet{}
	for n, p := range chosen {
		to[p.SHA256] = moved[n]
	}
	for i, snap := range snapshots {
		s.tick("write commits anew", int64(i), int64(len(snapshots)))
		if err := ctx.Err(); err != nil {
			return err
		}
		changed := *snap
		packs, ok, err := s.replace(&changed, to)
		if err != nil || !ok {
			if err != nil {
				return err
			}
			continue
		}
		if err := s.stage(ctx, &changed, packs); err != nil {
			return err
		}
		crash.Point(crash.SweepStaged)
	}
	return nil
}

// replace puts new packs in the place of old ones in what a snapshot names; ok
// is false when it names none of the old ones.
func (s *sweeper) replace(snap *Snapshot, to map[Digest]packSet) (packs []uint32, ok bool, err error) {
	all := packSet{}
	for _, p := range snap.Packs {
		if fresh, gone := to[p.SHA256]; gone {
			ok = true
			all.add(keys(fresh)...)
			continue
		}
		n, _, err := s.catalog.PackNamed(p.SHA256)
		if err != nil {
			return nil, false, err
		}
		all.add(n)
	}
	if !ok {
		return nil, false, nil
	}
	snap.Packs, err = s.refs(all)
	return keys(all), true, err
}

// stage queues a new commit of a snapshot, which takes the place of the old one
// when every site has it.
func (s *sweeper) stage(ctx context.Context, snap *Snapshot, packs []uint32) error {
	if err := s.makeRoom(ctx, maxSmall); err != nil {
		return err
	}
	s.commitMu.Lock()
	defer s.commitMu.Unlock()
	c, object, err := s.sealCommit(snap)
	if err != nil {
		return err
	}
	manifest, err := json.Marshal(snap)
	if err != nil {
		return err
	}
	entry := record(snap, c)
	entry.Commit, entry.CommitSize, entry.CommitSHA256 = commitName(c), int64(len(object)), sum(object)
	entry.Manifest, entry.Packs = manifest, packs
	staged, err := s.catalog.Stage(entry, s.siteNames())
	if err == nil && !staged {
		err = s.spool.remove(entry.Commit)
	}
	s.wake()
	return err
}
