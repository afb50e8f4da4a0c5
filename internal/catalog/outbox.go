package catalog

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/bbolt"
)

// Kinds of objects.
const (
	KindPack     = "pack"
	KindCommit   = "commit"
	KindMark     = "mark"
	KindKey      = "key"
	KindEvidence = "evidence"
)

// Entry is an object that waits to be written to one site.
type Entry struct {
	Sequence uint64   `json:"-"`
	Kind     string   `json:"kind"`
	Name     string   `json:"name"` // object name, in the spool and on the site
	Size     int64    `json:"size"`
	SHA256   [32]byte `json:"sha256"`
	Snapshot string   `json:"snapshot,omitempty"` // of a commit
}

// The outbox of a site holds what waits for it, numbered in the order in which
// it came: packs, keys, evidence, and apart from them commits with marks, so
// that the newest commit is found at once. names leads from an object's name to its kind
// and number.
var (
	boxPacks    = []byte("packs")    // sequence → Entry
	boxKeys     = []byte("keys")     // sequence → Entry
	boxCommits  = []byte("commits")  // sequence → Entry, marks among them
	boxEvidence = []byte("evidence") // sequence → Entry
	boxNames    = []byte("names")    // name → sequence ‖ kind

	boxQueues = [][]byte{boxPacks, boxKeys, boxCommits, boxEvidence}
)

func queueOf(kind string) []byte {
	switch kind {
	case KindPack:
		return boxPacks
	case KindKey:
		return boxKeys
	case KindEvidence:
		return boxEvidence
	default:
		return boxCommits
	}
}

// makeBox returns the outbox of a site, making it if need be.
func makeBox(tx *bbolt.Tx, site string) (*bbolt.Bucket, error) {
	box, err := tx.Bucket(bucketOutbox).CreateBucketIfNotExists([]byte(site))
	if err != nil {
		return nil, err
	}
	for _, name := range append([][]byte{boxNames}, boxQueues...) {
		if _, err := box.CreateBucketIfNotExists(name); err != nil {
			return nil, err
		}
	}
	return box, nil
}

// enqueue adds e to the outbox of each site where it does not wait already,
// and counts them as holders of the spooled object.
func enqueue(tx *bbolt.Tx, sites []string, e Entry) error {
	for _, site := range sites {
		box, err := makeBox(tx, site)
		if err != nil {
			return err
		}
		names := box.Bucket(boxNames)
		if names.Get([]byte(e.Name)) != nil {
			continue
		}
		seq, err := box.NextSequence()
		if err != nil {
			return err
		}
		if err := putJSON(box.Bucket(queueOf(e.Kind)), be64(seq), e); err != nil {
			return err
		}
		if err := names.Put([]byte(e.Name), append(be64(seq), e.Kind...)); err != nil {
			return err
		}
		if err := addHolders(tx, e.Name, 1); err != nil {
			return err
		}
	}
	return nil
}

// dequeue takes the object out of a site's outbox; false when it does not wait
// there.
func dequeue(tx *bbolt.Tx, site, name string) (was bool, err error) {
	box := tx.Bucket(bucketOutbox).Bucket([]byte(site))
	if box == nil {
		return false, nil
	}
	names := box.Bucket(boxNames)
	v := names.Get([]byte(name))
	if v == nil {
		return false, nil
	}
	seq, kind := append([]byte{}, v[:8]...), string(v[8:])
	if err := names.Delete([]byte(name)); err != nil {
		return false, err
	}
	if err := box.Bucket(queueOf(kind)).Delete(seq); err != nil {
		return false, err
	}
	return true, addHolders(tx, name, -1)
}

// waits reports whether the object waits for the site.
func waits(tx *bbolt.Tx, site, name string) bool {
	box := tx.Bucket(bucketOutbox).Bucket([]byte(site))
	return box != nil && box.Bucket(boxNames).Get([]byte(name)) != nil
}

func addHolders(tx *bbolt.Tx, name string, n int) error {
	spooled := tx.Bucket(bucketSpooled)
	count := n
	if v := spooled.Get([]byte(name)); v != nil {
		count += int(binary.BigEndian.Uint64(v))
	}
	if count <= 0 {
		return spooled.Delete([]byte(name))
	}
	return spooled.Put([]byte(name), be64(uint64(count)))
}

// Next returns what to send to a site now, some limit objects, which may go
// in any order among themselves. A commit comes alone, and only when nothing
// that it names waits any more: what a site holds is then always whole. The
// newest commit goes first, with what it needs, so that the exposure of a site
// that was away falls quickly. Keys go before everything; a mark when nothing
// older than it waits. Evidence waits for commits, and then goes with packs, one
// object with each lot of them: neither waits for all of the other.
func (c *Catalog) Next(site string, limit int) (out []Entry, err error) {
	err = c.db.View(func(tx *bbolt.Tx) error {
		box := tx.Bucket(bucketOutbox).Bucket([]byte(site))
		if box == nil {
			return nil
		}
		if out, err = oldest(box.Bucket(boxKeys), limit); err != nil || len(out) > 0 {
			return err
		}
		if out, err = nextMark(box); err != nil || len(out) > 0 {
			return err
		}
		faults := tx.Bucket(bucketFaults).Bucket([]byte(site))
		if out, err = nextCommit(tx, box, faults, limit); err != nil || len(out) > 0 && out[0].Kind == KindCommit {
			return err
		}
		if len(out) == 0 {
			if out, err = oldest(box.Bucket(boxPacks), limit); err != nil {
				return err
			}
		}
		along := limit
		if len(out) > 0 {
			along = 1
		}
		evidence, err := oldest(box.Bucket(boxEvidence), along)
		out = append(out, evidence...)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("catalog: outbox %s: %w", site, err)
	}
	return out, nil
}

func nextMark(box *bbolt.Bucket) ([]Entry, error) {
	first, err := oldest(box.Bucket(boxCommits), 1)
	if err != nil || len(first) == 0 || first[0].Kind != KindMark {
		return nil, err
	}
	packs, err := oldest(box.Bucket(boxPacks), 1)
	if err != nil || len(packs) > 0 && packs[0].Sequence < first[0].Sequence {
		return nil, err
	}
	return first, nil
}

func nextCommit(tx *bbolt.Tx, box, faults *bbolt.Bucket, limit int) ([]Entry, error) {
	cur := box.Bucket(boxCommits).Cursor()
	for k, v := cur.Last(); k != nil; k, v = cur.Prev() {
		commit, err := decodeEntry(k, v)
		if err != nil {
			return nil, err
		}
		if commit.Kind != KindCommit {
			continue
		}
		packs, blocked, err := neededFirst(tx, box, faults, commit.Name, limit)
		switch {
		case err != nil || len(packs) > 0:
			return packs, err
		case !blocked:
			return []Entry{commit}, nil
		}
	}
	return nil, nil
}

// neededFirst returns what a commit names and still waits. The commit is blocked
// when something that it names is wrong at the site and was set aside.
func neededFirst(tx *bbolt.Tx, box, faults *bbolt.Bucket, commit string, limit int) (out []Entry, blocked bool, err error) {
	names, packs := box.Bucket(boxNames), box.Bucket(boxPacks)
	if isEmpty(packs) && isEmpty(faults) {
		return nil, false, nil
	}
	for _, n := range needs(tx, commit) {
		p, err := packAt(tx, n)
		if err != nil {
			return nil, false, err
		}
		name := []byte(PackName(p.SHA256))
		v := names.Get(name)
		if v == nil {
			blocked = blocked || faults != nil && faults.Get(name) != nil
			continue
		}
		e, err := decodeEntry(v[:8], packs.Get(v[:8]))
		if err != nil {
			return nil, false, err
		}
		if out = append(out, e); len(out) == limit {
			break
		}
	}
	return out, blocked, nil
}

func isEmpty(b *bbolt.Bucket) bool {
	if b == nil {
		return true
	}
	k, _ := b.Cursor().First()
	return k == nil
}

func oldest(queue *bbolt.Bucket, limit int) (out []Entry, err error) {
	cur := queue.Cursor()
	for k, v := cur.First(); k != nil && len(out) < limit; k, v = cur.Next() {
		e, err := decodeEntry(k, v)
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, nil
}

func decodeEntry(key, value []byte) (Entry, error) {
	if len(key) != 8 {
		return Entry{}, fmt.Errorf("catalog: entry of an outbox under a key of %d bytes", len(key))
	}
	e := Entry{Sequence: binary.BigEndian.Uint64(key)}
	return e, json.Unmarshal(value, &e)
}

// Backlog is what waits for a site.
type Backlog struct {
	Objects int
	Bytes   int64
	// Commits are the snapshots among it, Evidence the objects of evidence.
	Commits  int
	Evidence int
}

// Backlog returns how much waits for a site.
func (c *Catalog) Backlog(site string) (b Backlog, err error) {
	err = c.db.View(func(tx *bbolt.Tx) error {
		box := tx.Bucket(bucketOutbox).Bucket([]byte(site))
		if box == nil {
			return nil
		}
		return eachEntry(box, func(e Entry) error {
			b.Objects++
			b.Bytes += e.Size
			switch e.Kind {
			case KindCommit:
				b.Commits++
			case KindEvidence:
				b.Evidence++
			}
			return nil
		})
	})
	return b, err
}

// Waiting returns everything that waits for a site, packs first.
func (c *Catalog) Waiting(site string) (out []Entry, err error) {
	err = c.db.View(func(tx *bbolt.Tx) error {
		box := tx.Bucket(bucketOutbox).Bucket([]byte(site))
		if box == nil {
			return nil
		}
		return eachEntry(box, func(e Entry) error {
			out = append(out, e)
			return nil
		})
	})
	return out, err
}

// eachEntry calls fn for everything in an outbox.
func eachEntry(box *bbolt.Bucket, fn func(Entry) error) error {
	for _, queue := range boxQueues {
		err := box.Bucket(queue).ForEach(func(k, v []byte) error {
			e, err := decodeEntry(k, v)
			if err != nil {
				return err
			}
			return fn(e)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Acknowledge takes entries out of a site's outbox because the site holds the
// objects since at, which ends what was known to be wrong with them there. A
// snapshot becomes durable with its commit. It returns the names that no other
// site waits for, so that they may leave the spool. Acknowledging twice is no
// error.
func (c *Catalog) Acknowledge(site string, entries []Entry, at time.Time, locked time.Time) (free []string, err error) {
	err = c.db.Update(func(tx *bbolt.Tx) error {
		for _, e := range entries {
			was, err := dequeue(tx, site, e.Name)
			if err != nil {
				return err
			}
			if !was {
				continue
			}
			if err := arrived(tx, site, e, at, locked); err != nil {
				return err
			}
			if keep, err := keepSpooled(tx, e.Name); err != nil || keep {
				if err != nil {
					return err
				}
				continue
			}
			free = append(free, e.Name)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("catalog: acknowledge at site %s: %w", site, err)
	}
	return free, nil
}

// arrived notes that a site holds an object.
func arrived(tx *bbolt.Tx, site string, e Entry, at, locked time.Time) error {
	if err := putCopy(tx, site, e.Name, Copy{Read: at, Locked: locked}); err != nil {
		return err
	}
	if err := clearFault(tx, site, e.Name); err != nil {
		return err
	}
	if e.Kind != KindCommit {
		return nil
	}
	return setDurable(tx, e.Snapshot, e.Name, site, at)
}

// Spooled reports whether an object must stay in the spool: some outbox waits
// for it or will again.
func (c *Catalog) Spooled(name string) (keep bool, err error) {
	err = c.db.View(func(tx *bbolt.Tx) error {
		keep, err = keepSpooled(tx, name)
		return err
	})
	return keep, err
}

// keepSpooled reports whether an outbox waits for an object, whether it was set
// aside at a site that may take it later, or whether it is a commit that is held
// back because a pack that it names is lost, and may be found.
func keepSpooled(tx *bbolt.Tx, name string) (bool, error) {
	if tx.Bucket(bucketSpooled).Get([]byte(name)) != nil {
		return true, nil
	}
	if o, err := getObject(tx, name); err == nil && o.Kind == KindCommit && !o.Deleting && lacks(tx, name) {
		return true, nil
	}
	keep := false
	faults := tx.Bucket(bucketFaults)
	err := faults.ForEachBucket(func(site []byte) error {
		v := faults.Bucket(site).Get([]byte(name))
		if v == nil {
			return nil
		}
		var f Fault
		err := json.Unmarshal(v, &f)
		keep = keep || !f.Lost
		return err
	})
	return keep, err
}

// Waits reports whether the object waits for the site.
func (c *Catalog) Waits(site, name string) (waiting bool, err error) {
	err = c.db.View(func(tx *bbolt.Tx) error {
		waiting = waits(tx, site, name)
		return nil
	})
	return waiting, err
}

// PackName is the object name of a pack: "p/", the first byte of its SHA-256
// in hexadecimal, "/", and all of it.
func PackName(sha [32]byte) string { return fmt.Sprintf("p/%02x/%x", sha[0], sha[:]) }

// verifyOutboxes checks that names and queues of each outbox tell the same, and
// that the count of holders of each object is the number of outboxes that name
// it.
func verifyOutboxes(tx *bbolt.Tx) error {
	counts := map[string]int{}
	var errs []error
	outbox := tx.Bucket(bucketOutbox)
	err := outbox.ForEachBucket(func(site []byte) error {
		box, named := outbox.Bucket(site), 0
		err := eachEntry(box, func(e Entry) error {
			counts[e.Name]++
			named++
			v := box.Bucket(boxNames).Get([]byte(e.Name))
			if len(v) < 8 || binary.BigEndian.Uint64(v) != e.Sequence || string(v[8:]) != e.Kind {
				errs = append(errs, fmt.Errorf("catalog: outbox %s: %s is not found by its name", site, e.Name))
			}
			return nil
		})
		if n := box.Bucket(boxNames).Stats().KeyN; n != named {
			errs = append(errs, fmt.Errorf("catalog: outbox %s: %d names for %d objects", site, n, named))
		}
		return err
	})
	if err != nil {
		return err
	}
	err = tx.Bucket(bucketSpooled).ForEach(func(name, v []byte) error {
		if got, want := int(binary.BigEndian.Uint64(v)), counts[string(name)]; got != want {
			errs = append(errs, fmt.Errorf("catalog: %s has %d holders, outboxes name it %d times", name, got, want))
		}
		delete(counts, string(name))
		return nil
	})
	for name := range counts {
		errs = append(errs, fmt.Errorf("catalog: %s waits in an outbox but is not counted as spooled", name))
	}
	return errors.Join(append(errs, err)...)
}
