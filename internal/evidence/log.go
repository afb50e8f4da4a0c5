package evidence

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/saypro/backupd/internal/clock"
)

// What a log can answer, to be told apart with errors.Is.
var (
	// ErrOtherKey: the log was signed last by another key than the one given.
	ErrOtherKey = errors.New("the evidence log is signed by another key")
	// ErrNotOpen: there is no such intent, or it has a result already.
	ErrNotOpen = errors.New("no open intent")
	// ErrDamaged: what is stored of the log contradicts itself.
	ErrDamaged = errors.New("the evidence log is damaged")
	// ErrNotEmpty: the log holds records already.
	ErrNotEmpty = errors.New("the evidence log is not empty")
)

// Options are what a log is made of.
type Options struct {
	Store  Store
	Signer *Signer
	Clock  clock.Clock
	// Program is the version of the program, in every record.
	Program string
}

// Log is an open evidence log. Its methods are safe for concurrent use; what is
// appended is on disk when they return.
type Log struct {
	store   Store
	clock   clock.Clock
	program string

	// writing is held by whoever appends, who alone changes what follows and
	// holds mu for that moment only: readers never wait for a disk.
	writing sync.Mutex
	open    map[uint64]opened

	mu   sync.Mutex
	now  state
	mute error // why nothing can be written; nil when it can
}

// state is what the log is between two appends.
type state struct {
	signer *Signer // of what comes next
	size   uint64
	root   Hash
	last   time.Time // of the newest record
	head   []byte    // signed; nil while the log is empty

	setBacks []setBack // of the clock, in order
	promise  *uint64   // the newest policy; nil while there is none
}

// opened is what a result must repeat of its intent.
type opened struct {
	act      Act
	function string
}

// Open opens the log that a store holds, or an empty one. It checks that the
// newest checkpoint was signed by the signer and fits what is stored; the error
// matches [ErrOtherKey] or [ErrDamaged] otherwise.
func Open(o Options) (*Log, error) {
	l := &Log{store: o.Store, clock: o.Clock, program: o.Program, open: map[uint64]opened{}, now: empty(o.Signer)}
	head, err := o.Store.EvidenceHead()
	if err != nil {
		return nil, fmt.Errorf("open the evidence log: %w", err)
	}
	if head == nil {
		return l, nil
	}
	at, _, err := OpenCheckpoint(head, o.Signer.public)
	if err != nil {
		return nil, fmt.Errorf("open the evidence log: %w: %w", ErrOtherKey, err)
	}
	if err := l.take(at, head); err != nil {
		return nil, fmt.Errorf("open the evidence log: %w", err)
	}
	return l, nil
}

// empty is the state of a log without records.
func empty(by *Signer) state {
	root, _ := tlog.TreeHash(0, nil) // of nothing: reads nothing
	return state{signer: by, root: root}
}

// take makes a checkpoint the state of the log, after a look at what is stored.
func (l *Log) take(at Checkpoint, head []byte) error {
	root, err := l.rootAt(at.Size)
	if err != nil {
		return err
	}
	if root != at.Root {
		return fmt.Errorf("%w: its %d records have the root %v, and its checkpoint says %v", ErrDamaged, at.Size, root, at.Root)
	}
	newest, err := l.read(at.Size - 1)
	if err != nil {
		return err
	}
	if l.now.setBacks, err = l.findSetBacks(); err != nil {
		return err
	}
	if l.now.promise, err = l.findPromise(); err != nil {
		return err
	}
	l.now.size, l.now.root, l.now.last, l.now.head = at.Size, at.Root, newest.Time, head
	unfinished, err := l.store.UnfinishedEvidence()
	if err != nil {
		return err
	}
	for _, n := range unfinished {
		r, err := l.read(n)
		if err != nil {
			return err
		}
		l.open[n] = opened{r.Act, r.Function}
	}
	return nil
}

// Begin records the intent of an act and returns its sequence, by which End is
// told what ended.
func (l *Log) Begin(r Record) (uint64, error) {
	r.Phase = Intent
	return l.append(r)
}

// End records how an act ended. The error matches [ErrNotOpen] when there is no
// such intent without a result.
func (l *Log) End(intent uint64, r Record) error {
	r.Phase, r.Intent = Result, &intent
	_, err := l.append(r)
	return err
}

// Note records an event and returns its sequence.
func (l *Log) Note(r Record) (uint64, error) {
	r.Phase = Event
	return l.append(r)
}

// Size returns how many records the log holds.
func (l *Log) Size() uint64 { return l.state().size }

// Origin returns the name of the log.
func (l *Log) Origin() string { return l.PublicKey().Origin }

// PublicKey returns the key that checks what is signed from now on.
func (l *Log) PublicKey() PublicKey { return l.state().signer.public }

func (l *Log) state() state {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.now
}

// Checkpoint returns the signed head of the log. That of an empty log is signed,
// too.
func (l *Log) Checkpoint() ([]byte, error) {
	now := l.state()
	if now.head != nil {
		return slices.Clone(now.head), nil
	}
	if err := l.Mute(); err != nil {
		return nil, err
	}
	return Checkpoint{Origin: now.signer.public.Origin, Root: now.root}.sign(now.signer)
}

// CheckpointAt returns a signed checkpoint of the log as it was when it held so
// many records.
func (l *Log) CheckpointAt(size uint64) ([]byte, error) {
	return l.checkpointAt(l.state(), size)
}

// checkpointAt signs with the key of a state of the log, in which another may have
// taken its place since.
func (l *Log) checkpointAt(now state, size uint64) ([]byte, error) {
	if size == now.size && now.head != nil {
		return slices.Clone(now.head), nil
	}
	if size > now.size {
		return nil, fmt.Errorf("checkpoint of %d records: the evidence log holds %d", size, now.size)
	}
	if err := l.Mute(); err != nil {
		return nil, err
	}
	root, err := l.rootAt(size)
	if err != nil {
		return nil, fmt.Errorf("checkpoint of %d records: %w", size, err)
	}
	return Checkpoint{Origin: now.signer.public.Origin, Size: size, Root: root}.sign(now.signer)
}

// rootAt returns the root of the tree of the first records.
func (l *Log) rootAt(size uint64) (Hash, error) {
	root, err := tlog.TreeHash(int64(size), tlog.HashReaderFunc(l.store.EvidenceHashes))
	if err != nil {
		return Hash{}, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return root, nil
}

// append writes one record. The first one of a log is preceded by the key that
// signs it.
func (l *Log) append(r Record) (uint64, error) {
	if r.Key != nil && r.Key.Operation == operationSign {
		return 0, fmt.Errorf("%w: a key that signs the log is recorded by Rotate alone", ErrRecord)
	}
	l.writing.Lock()
	defer l.writing.Unlock()
	now := l.state()
	if now.size == 0 {
		return l.write(now.signer, now.signer, signed(now.signer.public, r.By), r)
	}
	return l.write(now.signer, now.signer, r)
}

// signed is the record that a key signs the log from here on.
func signed(k PublicKey, by string) Record {
	return Record{Act: ActKey, Phase: Event, By: by, Key: &Key{Operation: operationSign, Key: k.ID, Public: k.String()}}
}

// write appends records signed by one key, under a checkpoint signed by another
// when that takes over, and returns the sequence of the last.
func (l *Log) write(records, head *Signer, batch ...Record) (uint64, error) {
	if err := l.Mute(); err != nil {
		return 0, err
	}
	was := l.state()
	b := builder{reader: l.store.EvidenceHashes, size: was.size, root: was.root, setBacks: was.setBacks, promise: was.promise}
	now := l.clock.Now().UTC().Round(0)
	if now.Before(was.last) && batch[0].Clock == nil {
		now = was.last // a clock that was set back must not reorder what happened
	}
	for i := range batch {
		r := &batch[i]
		r.Sequence, r.Time, r.Program = b.size, now, l.program
		if r.Alive != nil {
			r.Alive = &Alive{SinceSequence: b.size - 1, TakenFrom: r.Alive.TakenFrom, NotTaken: r.Alive.NotTaken}
		}
		if r.Promise = nil; r.namesPromise() {
			r.Promise = b.promise
		}
		if err := l.fit(r); err != nil {
			return 0, err
		}
		payload, err := encodeStatement(r, records.public.Origin, b.root)
		if err != nil {
			return 0, fmt.Errorf("record %s %s: %w", r.Act, r.Phase, err)
		}
		sealed, err := seal(payload, records)
		if err == nil {
			err = b.add(r, sealed)
		}
		if err != nil {
			return 0, fmt.Errorf("record %s %s: %w", r.Act, r.Phase, err)
		}
	}
	checkpoint, err := Checkpoint{Origin: head.public.Origin, Size: b.size, Root: b.root}.sign(head)
	if err != nil {
		return 0, err
	}
	if err := l.store.AppendEvidence(checkpoint, b.entries); err != nil {
		return 0, fmt.Errorf("write the evidence log: %w", err)
	}
	for _, r := range batch {
		l.follow(&r)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now = state{signer: head, size: b.size, root: b.root, last: now, head: checkpoint, setBacks: b.setBacks, promise: b.promise}
	return b.size - 1, nil
}

// fit checks a record, and a result against its intent.
func (l *Log) fit(r *Record) error {
	if r.Phase == Result && r.Intent != nil {
		of, ok := l.open[*r.Intent]
		if !ok {
			return fmt.Errorf("%w: record %d", ErrNotOpen, *r.Intent)
		}
		if r.Function == "" {
			r.Function = of.function
		}
		if of.act != r.Act || of.function != r.Function {
			return fmt.Errorf("%w: %s of %q cannot end record %d, which is %s of %q", ErrNotOpen, r.Act, r.Function, *r.Intent, of.act, of.function)
		}
	}
	return r.check()
}

// follow keeps track of what is open.
func (l *Log) follow(r *Record) {
	switch r.Phase {
	case Intent:
		l.open[r.Sequence] = opened{r.Act, r.Function}
	case Result:
		delete(l.open, *r.Intent)
	}
}

// builder makes entries, one after the other, with the tree that they make.
type builder struct {
	reader  tlog.HashReaderFunc
	size    uint64
	root    Hash
	entries []Entry
	fresh   map[int64]Hash // not stored yet

	setBacks []setBack // with those among the entries
	promise  *uint64   // the newest policy, with those among the entries
}

func (b *builder) hashes(indexes []int64) ([]Hash, error) {
	out := make([]Hash, len(indexes))
	var stored []int64
	for i, n := range indexes {
		if h, ok := b.fresh[n]; ok {
			out[i] = h
		} else {
			stored = append(stored, n)
		}
	}
	if len(stored) == 0 {
		return out, nil
	}
	read, err := b.reader(stored)
	if err != nil {
		return nil, err
	}
	for i, n := range indexes {
		if _, ok := b.fresh[n]; !ok {
			out[i], read = read[0], read[1:]
		}
	}
	return out, nil
}

func (b *builder) add(r *Record, sealed []byte) error {
	n := int64(b.size)
	added, err := tlog.StoredHashes(n, sealed, tlog.HashReaderFunc(b.hashes))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	e := Entry{
		Sequence: b.size, Envelope: sealed, HashIndex: tlog.StoredHashIndex(0, n), Hashes: added,
		Act: r.Act, Function: r.Function, Time: r.Time, Opens: r.Phase == Intent, SetsBack: r.Act == ActClock,
	}
	if e.SetsBack {
		b.setBacks = append(slices.Clone(b.setBacks), setBack{r.Sequence, r.Time}) // others read the old ones
	}
	if r.Phase == Result {
		e.Closes = r.Intent
	}
	if r.Act == ActPolicy {
		b.promise = &e.Sequence
	}
	if b.fresh == nil {
		b.fresh = map[int64]Hash{}
	}
	for i, h := range added {
		b.fresh[e.HashIndex+int64(i)] = h
	}
	if b.root, err = tlog.TreeHash(n+1, tlog.HashReaderFunc(b.hashes)); err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	b.size++
	b.entries = append(b.entries, e)
	return nil
}
