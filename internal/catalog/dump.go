package catalog

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"go.etcd.io/bbolt"
)

// Dump writes what the catalog knows of the repository as lines of text, in one
// order whatever the order in which it came to know it: packs, what of them is
// condemned, where each chunk lies, commits, marks, keys and evidence, what commits name,
// snapshots, keys in use. Two catalogs of sites that hold the same write the
// same.
//
// It leaves out what is of this host alone: ordinals, outboxes, copies and
// faults, since when a site holds what, runs and proofs. A snapshot is shown
// with the commit that is to take the place of its first.
func (c *Catalog) Dump(to io.Writer) error {
	w := bufio.NewWriter(to)
	err := c.db.View(func(tx *bbolt.Tx) error {
		for _, part := range []func(*bbolt.Tx, io.Writer) error{
			dumpPacks, dumpChunks, dumpObjects, dumpNeeds, dumpSnapshots, dumpHolds, dumpKeyUses,
		} {
			if err := part(tx, w); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("catalog: dump: %w", err)
	}
	return w.Flush()
}

func dumpPacks(tx *bbolt.Tx, w io.Writer) error {
	return tx.Bucket(bucketPackNames).ForEach(func(sha, key []byte) error {
		p, err := packAt(tx, binary.BigEndian.Uint32(key))
		if err != nil {
			return err
		}
		mark, err := condemnation(tx, key)
		if err != nil {
			return err
		}
		state := "needed"
		if mark != nil {
			state = fmt.Sprintf("condemned %s deleting %t", mark.Since.Format(time.RFC3339Nano), mark.Deleting)
		}
		_, err = fmt.Fprintf(w, "pack %x %d key %x salt %x %s\n", sha, p.Size, p.Key, p.Salt, state)
		return err
	})
}

func dumpChunks(tx *bbolt.Tx, w io.Writer) error {
	return tx.Bucket(bucketChunks).ForEach(func(id, v []byte) error {
		places, err := decodeLocations(v)
		if err != nil {
			return err
		}
		var at []string
		for _, l := range places {
			p, err := packAt(tx, l.Pack)
			if err != nil {
				return err
			}
			at = append(at, fmt.Sprintf("%x at %d, %d bytes of %d", p.SHA256, l.Offset, l.Stored, l.Raw))
		}
		slices.Sort(at)
		_, err = fmt.Fprintf(w, "chunk %x in %s\n", id, strings.Join(at, "; "))
		return err
	})
}

func dumpObjects(tx *bbolt.Tx, w io.Writer) error {
	return tx.Bucket(bucketObjects).ForEach(func(name, v []byte) error {
		_, err := fmt.Fprintf(w, "object %s %s\n", name, v)
		return err
	})
}

func dumpNeeds(tx *bbolt.Tx, w io.Writer) error {
	return tx.Bucket(bucketNeeds).ForEach(func(commit, _ []byte) error {
		var packs []string
		for _, n := range needs(tx, string(commit)) {
			p, err := packAt(tx, n)
			if err != nil {
				return err
			}
			packs = append(packs, fmt.Sprintf("%x", p.SHA256))
		}
		slices.Sort(packs)
		manifest := sha256.Sum256(tx.Bucket(bucketManifests).Get(commit))
		_, err := fmt.Fprintf(w, "commit %s says %x and names %s\n", commit, manifest, strings.Join(packs, " "))
		return err
	})
}

func dumpSnapshots(tx *bbolt.Tx, w io.Writer) error {
	snapshots, err := allSnapshots(tx)
	if err != nil {
		return err
	}
	slices.SortFunc(snapshots, func(a, b *Snapshot) int { return bytes.Compare(pointKey(a), pointKey(b)) })
	for _, s := range snapshots {
		if s.Staged != "" {
			o, err := getObject(tx, s.Staged)
			if err != nil {
				return err
			}
			s.Commit, s.CommitSize, s.CommitSHA256, s.Staged = o.Name, o.Size, o.SHA256, ""
		}
		// These two are of the commit that was known first.
		s.Durable, s.Created, s.Sequence = nil, time.Time{}, 0
		text, err := json.Marshal(s)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(w, "snapshot %s\n", text); err != nil {
			return err
		}
	}
	return nil
}

func dumpHolds(tx *bbolt.Tx, w io.Writer) error {
	return tx.Bucket(bucketHolds).ForEach(func(id, v []byte) error {
		_, err := fmt.Fprintf(w, "hold %s %s\n", id, v)
		return err
	})
}

func dumpKeyUses(tx *bbolt.Tx, w io.Writer) error {
	uses, err := keyUses(tx)
	if err != nil {
		return err
	}
	for _, u := range uses {
		if _, err := fmt.Fprintf(w, "key %s since %s by %s\n", u.Key, u.Since.Format(time.RFC3339Nano), u.Mark); err != nil {
			return err
		}
	}
	return nil
}
