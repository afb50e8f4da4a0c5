package repository

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sort"
	"sync"
	"sync/atomic"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/crash"
	"github.com/saypro/backupd/internal/rowhash"
	"github.com/saypro/backupd/internal/suspicion"
)

// packSet is a set of packs by their ordinals in the catalog.
type packSet map[uint32]struct{}

func (s packSet) add(ordinals ...uint32) {
	for _, n := range ordinals {
		s[n] = struct{}{}
	}
}

// Writer stores the streams of one snapshot. Its methods are safe for
// concurrent use; it is valid until the function given to [Repository.Write]
// returns.
type Writer struct {
	repo   *Repository
	packer *packer
	raw    atomic.Int64
	fresh  atomic.Int64

	mu    sync.Mutex
	found packSet // packs of earlier snapshots that hold chunks of this one
	done  bool
}

// Write calls fn with a writer for one snapshot. The snapshot exists when fn
// has called [Writer.Commit] and that returned nil; otherwise nothing of it can
// ever be listed.
func (r *Repository) Write(ctx context.Context, fn func(ctx context.Context, w *Writer) error) error {
	if err := r.mayWrite(); err != nil {
		return err
	}
	room := func(n int64) error { return r.makeRoom(ctx, n) }
	w := &Writer{
		repo:   r,
		packer: &packer{repo: r, room: room, pending: map[ChunkID]uint32{}, packs: packSet{}},
		found:  packSet{},
	}
	defer w.packer.abandon()
	if err := fn(ctx, w); err != nil {
		return err
	}
	if !w.done {
		return errors.New("repository: the snapshot was written but never committed")
	}
	return nil
}

// runBytes is how much of one stream is collected before it goes into the
// pack: enough that a restore reads megabytes at once although several streams
// share a pack.
const runBytes = 1 << 20

// chunkSink takes the chunks of one stream, one goroutine's worth of work:
// naming, looking up, compressing.
type chunkSink struct {
	w     *Writer
	name  *namer
	comp  *compressor
	run   []sealable
	size  int // bytes in run
	found packSet
	held  map[ChunkID]struct{} // ids in run
	free  [][]byte             // buffers to use again
}

func (w *Writer) sink() (*chunkSink, error) {
	comp, err := w.repo.compressors.get()
	if err != nil {
		return nil, err
	}
	return &chunkSink{w: w, name: newNamer(w.repo.idKey), comp: comp, found: packSet{}, held: map[ChunkID]struct{}{}}, nil
}

// put stores a chunk unless a pack holds it already, and returns its id.
func (s *chunkSink) put(kind Kind, content []byte) (ChunkID, error) {
	id := s.name.id(kind, content)
	if _, ok := s.held[id]; ok {
		return id, nil
	}
	at, known, err := s.w.repo.catalog.Find(id)
	if err != nil {
		return id, err
	}
	if known {
		s.found.add(at.Pack)
		return id, nil
	}
	if s.w.packer.has(id) {
		return id, nil
	}
	var buf []byte
	if n := len(s.free); n > 0 {
		buf, s.free = s.free[n-1][:0], s.free[:n-1]
	}
	if buf, err = s.comp.encode(buf, content); err != nil {
		return id, err
	}
	s.run = append(s.run, sealable{kind: kind, id: id, raw: uint32(len(content)), encoded: buf})
	s.held[id] = struct{}{}
	s.size += len(buf)
	s.w.fresh.Add(int64(len(content)))
	if s.size < runBytes {
		return id, nil
	}
	return id, s.flush()
}

// flush hands the collected chunks to the packer.
func (s *chunkSink) flush() error {
	if err := s.w.packer.add(s.run); err != nil {
		return err
	}
	for i := range s.run {
		if cap(s.run[i].encoded) <= maxChunk {
			s.free = append(s.free, s.run[i].encoded)
		}
		s.run[i].encoded = nil
	}
	s.run, s.size = s.run[:0], 0
	clear(s.held)
	return nil
}

// close hands over the rest and what was found in earlier packs.
func (s *chunkSink) close() error {
	err := s.flush()
	s.w.repo.compressors.put(s.comp)
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	for n := range s.found {
		s.w.found.add(n)
	}
	return err
}

// RowStream takes one part of a table's rows in COPY text format. It belongs
// to one goroutine.
type RowStream struct {
	sink   *chunkSink
	cut    rowChunker
	tree   treeBuilder
	chunks int64
}

// Part is a part of a table that has been stored.
type Part struct {
	Digest rowhash.Digest
	Bytes  int64
	Chunks int64
	Sample suspicion.Sampler
	refs   []Ref
}

// Rows returns a writer for one part of a table. The caller must call Close,
// also after an error.
func (w *Writer) Rows() (*RowStream, error) {
	sink, err := w.sink()
	if err != nil {
		return nil, err
	}
	s := &RowStream{sink: sink}
	s.tree.put = sink.put
	s.cut.emit = func(kind Kind, content []byte, rows int64) error {
		id, err := sink.put(kind, content)
		if err != nil {
			return err
		}
		s.chunks++
		return s.tree.add(Ref{Kind: kind, ID: id, Raw: int64(len(content)), Rows: rows})
	}
	return s, nil
}

// Write takes the next bytes of the rows.
func (s *RowStream) Write(p []byte) (int, error) {
	if err := s.cut.write(p); err != nil {
		return 0, err
	}
	s.sink.w.raw.Add(int64(len(p)))
	return len(p), nil
}

// Close ends the part. Rows that do not end in a newline are an error, because
// they would run into the rows of the next part.
func (s *RowStream) Close() (Part, error) {
	err := s.end()
	if closeErr := s.sink.close(); err == nil {
		err = closeErr
	}
	return Part{Digest: s.cut.digest, Bytes: s.cut.bytes, Chunks: s.chunks, Sample: s.cut.sample, refs: s.tree.nodes}, err
}

func (s *RowStream) end() error {
	if s.cut.rowAt != len(s.cut.chunk) || s.cut.long != nil {
		return errors.New("repository: rows end without a newline")
	}
	if err := s.cut.flush(KindRows); err != nil {
		return err
	}
	_, err := s.tree.finish()
	return err
}

// Join makes one stream of the parts of a table, in the order given.
func (w *Writer) Join(parts ...Part) (Stream, error) {
	sink, err := w.sink()
	if err != nil {
		return Stream{}, err
	}
	var refs []Ref
	var out Stream
	for _, p := range parts {
		refs = append(refs, p.refs...)
		out.Bytes += p.Bytes
		out.Rows += p.Digest.Rows
		out.Chunks += p.Chunks
	}
	root, err := (&treeBuilder{put: sink.put}).root(refs)
	if closeErr := sink.close(); err == nil {
		err = closeErr
	}
	out.Root, out.Kind = root.ID, root.Kind
	return out, err
}

// bytesChunk is the length of the chunks of streams that know no rows.
const bytesChunk = 256 << 10

// Bytes stores a stream that knows no rows: a schema, a list.
func (w *Writer) Bytes(ctx context.Context, r io.Reader) (Stream, error) {
	sink, err := w.sink()
	if err != nil {
		return Stream{}, err
	}
	out, err := sink.bytes(ctx, r)
	if closeErr := sink.close(); err == nil {
		err = closeErr
	}
	return out, err
}

func (s *chunkSink) bytes(ctx context.Context, r io.Reader) (out Stream, err error) {
	tree := treeBuilder{put: s.put}
	buf := make([]byte, bytesChunk)
	for {
		n, err := io.ReadFull(r, buf)
		if n > 0 {
			id, err := s.put(KindBytes, buf[:n])
			if err != nil {
				return out, err
			}
			if err := tree.add(Ref{Kind: KindBytes, ID: id, Raw: int64(n)}); err != nil {
				return out, err
			}
			out.Bytes += int64(n)
			out.Chunks++
			s.w.raw.Add(int64(n))
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return out, err
		}
	}
	refs, err := tree.finish()
	if err != nil {
		return out, err
	}
	root, err := tree.root(refs)
	out.Root, out.Kind = root.ID, root.Kind
	return out, err
}

// Stored returns the bytes taken so far, and those that no pack held before.
func (w *Writer) Stored() (raw, fresh int64) { return w.raw.Load(), w.fresh.Load() }

// Commit ends the snapshot: it closes the last pack, fills in the snapshot's
// ID, sizes and packs, and queues its commit for every site behind all that it
// names. When it returns nil the snapshot survives a crash of this host's
// processes; it exists on a site when the site has acknowledged the commit.
func (w *Writer) Commit(ctx context.Context, s *Snapshot) error {
	if err := ctx.Err(); err != nil {
		return err // a cancelled run must not become a snapshot
	}
	if err := w.packer.finish(); err != nil {
		return err
	}
	crash.Point(crash.CommitReady)
	s.BytesRaw, s.BytesNew, s.BytesStored = w.raw.Load(), w.fresh.Load(), w.packer.stored
	s.Rows = 0
	for i := range s.Tables {
		s.Rows += s.Tables[i].Rows
	}
	ordinals, err := w.packRefs(s)
	if err != nil {
		return err
	}
	var id [6]byte
	if _, err := rand.Read(id[:]); err != nil {
		return err
	}
	s.ID = hex.EncodeToString(id[:])
	if err := w.repo.makeRoom(ctx, maxSmall); err != nil {
		return err
	}
	if err := w.repo.addCommit(s, ordinals); err != nil {
		return err
	}
	w.done = true
	w.repo.wake()
	return nil
}

// packRefs fills in the packs that the snapshot needs, and returns their
// ordinals in the catalog.
func (w *Writer) packRefs(s *Snapshot) (ordinals []uint32, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.found.add(keys(w.packer.packs)...)
	s.Packs, err = w.repo.refs(w.found)
	return keys(w.found), err
}

// refs names packs as a commit does, sorted by their digests.
func (r *Repository) refs(packs packSet) ([]PackRef, error) {
	refs := make([]PackRef, 0, len(packs))
	for n := range packs {
		p, err := r.catalog.PackAt(n)
		if err != nil {
			return nil, err
		}
		refs = append(refs, PackRef{SHA256: p.SHA256, Size: p.Size})
	}
	sort.Slice(refs, func(i, j int) bool { return string(refs[i].SHA256[:]) < string(refs[j].SHA256[:]) })
	return refs, nil
}

func keys(s packSet) []uint32 {
	out := make([]uint32, 0, len(s))
	for n := range s {
		out = append(out, n)
	}
	return out
}

// addCommit seals the commit of one snapshot into the spool and the catalog.
func (r *Repository) addCommit(s *Snapshot, packs []uint32) error {
	r.commitMu.Lock()
	defer r.commitMu.Unlock()
	c, object, err := r.sealCommit(s)
	if err != nil {
		return err
	}
	crash.Point(crash.CommitKept)
	manifest, err := json.Marshal(s)
	if err != nil {
		return err
	}
	entry := record(s, c)
	entry.Commit, entry.CommitSize, entry.CommitSHA256 = commitName(c), int64(len(object)), sum(object)
	entry.Manifest, entry.Packs = manifest, packs
	err = r.catalog.AddSnapshot(entry, r.siteNames())
	if err != nil {
		err = errors.Join(err, r.spool.remove(entry.Commit))
	}
	if errors.Is(err, catalog.ErrCondemned) {
		return fmt.Errorf("snapshot of %s refers to data that is being deleted or was lost while it ran; "+
			"the next one writes it again: %w", s.Function, err)
	}
	if err != nil {
		return err
	}
	crash.Point(crash.CommitQueued)
	return nil
}

// sealCommit makes the next commit of this writer, of one snapshot, and puts it
// into the spool. The caller holds commitMu.
func (r *Repository) sealCommit(s *Snapshot) (*commit, []byte, error) {
	seq, err := r.catalog.NextSequence()
	if err != nil {
		return nil, nil, err
	}
	crash.Point(crash.CommitNumbered)
	c := &commit{
		Format: Format, Writer: r.writer, Sequence: seq, Time: r.nextTime(),
		Previous: r.lastCommit, Snapshots: []*Snapshot{s},
	}
	name := commitName(c)
	key, err := r.keys.sealing()
	if err != nil {
		return nil, nil, err
	}
	object, err := sealObject(key, commitSeal, name, c)
	if err != nil {
		return nil, nil, fmt.Errorf("repository: seal commit of %s: %w", s.Function, err)
	}
	if err := r.spool.put(name, object); err != nil {
		return nil, nil, err
	}
	r.lastCommit = name
	return c, object, nil
}

// record is what the catalog remembers of a snapshot in a commit.
func record(s *Snapshot, c *commit) catalog.Snapshot {
	return catalog.Snapshot{
		ID: s.ID, Function: s.Function, RecoveryPoint: s.RecoveryPoint, Created: c.Time,
		Started: s.Started, Ended: s.Ended, Rows: s.Rows,
		BytesRaw: s.BytesRaw, BytesNew: s.BytesNew, BytesStored: s.BytesStored, Sequence: c.Sequence,
		Schema: s.schema(), Suspect: s.Suspect,
	}
}
