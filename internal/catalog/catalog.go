// Package catalog keeps everything that backupd knows locally in one bbolt
// file: which chunk lies in which pack, what still has to go to which site,
// the snapshots and the record of runs and proofs.
//
// The catalog is a cache and a queue. What a recovery point is made of is told
// by the commit objects on the sites; the catalog can be thrown away when
// nothing waits in an outbox.
package catalog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"go.etcd.io/bbolt"
	bbolterrors "go.etcd.io/bbolt/errors"
)

// What went wrong, to be told apart with errors.Is.
var (
	// ErrInUse: another process has the catalog open.
	ErrInUse = errors.New("catalog is in use by another process")
	// ErrNotFound: no such record.
	ErrNotFound = errors.New("not in the catalog")
	// ErrFormat: the file was written by a release that this one cannot read.
	ErrFormat = errors.New("catalog has an unknown format")
)

// formatVersion is written into every catalog and checked on opening.
const formatVersion = 2

var (
	bucketMeta      = []byte("meta")      // name → value
	bucketPacks     = []byte("packs")     // ordinal → Pack
	bucketPackNames = []byte("packnames") // SHA-256 → ordinal
	bucketChunks    = []byte("chunks")    // chunk id → one Location or more
	bucketCondemned = []byte("condemned") // ordinal → Condemnation, of packs that nobody needs any more
	bucketLost      = []byte("lost")      // ordinal → nothing, of packs that no site and no spool has
	bucketOutbox    = []byte("outbox")    // site → what waits for it, see outbox.go
	bucketSpooled   = []byte("spooled")   // object name → number of outboxes that wait for it
	bucketFaults    = []byte("faults")    // site → object name → Fault
	bucketCopies    = []byte("copies")    // site → object name → Copy
	bucketObjects   = []byte("objects")   // name → Object: commits, marks, keys, evidence
	bucketNeeds     = []byte("needs")     // commit name → ordinals of the packs that it names
	bucketManifests = []byte("manifests") // commit name → what it says of its snapshot
	bucketSnapshots = []byte("snapshots") // snapshot id → Snapshot
	bucketPoints    = []byte("points")    // function \0 recovery point \0 id → nothing
	bucketHolds     = []byte("holds")     // snapshot id → Held
	bucketSuspects  = []byte("suspects")  // snapshot id → its function, of snapshots that looked wrong
	bucketStrays    = []byte("strays")    // site → name of a pack that nobody knows → since when
	bucketRuns      = []byte("runs")      // sequence → Run
	bucketProofs    = []byte("proofs")    // sequence → Proof
	bucketTraffic   = []byte("traffic")   // month \0 site → Traffic

	bucketEvidence      = []byte("evidence")      // sequence → envelope
	bucketEvidenceTree  = []byte("evidencetree")  // index in the order of tlog → hash
	bucketEvidenceFound = []byte("evidencefound") // act \0 function \0 time sequence → nothing
	bucketEvidenceOpen  = []byte("evidenceopen")  // sequence → nothing, of intents without a result
	bucketUntold        = []byte("untold")        // sequence → an act that is yet to be put on record

	allBuckets = [][]byte{
		bucketMeta, bucketPacks, bucketPackNames, bucketChunks, bucketCondemned, bucketLost, bucketOutbox, bucketSpooled,
		bucketFaults, bucketCopies, bucketObjects, bucketNeeds, bucketManifests, bucketSnapshots, bucketPoints, bucketRuns, bucketProofs,
		bucketTraffic, bucketHolds, bucketSuspects, bucketStrays, bucketEvidence, bucketEvidenceTree, bucketEvidenceFound, bucketEvidenceOpen, bucketUntold,
	}
)

// Catalog is an open catalog. All methods are safe for concurrent use; reads
// never wait for writes.
type Catalog struct {
	db *bbolt.DB
}

// Open opens the catalog at path and makes it when it does not exist. When
// another process has it open the error matches [ErrInUse].
func Open(path string) (*Catalog, error) {
	// The free list is rebuilt on opening instead of being written with each
	// commit, and kept as a map: the advice of bbolt for large files with
	// many small commits.
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{
		Timeout:        500 * time.Millisecond,
		FreelistType:   bbolt.FreelistMapType,
		NoFreelistSync: true,
	})
	if errors.Is(err, bbolterrors.ErrTimeout) {
		return nil, fmt.Errorf("open catalog %s: %w", path, ErrInUse)
	}
	if err != nil {
		return nil, fmt.Errorf("open catalog %s: %w", path, err)
	}
	c := &Catalog{db: db}
	if err := c.prepare(); err != nil {
		_ = db.Close() // the first error says more
		return nil, fmt.Errorf("open catalog %s: %w", path, err)
	}
	return c, nil
}

func (c *Catalog) prepare() error {
	return c.db.Update(func(tx *bbolt.Tx) error {
		for _, name := range allBuckets {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		meta := tx.Bucket(bucketMeta)
		v := meta.Get([]byte("format"))
		if v == nil {
			return meta.Put([]byte("format"), be64(formatVersion))
		}
		switch {
		case len(v) == 8 && binary.BigEndian.Uint64(v) == formatVersion:
			return eachSite(tx, func(site string) error {
				_, err := makeBox(tx, site) // an older release knew fewer queues
				return err
			})
		case len(v) == 8 && binary.BigEndian.Uint64(v) == 1:
			return migrate(tx)
		}
		return fmt.Errorf("%w: this release reads formats 1 and %d", ErrFormat, formatVersion)
	})
}

// Peek returns the value stored under name in the catalog at path, without
// taking hold of it for longer and without changing anything. The error matches
// [ErrInUse] while another process has it open.
func Peek(path, name string) (out []byte, err error) {
	err = peek(path, func(c *Catalog) error {
		out, err = c.Meta(name)
		return err
	})
	return out, err
}

// peek reads the catalog at path without changing anything. The error matches
// [ErrNotFound] when nothing was ever written there.
func peek(path string, read func(*Catalog) error) error {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: 100 * time.Millisecond, ReadOnly: true})
	if errors.Is(err, bbolterrors.ErrTimeout) {
		return fmt.Errorf("look into catalog %s: %w", path, ErrInUse)
	}
	if err != nil {
		return fmt.Errorf("look into catalog %s: %w", path, err)
	}
	c := &Catalog{db: db}
	defer func() { _ = c.Close() }() // it was only read
	err = db.View(func(tx *bbolt.Tx) error {
		if tx.Bucket(bucketMeta) == nil {
			return fmt.Errorf("catalog %s: %w", path, ErrNotFound)
		}
		return nil
	})
	if err == nil {
		err = read(c)
	}
	return err
}

// WriteTo writes a copy of the catalog as it is between two transactions. It
// implements [io.WriterTo].
func (c *Catalog) WriteTo(w io.Writer) (n int64, err error) {
	err = c.db.View(func(tx *bbolt.Tx) error {
		n, err = tx.WriteTo(w)
		return err
	})
	return n, err
}

// Close waits for running transactions and closes the file.
func (c *Catalog) Close() error { return c.db.Close() }

// Meta returns the value stored under name, or an error matching [ErrNotFound].
func (c *Catalog) Meta(name string) ([]byte, error) {
	var out []byte
	err := c.db.View(func(tx *bbolt.Tx) error {
		v := tx.Bucket(bucketMeta).Get([]byte("m:" + name))
		if v == nil {
			return fmt.Errorf("catalog: %s: %w", name, ErrNotFound)
		}
		out = append(out, v...)
		return nil
	})
	return out, err
}

// SetMeta stores value under name.
func (c *Catalog) SetMeta(name string, value []byte) error {
	return c.db.Update(func(tx *bbolt.Tx) error {
		return tx.Bucket(bucketMeta).Put([]byte("m:"+name), value)
	})
}

// DropMeta forgets the value stored under name.
func (c *Catalog) DropMeta(name string) error {
	return c.db.Update(func(tx *bbolt.Tx) error {
		return tx.Bucket(bucketMeta).Delete([]byte("m:" + name))
	})
}

// NextSequence returns the next number of the writer's commits, counting from 1.
// A number is never given twice, not even across a crash.
func (c *Catalog) NextSequence() (uint64, error) {
	var n uint64
	err := c.db.Update(func(tx *bbolt.Tx) error {
		var err error
		n, err = tx.Bucket(bucketMeta).NextSequence()
		return err
	})
	return n, err
}

// Verify checks the consistency of the file itself and of what its tables say
// of each other; it reads everything and is meant for tests and for
// troubleshooting.
func (c *Catalog) Verify() error {
	// The list of free pages is that of the newest state, so no write may
	// come between.
	return c.db.Update(func(tx *bbolt.Tx) error {
		var errs []error
		for err := range tx.Check() {
			errs = append(errs, err)
		}
		errs = append(errs, verifyChunks(tx), verifyOutboxes(tx), verifyPoints(tx), verifyNeeds(tx))
		return errors.Join(errs...)
	})
}

func be64(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }
