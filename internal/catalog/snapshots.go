package catalog

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.etcd.io/bbolt"

	"github.com/saypro/backupd/internal/suspicion"
)

// Snapshot is what the catalog remembers of a snapshot; all of it is told by
// its commit object.
type Snapshot struct {
	ID            string    `json:"id"`
	Function      string    `json:"function"`
	RecoveryPoint time.Time `json:"recovery_point"` // consistency point in the database
	Created       time.Time `json:"created"`        // when it was committed locally
	Started       time.Time `json:"started"`
	Ended         time.Time `json:"ended"`
	Rows          int64     `json:"rows"`
	BytesRaw      int64     `json:"bytes_raw"`
	BytesNew      int64     `json:"bytes_new"`
	BytesStored   int64     `json:"bytes_stored"`
	// Schema stands for the definition of everything in the scope: equal ones
	// are equal. Empty where it was not noted.
	Schema string `json:"schema,omitempty"`

	Commit       string   `json:"commit"` // name of the commit object
	CommitSize   int64    `json:"commit_size"`
	CommitSHA256 [32]byte `json:"commit_sha256"`
	Sequence     uint64   `json:"sequence"` // of the commit, rising per writer

	// Durable says since when each site holds the commit and all that it
	// names. A site that is not in it has not acknowledged it.
	Durable map[string]time.Time `json:"durable,omitempty"`

	// Condemned is since when no rule keeps it, and Reason says which rule
	// kept another; zero while it is kept. It is deleted some time later.
	Condemned time.Time `json:"condemned,omitzero"`
	Reason    string    `json:"reason,omitempty"`
	// Staged is the commit that takes the place of Commit when every site has it;
	// empty when none does.
	Staged string `json:"staged,omitempty"`
	// Held is why it must not be deleted whatever the rules say; empty when
	// nobody holds it.
	Held string `json:"held,omitempty"`
	// Suspect says what looked wrong in it, Cleared why somebody judged it to
	// be fine; empty when nobody has.
	Suspect []suspicion.Signal `json:"suspect,omitempty"`
	Cleared string             `json:"cleared,omitempty"`

	// Manifest is the snapshot as the commit tells it. It is kept apart and
	// only filled in by [Catalog.Manifest]: it may be large, and lists and
	// acknowledgements do not need it.
	Manifest json.RawMessage `json:"-"`
	// Packs are the ordinals of all packs that the commit names. They are kept
	// apart too and only read by [Catalog.AddSnapshot].
	Packs []uint32 `json:"-"`
}

// ErrCondemned means that a snapshot refers to a pack that is being deleted or
// is lost.
var ErrCondemned = errors.New("pack is being deleted or lost")

// MetaLastCommit names the value that holds the name of the newest commit.
const MetaLastCommit = "last_commit"

// pointTime has a fixed number of digits, so that text order is time order.
const pointTime = "2006-01-02T15:04:05.000000000Z"

// pointKey sorts the recovery points of a function by time.
func pointKey(s *Snapshot) []byte {
	return []byte(s.Function + "\x00" + s.RecoveryPoint.UTC().Format(pointTime) + "\x00" + s.ID)
}

// AddSnapshot remembers a snapshot and queues its commit for every site, in
// one transaction: this is the moment from which it cannot be lost by a crash.
// Packs that were condemned meanwhile are needed again; when one is already
// being deleted, or was found to be lost, the error matches [ErrCondemned].
func (c *Catalog) AddSnapshot(s Snapshot, sites []string) error {
	err := c.db.Update(func(tx *bbolt.Tx) error {
		if err := claim(tx, s.Packs); err != nil {
			return err
		}
		return addSnapshot(tx, s, sites)
	})
	if err != nil {
		return fmt.Errorf("catalog: add snapshot %s of %s: %w", s.ID, s.Function, err)
	}
	return nil
}

// addSnapshot remembers a snapshot, or another commit of one that is known.
func addSnapshot(tx *bbolt.Tx, s Snapshot, sites []string) error {
	if tx.Bucket(bucketSnapshots).Get([]byte(s.ID)) != nil {
		return addCommit(tx, &s, sites)
	}
	held, err := getHold(tx, s.ID)
	if err != nil {
		return err
	}
	s.Cleared = held.Cleared
	if s.Held = held.Reason; s.Held != "" {
		s.Condemned, s.Reason = time.Time{}, ""
	}
	if err := putSnapshot(tx, &s); err != nil {
		return err
	}
	if err := tx.Bucket(bucketMeta).Put([]byte("m:"+MetaLastCommit), []byte(s.Commit)); err != nil {
		return err
	}
	return addObject(tx, s.object(), sites)
}

// addCommit remembers another commit of a snapshot that is known: the one that
// was written last counts.
func addCommit(tx *bbolt.Tx, s *Snapshot, sites []string) error {
	known, err := getSnapshot(tx, s.ID)
	if err != nil || known.Commit == s.Commit {
		return err
	}
	if err := putManifest(tx, s.Commit, s.Manifest, s.Packs); err != nil {
		return err
	}
	if known.Commit < s.Commit {
		known.Commit, known.CommitSize, known.CommitSHA256, known.Durable = s.Commit, s.CommitSize, s.CommitSHA256, s.Durable
		if err := putJSON(tx.Bucket(bucketSnapshots), []byte(s.ID), known); err != nil {
			return err
		}
	}
	o := s.object()
	o.Condemned = known.Condemned // it goes with the snapshot
	return addObject(tx, o, sites)
}

// object is the commit of the snapshot.
func (s *Snapshot) object() Object {
	return Object{
		Kind: KindCommit, Name: s.Commit, Size: s.CommitSize, SHA256: s.CommitSHA256, Snapshot: s.ID, Condemned: s.Condemned,
	}
}

func putSnapshot(tx *bbolt.Tx, s *Snapshot) error {
	if err := putManifest(tx, s.Commit, s.Manifest, s.Packs); err != nil {
		return err
	}
	if err := putJSON(tx.Bucket(bucketSnapshots), []byte(s.ID), s); err != nil {
		return err
	}
	if len(s.Suspect) > 0 {
		if err := tx.Bucket(bucketSuspects).Put([]byte(s.ID), []byte(s.Function)); err != nil {
			return err
		}
	}
	return tx.Bucket(bucketPoints).Put(pointKey(s), []byte{})
}

// putManifest keeps what a commit says of its snapshot, and which packs it
// names.
func putManifest(tx *bbolt.Tx, commit string, manifest []byte, packs []uint32) error {
	if err := tx.Bucket(bucketManifests).Put([]byte(commit), manifest); err != nil {
		return err
	}
	ordinals := make([]byte, 0, 4*len(packs))
	for _, n := range packs {
		ordinals = binary.BigEndian.AppendUint32(ordinals, n)
	}
	return tx.Bucket(bucketNeeds).Put([]byte(commit), ordinals)
}

// needs returns the packs that a commit names.
func needs(tx *bbolt.Tx, commit string) []uint32 {
	v := tx.Bucket(bucketNeeds).Get([]byte(commit))
	out := make([]uint32, 0, len(v)/4)
	for ; len(v) >= 4; v = v[4:] {
		out = append(out, binary.BigEndian.Uint32(v))
	}
	return out
}

func getSnapshot(tx *bbolt.Tx, id string) (*Snapshot, error) {
	v := tx.Bucket(bucketSnapshots).Get([]byte(id))
	if v == nil {
		return nil, fmt.Errorf("snapshot %s: %w", id, ErrNotFound)
	}
	var s Snapshot
	if err := json.Unmarshal(v, &s); err != nil {
		return nil, fmt.Errorf("snapshot %s: %w", id, err)
	}
	return &s, nil
}

// forgetSite takes a site out of what every snapshot says of its copies.
func forgetSite(tx *bbolt.Tx, site string) error {
	snapshots, err := allSnapshots(tx)
	if err != nil {
		return err
	}
	for _, s := range snapshots {
		if _, ok := s.Durable[site]; !ok {
			continue
		}
		delete(s.Durable, site)
		if err := putJSON(tx.Bucket(bucketSnapshots), []byte(s.ID), s); err != nil {
			return err
		}
	}
	return nil
}

func allSnapshots(tx *bbolt.Tx) (out []*Snapshot, err error) {
	err = tx.Bucket(bucketSnapshots).ForEach(func(id, _ []byte) error {
		s, err := getSnapshot(tx, string(id))
		out = append(out, s)
		return err
	})
	return out, err
}

// setDurable notes that a site holds a commit: the one that counts of a snapshot,
// or the one that takes its place, which may be all that a new site is given. Of a
// snapshot that was deleted meanwhile, or has another commit now, nothing is
// noted.
func setDurable(tx *bbolt.Tx, id, commit, site string, at time.Time) error {
	s, err := getSnapshot(tx, id)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil || s.Commit != commit && s.Staged != commit {
		return err
	}
	if s.Staged == commit && !s.Durable[site].IsZero() {
		return nil // since its first commit is there
	}
	if s.Durable == nil {
		s.Durable = map[string]time.Time{}
	}
	s.Durable[site] = at.UTC()
	return putJSON(tx.Bucket(bucketSnapshots), []byte(id), s)
}

// Snapshot returns the snapshot whose id is id or, when there is just one,
// begins with it.
func (c *Catalog) Snapshot(id string) (*Snapshot, error) {
	var s *Snapshot
	err := c.db.View(func(tx *bbolt.Tx) error {
		full, err := completeID(tx, id)
		if err != nil {
			return err
		}
		s, err = getSnapshot(tx, full)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("catalog: %w", err)
	}
	return s, nil
}

// Manifest returns the snapshot of that id, or the beginning of it, with its
// manifest.
func (c *Catalog) Manifest(id string) (*Snapshot, error) {
	s, err := c.Snapshot(id)
	if err != nil {
		return nil, err
	}
	err = c.db.View(func(tx *bbolt.Tx) error {
		v := tx.Bucket(bucketManifests).Get([]byte(s.Commit))
		if v == nil {
			return fmt.Errorf("catalog: manifest of snapshot %s: %w", s.ID, ErrNotFound)
		}
		s.Manifest = append(s.Manifest, v...)
		return nil
	})
	return s, err
}

func completeID(tx *bbolt.Tx, prefix string) (string, error) {
	if prefix == "" {
		return "", fmt.Errorf("snapshot without id: %w", ErrNotFound)
	}
	cur := tx.Bucket(bucketSnapshots).Cursor()
	k, _ := cur.Seek([]byte(prefix))
	if k == nil || !strings.HasPrefix(string(k), prefix) {
		return "", fmt.Errorf("snapshot %s ('backupd snapshots' lists them all): %w", prefix, ErrNotFound)
	}
	first := string(k)
	if next, _ := cur.Next(); first != prefix && next != nil && strings.HasPrefix(string(next), prefix) {
		return "", fmt.Errorf("snapshot %s is ambiguous, give more of its id: %w", prefix, ErrNotFound)
	}
	return first, nil
}

// Snapshots calls fn for the snapshots of a function, or of all when function
// is empty, until fn returns false. Within a function the newest recovery
// point comes first.
func (c *Catalog) Snapshots(function string, fn func(*Snapshot) bool) error {
	prefix := ""
	if function != "" {
		prefix = function + "\x00"
	}
	return pages(func(before []byte) (page []*Snapshot, next []byte, err error) {
		err = c.db.View(func(tx *bbolt.Tx) error {
			cur := tx.Bucket(bucketPoints).Cursor()
			k := last(cur, prefix)
			if before != nil {
				k = prior(cur, before)
			}
			for ; k != nil && strings.HasPrefix(string(k), prefix) && len(page) < pageSize; k, _ = cur.Prev() {
				key := string(k)
				s, err := getSnapshot(tx, key[strings.LastIndexByte(key, 0)+1:])
				if err != nil {
					return fmt.Errorf("catalog: %w", err)
				}
				page, next = append(page, s), []byte(key)
			}
			return nil
		})
		return page, next, err
	}, fn)
}

// Oldest returns the oldest recovery point of a function; ok is false when it
// has none.
func (c *Catalog) Oldest(function string) (at time.Time, ok bool, err error) {
	prefix := function + "\x00"
	err = c.db.View(func(tx *bbolt.Tx) error {
		k, _ := tx.Bucket(bucketPoints).Cursor().Seek([]byte(prefix))
		if !strings.HasPrefix(string(k), prefix) {
			return nil
		}
		text := string(k[len(prefix):])
		at, err = time.Parse(pointTime, text[:strings.IndexByte(text, 0)])
		ok = err == nil
		return err
	})
	return at, ok, err
}

// pageSize is how many records are read in one transaction. What is done with
// them is done outside of it: a callback that used the catalog inside of a
// read would wait for a writer that waits for the read.
const pageSize = 64

// pages hands the records of page after page to fn until fn returns false.
func pages[T any](read func(before []byte) (page []T, next []byte, err error), fn func(T) bool) error {
	var before []byte
	for {
		page, next, err := read(before)
		if err != nil {
			return err
		}
		for _, record := range page {
			if !fn(record) {
				return nil
			}
		}
		if len(page) < pageSize {
			return nil
		}
		before = next
	}
}

// prior moves the cursor to the last key before key.
func prior(cur *bbolt.Cursor, key []byte) []byte {
	if k, _ := cur.Seek(key); k == nil {
		k, _ = cur.Last()
		return k
	}
	k, _ := cur.Prev()
	return k
}

// last moves the cursor to the last key that begins with prefix, or to some
// key that does not when there is none.
func last(cur *bbolt.Cursor, prefix string) []byte {
	if prefix == "" {
		k, _ := cur.Last()
		return k
	}
	// The byte after the separator is a digit, so this is behind all of them.
	if k, _ := cur.Seek([]byte(prefix + "\xff")); k == nil {
		k, _ = cur.Last()
		return k
	}
	k, _ := cur.Prev()
	return k
}

// verifyPoints checks that each snapshot is found by its recovery point and
// that no point leads nowhere.
func verifyPoints(tx *bbolt.Tx) error {
	points := 0
	err := tx.Bucket(bucketPoints).ForEach(func(k, _ []byte) error {
		points++
		key := string(k)
		_, err := getSnapshot(tx, key[strings.LastIndexByte(key, 0)+1:])
		return err
	})
	if err != nil {
		return fmt.Errorf("catalog: recovery point without snapshot: %w", err)
	}
	if n := tx.Bucket(bucketSnapshots).Stats().KeyN; n != points {
		return fmt.Errorf("catalog: %d snapshots but %d recovery points", n, points)
	}
	return nil
}

// verifyNeeds checks that each commit's packs are known, and that each snapshot
// has a commit.
func verifyNeeds(tx *bbolt.Tx) error {
	snapshots, err := allSnapshots(tx)
	if err != nil {
		return err
	}
	for _, s := range snapshots {
		if _, err := getObject(tx, s.Commit); err != nil {
			return fmt.Errorf("snapshot %s: %w", s.ID, err)
		}
	}
	return tx.Bucket(bucketNeeds).ForEach(func(commit, _ []byte) error {
		if _, err := getObject(tx, string(commit)); err != nil {
			return fmt.Errorf("packs of a commit that is not known: %w", err)
		}
		for _, n := range needs(tx, string(commit)) {
			if _, err := packAt(tx, n); err != nil {
				return fmt.Errorf("commit %s: %w", commit, err)
			}
		}
		return nil
	})
}
