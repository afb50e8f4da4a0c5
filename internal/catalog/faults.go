package catalog

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.etcd.io/bbolt"
)

// Fault is something that is known to be wrong with one object at one site. It
// ends when the site has acknowledged the object again.
type Fault struct {
	Site  string    `json:"-"`
	Name  string    `json:"-"` // of the object
	Since time.Time `json:"since"`
	// Detail says what was found, Found by what: "compare", "scrub", "lock",
	// "upload", "room", "restore", "proof".
	Detail string `json:"detail"`
	Found  string `json:"found"`
	// Lost: no site and no spool has the object, so it cannot be mended.
	Lost bool `json:"lost,omitempty"`
}

// Doubt records that an object is missing or wrong at a site, and queues it for
// the site again. Objects that the catalog does not know, or that are lost or
// being deleted, are left alone; queued is false then, and when the object waits
// already.
func (c *Catalog) Doubt(f Fault) (queued bool, err error) {
	err = c.db.Update(func(tx *bbolt.Tx) error {
		e, ok, err := knownEntry(tx, f.Name)
		if err != nil || !ok || waits(tx, f.Site, f.Name) {
			return err
		}
		queued = true
		if err := putFault(tx, f); err != nil {
			return err
		}
		return enqueue(tx, []string{f.Site}, e)
	})
	if err != nil {
		return false, fmt.Errorf("catalog: %s at site %s: %w", f.Name, f.Site, err)
	}
	return queued, nil
}

func putFault(tx *bbolt.Tx, f Fault) error {
	b, err := tx.Bucket(bucketFaults).CreateBucketIfNotExists([]byte(f.Site))
	if err != nil {
		return err
	}
	return putJSON(b, []byte(f.Name), f)
}

// isLostAt reports whether an object is known to be lost that a site should hold.
func isLostAt(tx *bbolt.Tx, site, name string) bool {
	b := tx.Bucket(bucketFaults).Bucket([]byte(site))
	if b == nil {
		return false
	}
	var f Fault
	v := b.Get([]byte(name))
	return v != nil && json.Unmarshal(v, &f) == nil && f.Lost
}

func clearFault(tx *bbolt.Tx, site, name string) error {
	if b := tx.Bucket(bucketFaults).Bucket([]byte(site)); b != nil {
		return b.Delete([]byte(name))
	}
	return nil
}

// SetAside takes an object that a site holds wrongly, and that cannot be put
// right there, out of the site's outbox, so that it does not hold up the rest.
// Commits that name it are not sent there meanwhile. The next comparison with
// the site tries again.
func (c *Catalog) SetAside(f Fault) error {
	err := c.db.Update(func(tx *bbolt.Tx) error {
		_, err := dequeue(tx, f.Site, f.Name)
		if o, notKnown := getObject(tx, f.Name); notKnown == nil && f.Lost {
			err = errors.Join(err, unstage(tx, o))
		}
		return errors.Join(err, putFault(tx, f))
	})
	if err != nil {
		return fmt.Errorf("catalog: %s at site %s: %w", f.Name, f.Site, err)
	}
	return nil
}

func faultAt(tx *bbolt.Tx, site, name string) (f Fault, ok bool, err error) {
	f = Fault{Site: site, Name: name}
	b := tx.Bucket(bucketFaults).Bucket([]byte(site))
	if b == nil {
		return f, false, nil
	}
	v := b.Get([]byte(name))
	if v == nil {
		return f, false, nil
	}
	return f, true, json.Unmarshal(v, &f)
}

// Faults returns what is known to be wrong at a site now, in the order of the
// objects' names.
func (c *Catalog) Faults(site string) (out []Fault, err error) {
	err = c.db.View(func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucketFaults).Bucket([]byte(site))
		if b == nil {
			return nil
		}
		return b.ForEach(func(k, v []byte) error {
			f := Fault{Site: site, Name: string(k)}
			if err := json.Unmarshal(v, &f); err != nil {
				return err
			}
			out = append(out, f)
			return nil
		})
	})
	return out, err
}

// knownEntry returns what the catalog knows of an object by its name; ok is
// false when no site need have it: the catalog does not know it or is deleting
// it, or it is lost or of no use without what is.
func knownEntry(tx *bbolt.Tx, name string) (e Entry, ok bool, err error) {
	sha, isPack := packDigest(name)
	if !isPack {
		o, err := getObject(tx, name)
		if err != nil {
			return e, false, nil //nolint:nilerr // it is not known, which is the answer
		}
		return o.entry(), !o.Deleting && !lacks(tx, name), nil
	}
	key := tx.Bucket(bucketPackNames).Get(sha[:])
	if key == nil {
		return e, false, nil
	}
	if gone, err := isGone(tx, key); err != nil || gone {
		return e, false, err
	}
	p, err := packAt(tx, binary.BigEndian.Uint32(key))
	return Entry{Kind: KindPack, Name: name, Size: p.Size, SHA256: p.SHA256}, err == nil, err
}

// packDigest returns the SHA-256 in the name of a pack.
func packDigest(name string) (sha [32]byte, ok bool) {
	if !strings.HasPrefix(name, packPrefix) || len(name) != len("p/00/")+64 {
		return sha, false
	}
	b, err := hex.DecodeString(name[len("p/00/"):])
	if err != nil {
		return sha, false
	}
	copy(sha[:], b)
	return sha, PackName(sha) == name
}

// CopyState is where a snapshot's copy for one site is.
type CopyState struct {
	// Durable is since when the site holds the commit and all that it names;
	// zero when it does not.
	Durable time.Time
	// Waiting: the commit waits in the outbox.
	Waiting bool
	// Fault is what is wrong with an object of the snapshot at the site; empty
	// when nothing is known to be.
	Fault string
}

// CopyStates returns where the copies of a snapshot are.
func (c *Catalog) CopyStates(s *Snapshot, sites []string) (map[string]CopyState, error) {
	out := map[string]CopyState{}
	err := c.db.View(func(tx *bbolt.Tx) error {
		durable := s.Durable
		if now, err := getSnapshot(tx, s.ID); err == nil {
			durable = now.Durable // it may have arrived since s was read
		}
		for _, site := range sites {
			fault, err := faultOf(tx, site, s.Commit)
			if err != nil {
				return err
			}
			out[site] = CopyState{Durable: durable[site], Waiting: waits(tx, site, s.Commit), Fault: fault}
		}
		return nil
	})
	return out, err
}

// faultOf returns what is wrong at a site with a commit or with what it names.
func faultOf(tx *bbolt.Tx, site, commit string) (string, error) {
	faults := tx.Bucket(bucketFaults).Bucket([]byte(site))
	if isEmpty(faults) {
		return "", nil
	}
	names := []string{commit}
	for _, n := range needs(tx, commit) {
		p, err := packAt(tx, n)
		if err != nil {
			return "", err
		}
		names = append(names, PackName(p.SHA256))
	}
	for _, name := range names {
		if v := faults.Get([]byte(name)); v != nil {
			var f Fault
			err := json.Unmarshal(v, &f)
			return name + ": " + f.Detail, err
		}
	}
	return "", nil
}

// HeldBySome reports whether one of the sites named has acknowledged an object
// and is not known to have lost it since, so that it can be had from there.
func (c *Catalog) HeldBySome(name string, sites []string) (held bool, err error) {
	err = c.db.View(func(tx *bbolt.Tx) error {
		for _, site := range sites {
			held = held || hasCopy(tx, site, name)
		}
		return nil
	})
	return held, err
}

func hasCopy(tx *bbolt.Tx, site, name string) bool {
	copies, faults := tx.Bucket(bucketCopies).Bucket([]byte(site)), tx.Bucket(bucketFaults).Bucket([]byte(site))
	return copies != nil && copies.Get([]byte(name)) != nil && !waits(tx, site, name) &&
		(faults == nil || faults.Get([]byte(name)) == nil)
}
