package repository

import (
	"context"
	"crypto/cipher"
	"fmt"
	"io"
	"iter"
	"sync"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/saypro/backupd/internal/catalog"
)

// FallThrough tells that an object could not be had from one site and was
// looked for at the next.
type FallThrough struct {
	Site   string `json:"site"`
	Object string `json:"object"`
	Reason string `json:"reason"`
	// Damaged: the site answered, and its copy is wrong or not there. Otherwise
	// nothing is known of the copy.
	Damaged bool `json:"damaged"`
}

// Reader reads the streams of one snapshot. Its methods are safe for
// concurrent use.
type Reader struct {
	repo   *Repository
	sites  []Site
	notify func(FallThrough)
	packs  map[Digest]int64 // that the snapshot names, with their sizes

	patience time.Duration // readPatience, shorter in tests
	// patient is set when a site that is slow has what no other one has.
	patient atomic.Bool

	mu    sync.Mutex
	aeads map[uint32]openedPack // by ordinal
	rests map[string]rest       // of sites that did not answer
	bytes map[string]int64      // read from each site
}

type openedPack struct {
	pack catalog.Pack
	aead cipher.AEAD
}

// Reader returns a reader of the snapshot that asks the named sites, in that
// order, or all in the configured order when none is named. notify, when not
// nil, is told whenever a site had to be passed over.
func (r *Repository) Reader(s *Snapshot, sites []string, notify func(FallThrough)) (*Reader, error) {
	chosen, err := r.choose(sites)
	if err != nil {
		return nil, err
	}
	rd := &Reader{
		repo: r, sites: chosen, notify: notify, packs: make(map[Digest]int64, len(s.Packs)),
		aeads: map[uint32]openedPack{}, rests: map[string]rest{}, patience: readPatience, bytes: map[string]int64{},
	}
	for _, p := range s.Packs {
		rd.packs[p.SHA256] = p.Size
	}
	return rd, nil
}

// ReaderFrom returns a reader that takes everything from the given place.
func (r *Repository) ReaderFrom(s *Snapshot, site Site) (*Reader, error) {
	rd, err := r.Reader(s, nil, nil)
	if err == nil {
		rd.sites = []Site{site}
	}
	return rd, err
}

func (r *Repository) choose(names []string) ([]Site, error) {
	if len(names) == 0 {
		return r.sites, nil
	}
	var out []Site
	for _, name := range names {
		site, err := r.Site(name)
		if err != nil {
			return nil, err
		}
		out = append(out, site)
	}
	return out, nil
}

// Site returns the configured site of that name.
func (r *Repository) Site(name string) (Site, error) {
	for _, s := range r.sites {
		if s.Name == name {
			return s, nil
		}
	}
	return Site{}, fmt.Errorf("repository: site %q is not configured; there are %v", name, r.siteNames())
}

// Read returns how many bytes have been read from each site.
func (rd *Reader) Read() map[string]int64 {
	rd.mu.Lock()
	defer rd.mu.Unlock()
	out := make(map[string]int64, len(rd.bytes))
	for site, n := range rd.bytes {
		out[site] = n
	}
	return out
}

// Run is a stretch of a stream that begins and ends between rows.
type Run struct {
	Bytes, Rows int64
	refs        []Ref
}

// Runs yields a stream in stretches of about target bytes, in order. Reading
// the nodes on the way may fail; the error comes last.
func (rd *Reader) Runs(ctx context.Context, s Stream, target int64) iter.Seq2[Run, error] {
	return func(yield func(Run, error) bool) {
		var run Run
		for ref, err := range rd.leaves(ctx, s) {
			if err != nil {
				yield(Run{}, err)
				return
			}
			run.refs = append(run.refs, ref)
			run.Bytes += ref.Raw
			run.Rows += ref.Rows
			if run.Bytes >= target && ref.Kind != KindRowPart {
				if !yield(run, nil) {
					return
				}
				run = Run{}
			}
		}
		if len(run.refs) > 0 {
			yield(run, nil)
		}
	}
}

// leaves yields the references to the chunks of a stream, in order.
func (rd *Reader) leaves(ctx context.Context, s Stream) iter.Seq2[Ref, error] {
	return func(yield func(Ref, error) bool) {
		if s.Kind == 0 {
			return
		}
		d, err := newDecoder()
		if err != nil {
			yield(Ref{}, err)
			return
		}
		defer d.Close()
		rd.walk(ctx, d, Ref{Kind: s.Kind, ID: s.Root, Raw: s.Bytes, Rows: s.Rows}, yield)
	}
}

func (rd *Reader) walk(ctx context.Context, d *zstd.Decoder, ref Ref, yield func(Ref, error) bool) bool {
	if ref.Kind != KindNode {
		return yield(ref, nil)
	}
	children, err := rd.children(ctx, d, ref)
	if err != nil {
		yield(Ref{}, err)
		return false
	}
	for _, c := range children {
		if !rd.walk(ctx, d, c, yield) {
			return false
		}
	}
	return true
}

// children returns what a node refers to.
func (rd *Reader) children(ctx context.Context, d *zstd.Decoder, ref Ref) ([]Ref, error) {
	var content []byte
	err := rd.fetch(ctx, d, []Ref{{Kind: KindNode, ID: ref.ID, Raw: -1}}, func(b []byte) error {
		content = append(content, b...)
		return nil
	})
	if err != nil {
		return nil, err
	}
	children, err := parseNode(content)
	if err != nil {
		return nil, fmt.Errorf("repository: node %s: %w", ref.ID, err)
	}
	return children, nil
}

// CopyRun writes the bytes of a run to w.
func (rd *Reader) CopyRun(ctx context.Context, run Run, w io.Writer) error {
	d, err := newDecoder()
	if err != nil {
		return err
	}
	defer d.Close()
	return rd.fetch(ctx, d, run.refs, func(b []byte) error {
		_, err := w.Write(b)
		return err
	})
}

// copyStep is how much of a stream Copy holds the references of at once.
const copyStep = 4 << 20

// Copy writes a whole stream to w.
func (rd *Reader) Copy(ctx context.Context, s Stream, w io.Writer) error {
	var n int64
	for run, err := range rd.Runs(ctx, s, copyStep) {
		if err != nil {
			return err
		}
		if err := rd.CopyRun(ctx, run, w); err != nil {
			return err
		}
		n += run.Bytes
	}
	if n != s.Bytes {
		return fmt.Errorf("repository: %w: stream of %d bytes where the commit says %d", ErrCorrupt, n, s.Bytes)
	}
	return nil
}

// place is where a chunk lies, with what is needed to open it.
type place struct {
	ref Ref
	at  catalog.Location
}

// maxRange is how much of a pack is asked for at once, and maxSpan how much
// content that may hold; the parts of a long row may compress a hundredfold.
const (
	maxRange = 4 << 20
	maxSpan  = 16 << 20
)

// fetch gives the content of each chunk, in order, to use.
func (rd *Reader) fetch(ctx context.Context, d *zstd.Decoder, refs []Ref, use func([]byte) error) error {
	var span []place
	var content int64
	name := newNamer(rd.repo.idKey)
	for _, ref := range refs {
		at, err := rd.locate(ref.ID)
		if err != nil {
			return err
		}
		p := place{ref, at}
		if len(span) > 0 && (!joins(span, p) || content+int64(at.Raw) > maxSpan) {
			if err := rd.fetchSpan(ctx, d, name, span, use); err != nil {
				return err
			}
			span, content = span[:0], 0
		}
		span = append(span, p)
		content += int64(at.Raw)
	}
	if len(span) == 0 {
		return nil
	}
	return rd.fetchSpan(ctx, d, name, span, use)
}

// locate returns where a chunk lies: in a pack that the snapshot names. That
// another pack holds it too is of no use, restore follows the commit.
func (rd *Reader) locate(id ChunkID) (catalog.Location, error) {
	places, err := rd.repo.catalog.Places(id)
	if err != nil {
		return catalog.Location{}, err
	}
	err = fmt.Errorf("%w: the catalog knows no pack that holds it", ErrUnavailable)
	var lost *catalog.Location
	for _, at := range places {
		if _, err = rd.pack(at.Pack); err != nil {
			continue
		}
		if len(places) == 1 {
			return at, nil
		}
		// Another pack that the snapshot names may have it still.
		state, err := rd.repo.catalog.StateOf(at.Pack)
		if err != nil {
			return at, err
		}
		if !state.Lost {
			return at, nil
		}
		lost = &at
	}
	if lost != nil {
		return *lost, nil
	}
	return catalog.Location{}, fmt.Errorf("repository: chunk %s: %w", id, err)
}

// joins reports whether p lies right behind the span and both fit into one
// request.
func joins(span []place, p place) bool {
	first, last := span[0].at, span[len(span)-1].at
	return p.at.Pack == last.Pack && p.at.Offset == last.Offset+last.Stored &&
		p.at.Offset+p.at.Stored-first.Offset <= maxRange
}

// fetchSpan reads neighbouring chunks of one pack from the first site that has
// the right bytes.
func (rd *Reader) fetchSpan(ctx context.Context, d *zstd.Decoder, name *namer, span []place, use func([]byte) error) error {
	pack, err := rd.pack(span[0].at.Pack)
	if err != nil {
		return err
	}
	first, last := span[0].at, span[len(span)-1].at
	contents, err := rd.ask(ctx, stretch{
		object: catalog.PackName(pack.pack.SHA256), offset: int64(first.Offset),
		length: int64(last.Offset) + int64(last.Stored) - int64(first.Offset),
		open:   func(sealed []byte) ([]byte, error) { return rd.openSpan(d, name, pack, span, sealed) },
	})
	if err != nil {
		return err
	}
	return useAll(contents, span, use)
}

func useAll(contents []byte, span []place, use func([]byte) error) error {
	for _, p := range span {
		if err := use(contents[:p.at.Raw]); err != nil {
			return err
		}
		contents = contents[p.at.Raw:]
	}
	return nil
}

// openSpan opens and checks every chunk of the span before any is used, so that
// bad bytes from one site can be replaced by good ones from another.
func (rd *Reader) openSpan(d *zstd.Decoder, name *namer, pack openedPack, span []place, sealed []byte) ([]byte, error) {
	var raw int64
	for _, p := range span {
		raw += int64(p.at.Raw)
	}
	contents := make([]byte, 0, raw)
	for _, p := range span {
		part := sealed[p.at.Offset-span[0].at.Offset:][:p.at.Stored]
		var err error
		if contents, err = rd.openChunk(d, name, pack, p, part, contents); err != nil {
			return nil, fmt.Errorf("at byte %d: %w", p.at.Offset, err)
		}
	}
	return contents, nil
}

func (rd *Reader) openChunk(d *zstd.Decoder, name *namer, pack openedPack, p place, sealed, dst []byte) ([]byte, error) {
	encoded, err := pack.aead.Open(sealed[:0], sealNonce(int64(p.at.Offset)), sealed,
		additional(rd.repo.id, byte(p.ref.Kind), p.ref.ID[:]))
	if err != nil {
		return dst, fmt.Errorf("%w: chunk does not decrypt", ErrCorrupt)
	}
	start := len(dst)
	if dst, err = decode(d, dst, encoded, p.at.Raw); err != nil {
		return dst, err
	}
	if name.id(p.ref.Kind, dst[start:]) != p.ref.ID {
		return dst, fmt.Errorf("%w: chunk is not the one that its name says", ErrCorrupt)
	}
	return dst, nil
}

// pack returns a pack and the key that opens it. A pack that the snapshot's
// commit does not name is an error: restore follows the commit, and a catalog
// that says otherwise is wrong.
func (rd *Reader) pack(ordinal uint32) (openedPack, error) {
	rd.mu.Lock()
	defer rd.mu.Unlock()
	if o, ok := rd.aeads[ordinal]; ok {
		return o, nil
	}
	p, err := rd.repo.catalog.PackAt(ordinal)
	if err != nil {
		return openedPack{}, err
	}
	if size, ok := rd.packs[p.SHA256]; !ok || size != p.Size {
		return openedPack{}, fmt.Errorf("repository: %w: the commit does not name pack %x of %d bytes", ErrCorrupt, p.SHA256, p.Size)
	}
	key, err := rd.repo.keys.get(p.Key)
	if err != nil {
		return openedPack{}, fmt.Errorf("repository: pack %x: %w", p.SHA256, err)
	}
	o := openedPack{pack: p}
	if o.aead, err = key.sealer(purposePack, p.Salt[:]); err == nil {
		rd.aeads[ordinal] = o
	}
	return o, err
}
