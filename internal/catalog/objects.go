package catalog

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"go.etcd.io/bbolt"
)

// Object is what the catalog remembers of an object that is no pack: a commit,
// a mark, a wrapped key, evidence.
type Object struct {
	Kind     string   `json:"kind"`
	Name     string   `json:"-"`
	Size     int64    `json:"size"`
	SHA256   [32]byte `json:"sha256"`
	Snapshot string   `json:"snapshot,omitempty"` // of a commit

	// Condemned is since when nobody needs it; zero while somebody does.
	Condemned time.Time `json:"condemned,omitzero"`
	// Deleting: it is being deleted, and may be gone at some sites already.
	Deleting bool `json:"deleting,omitempty"`
}

func (o Object) entry() Entry {
	return Entry{Kind: o.Kind, Name: o.Name, Size: o.Size, SHA256: o.SHA256, Snapshot: o.Snapshot}
}

func putObject(tx *bbolt.Tx, o Object) error {
	return putJSON(tx.Bucket(bucketObjects), []byte(o.Name), o)
}

func getObject(tx *bbolt.Tx, name string) (Object, error) {
	o := Object{Name: name}
	v := tx.Bucket(bucketObjects).Get([]byte(name))
	if v == nil {
		return o, fmt.Errorf("catalog: object %s: %w", name, ErrNotFound)
	}
	return o, json.Unmarshal(v, &o)
}

// AddObject remembers a mark, a key or evidence and queues it for the sites named. Adding
// it again adds nothing.
func (c *Catalog) AddObject(o Object, sites []string) error {
	err := c.db.Update(func(tx *bbolt.Tx) error { return addObject(tx, o, sites) })
	if err != nil {
		return fmt.Errorf("catalog: add %s: %w", o.Name, err)
	}
	return nil
}

func addObject(tx *bbolt.Tx, o Object, sites []string) error {
	if tx.Bucket(bucketObjects).Get([]byte(o.Name)) != nil {
		return nil
	}
	if err := putObject(tx, o); err != nil {
		return err
	}
	return enqueue(tx, sites, o.entry())
}

// ReplaceLost puts other bytes in the place of those of an object that is lost,
// so that no site and no spool has them; replaced is false when it is not lost.
func (c *Catalog) ReplaceLost(o Object) (replaced bool, err error) {
	err = c.db.Update(func(tx *bbolt.Tx) error {
		err := eachSite(tx, func(site string) error {
			replaced = replaced || isLostAt(tx, site, o.Name)
			return nil
		})
		if err != nil || !replaced {
			return err
		}
		return putObject(tx, o)
	})
	if err != nil {
		return false, fmt.Errorf("catalog: replace %s: %w", o.Name, err)
	}
	return replaced, nil
}

// Object returns what is known of a commit, a mark, a key or evidence, or an error that
// matches [ErrNotFound].
func (c *Catalog) Object(name string) (o Object, err error) {
	err = c.db.View(func(tx *bbolt.Tx) error {
		o, err = getObject(tx, name)
		return err
	})
	return o, err
}

// LastObject returns the last of the names that begin with prefix; empty when
// there is none.
func (c *Catalog) LastObject(prefix string) (name string, err error) {
	err = c.db.View(func(tx *bbolt.Tx) error {
		if k := last(tx.Bucket(bucketObjects).Cursor(), prefix); strings.HasPrefix(string(k), prefix) {
			name = string(k)
		}
		return nil
	})
	return name, err
}

// ObjectsBelow returns the commits, marks, keys or evidence whose names begin
// with prefix and do not sort before from, in the order of their names.
func (c *Catalog) ObjectsBelow(prefix, from string) (out []Object, err error) {
	err = c.db.View(func(tx *bbolt.Tx) error {
		cur := tx.Bucket(bucketObjects).Cursor()
		for k, v := cur.Seek([]byte(max(prefix, from))); strings.HasPrefix(string(k), prefix) && k != nil; k, v = cur.Next() {
			o := Object{Name: string(k)}
			if err := json.Unmarshal(v, &o); err != nil {
				return err
			}
			out = append(out, o)
		}
		return nil
	})
	return out, err
}

// Objects returns all commits, marks or keys in the order of their names.
func (c *Catalog) Objects(kind string) (out []Object, err error) {
	err = c.db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket(bucketObjects).ForEach(func(k, v []byte) error {
			o := Object{Name: string(k)}
			if err := json.Unmarshal(v, &o); err != nil {
				return err
			}
			if o.Kind == kind {
				out = append(out, o)
			}
			return nil
		})
	})
	return out, err
}

// Copy is what is known of one object at one site.
type Copy struct {
	// Read is when all its bytes were last known to be right: since it was
	// acknowledged, or read and compared. Zero when that is not known.
	Read time.Time
	// Locked is until when the site refuses to delete it; zero when it is not
	// locked.
	Locked time.Time
}

func (c Copy) encode() []byte {
	return append(be64(unixSeconds(c.Read)), be64(unixSeconds(c.Locked))...)
}

func decodeCopy(b []byte) (c Copy) {
	if len(b) == 16 {
		c.Read, c.Locked = fromSeconds(binary.BigEndian.Uint64(b)), fromSeconds(binary.BigEndian.Uint64(b[8:]))
	}
	return c
}

func unixSeconds(t time.Time) uint64 {
	if t.IsZero() {
		return 0
	}
	return uint64(t.Unix())
}

func fromSeconds(n uint64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(int64(n), 0).UTC()
}

func putCopy(tx *bbolt.Tx, site, name string, c Copy) error {
	b, err := tx.Bucket(bucketCopies).CreateBucketIfNotExists([]byte(site))
	if err != nil {
		return err
	}
	return b.Put([]byte(name), c.encode())
}

// SetCopies notes what was learned of objects at a site; names that the catalog
// does not expect there are left out.
func (c *Catalog) SetCopies(site string, copies map[string]Copy) error {
	return c.db.Update(func(tx *bbolt.Tx) error {
		for name, copied := range copies {
			if held, err := holds(tx, site, name); err != nil || !held {
				if err != nil {
					return err
				}
				continue
			}
			if err := putCopy(tx, site, name, copied); err != nil {
				return err
			}
		}
		return nil
	})
}

// Holding is an object that a site must hold.
type Holding struct {
	Entry
	Copy
	// Condemned: nobody needs it any more.
	Condemned bool
	// Faulty: it is known to be missing or wrong there.
	Faulty bool
}

// Holdings returns up to limit of the objects that a site must hold, whose
// names come behind after, in the order of their names: everything but what
// waits for the site, is lost or is being deleted.
func (c *Catalog) Holdings(site, after string, limit int) (out []Holding, err error) {
	err = c.db.View(func(tx *bbolt.Tx) error {
		h := holder{
			tx: tx, site: site, limit: limit,
			copies: tx.Bucket(bucketCopies).Bucket([]byte(site)), faults: tx.Bucket(bucketFaults).Bucket([]byte(site)),
		}
		err := h.all(after)
		out = h.out
		return err
	})
	return out, err
}

const (
	packPrefix = "p/"
	// behindPacks comes behind the name of every pack.
	behindPacks = "p0"
)

// holder collects holdings.
type holder struct {
	tx     *bbolt.Tx
	site   string
	limit  int
	copies *bbolt.Bucket
	faults *bbolt.Bucket
	out    []Holding
}

func (h *holder) add(e Entry, condemned bool) {
	if waits(h.tx, h.site, e.Name) || isLostAt(h.tx, h.site, e.Name) {
		return
	}
	held := Holding{Entry: e, Condemned: condemned, Faulty: h.faults != nil && h.faults.Get([]byte(e.Name)) != nil}
	if h.copies != nil {
		held.Copy = decodeCopy(h.copies.Get([]byte(e.Name)))
	}
	h.out = append(h.out, held)
}

// all goes through everything in the order of the names: commits, marks and keys
// sort before packs, evidence behind them.
func (h *holder) all(after string) error {
	if after < packPrefix {
		if err := h.objects(after, packPrefix); err != nil {
			return err
		}
		after = packPrefix
	}
	if after < behindPacks {
		if err := h.packs(after); err != nil {
			return err
		}
		after = behindPacks
	}
	return h.objects(after, "")
}

// objects adds what is no pack and comes behind one name and before another; all
// when that is empty.
func (h *holder) objects(after, before string) error {
	cur := h.tx.Bucket(bucketObjects).Cursor()
	k, v := cur.Seek([]byte(after))
	if string(k) == after {
		k, v = cur.Next()
	}
	for ; k != nil && len(h.out) < h.limit && (before == "" || string(k) < before); k, v = cur.Next() {
		o := Object{Name: string(k)}
		if err := json.Unmarshal(v, &o); err != nil {
			return err
		}
		if !o.Deleting && !lacks(h.tx, o.Name) {
			h.add(o.entry(), !o.Condemned.IsZero())
		}
	}
	return nil
}

func (h *holder) packs(after string) error {
	cur := h.tx.Bucket(bucketPackNames).Cursor()
	var k, v []byte
	if sha, ok := packDigest(after); ok {
		if k, v = cur.Seek(sha[:]); string(k) == string(sha[:]) {
			k, v = cur.Next()
		}
	} else {
		k, v = cur.First()
	}
	for ; k != nil && len(h.out) < h.limit; k, v = cur.Next() {
		if gone, err := isGone(h.tx, v); err != nil {
			return err
		} else if gone {
			continue
		}
		p, err := packAt(h.tx, binary.BigEndian.Uint32(v))
		if err != nil {
			return err
		}
		h.add(Entry{Kind: KindPack, Name: PackName(p.SHA256), Size: p.Size, SHA256: p.SHA256},
			h.tx.Bucket(bucketCondemned).Get(v) != nil)
	}
	return nil
}
