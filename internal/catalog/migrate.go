package catalog

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"go.etcd.io/bbolt"
)

// migrate brings a catalog of format 1 to format 2: outboxes have names and
// queues by kind, manifests are kept by commit, and which packs a commit names
// is kept apart.
func migrate(tx *bbolt.Tx) error {
	if err := migrateSnapshots(tx); err != nil {
		return fmt.Errorf("from format 1: %w", err)
	}
	waiting := map[string][]Entry{}
	err := tx.Bucket(bucketOutbox).ForEachBucket(func(site []byte) error {
		waiting[string(site)] = []Entry{}
		return tx.Bucket(bucketOutbox).Bucket(site).ForEach(func(k, v []byte) error {
			e, err := decodeEntry(k, v)
			waiting[string(site)] = append(waiting[string(site)], e)
			return err
		})
	})
	if err != nil {
		return fmt.Errorf("from format 1: %w", err)
	}
	if err := clearBucket(tx, bucketSpooled); err != nil {
		return err
	}
	for site, entries := range waiting {
		if err := tx.Bucket(bucketOutbox).DeleteBucket([]byte(site)); err != nil {
			return err
		}
		if _, err := makeBox(tx, site); err != nil {
			return err
		}
		for _, e := range entries {
			if err := enqueue(tx, []string{site}, e); err != nil {
				return err
			}
		}
	}
	return tx.Bucket(bucketMeta).Put([]byte("format"), be64(formatVersion))
}

func migrateSnapshots(tx *bbolt.Tx) error {
	snapshots, err := allSnapshots(tx)
	if err != nil {
		return err
	}
	manifests := map[string][]byte{}
	for _, s := range snapshots {
		manifests[s.ID] = slices.Clone(tx.Bucket(bucketManifests).Get([]byte(s.ID)))
	}
	if err := clearBucket(tx, bucketManifests); err != nil {
		return err
	}
	for _, s := range snapshots {
		packs, err := packsOf(tx, manifests[s.ID])
		if err != nil {
			return fmt.Errorf("snapshot %s: %w", s.ID, err)
		}
		if err := putManifest(tx, s.Commit, manifests[s.ID], packs); err != nil {
			return err
		}
		if err := putObject(tx, s.object()); err != nil {
			return err
		}
	}
	return nil
}

// packsOf returns the ordinals of the packs that a manifest names.
func packsOf(tx *bbolt.Tx, manifest []byte) ([]uint32, error) {
	var m struct {
		Packs []struct {
			SHA256 string `json:"sha256"`
		} `json:"packs"`
	}
	if err := json.Unmarshal(manifest, &m); err != nil {
		return nil, err
	}
	var out []uint32
	for _, p := range m.Packs {
		if len(p.SHA256) != 64 {
			return nil, fmt.Errorf("pack %q", p.SHA256)
		}
		sha, ok := packDigest(packPrefix + p.SHA256[:2] + "/" + strings.ToLower(p.SHA256))
		key := tx.Bucket(bucketPackNames).Get(sha[:])
		if !ok || key == nil {
			return nil, fmt.Errorf("pack %s: %w", p.SHA256, ErrNotFound)
		}
		out = append(out, binary.BigEndian.Uint32(key))
	}
	return out, nil
}

func clearBucket(tx *bbolt.Tx, name []byte) error {
	if err := tx.DeleteBucket(name); err != nil {
		return err
	}
	_, err := tx.CreateBucket(name)
	return err
}
