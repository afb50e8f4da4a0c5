package catalog

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sort"

	"go.etcd.io/bbolt"
)

// Pack describes one pack that some site holds or will hold.
type Pack struct {
	SHA256 [32]byte
	Size   int64
	Key    [8]byte  // id of the repository key that it is sealed with
	Salt   [32]byte // of the pack's own key
}

// Incomplete reports whether nothing but digest and size is known of a pack.
func (p Pack) Incomplete() bool { return p.Salt == [32]byte{} }

// Location is where a chunk lies.
type Location struct {
	Pack   uint32 // ordinal of the pack in this catalog
	Offset uint32 // of the sealed chunk in the pack
	Stored uint32 // length of the sealed chunk
	Raw    uint32 // length of its content
}

// Chunk is a chunk of a pack to be remembered.
type Chunk struct {
	ID                  [32]byte
	Offset, Stored, Raw uint32
}

const packRecord = 32 + 8 + 8 + 32

func (p Pack) encode() []byte {
	b := make([]byte, 0, packRecord)
	b = append(b, p.SHA256[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(p.Size))
	b = append(b, p.Key[:]...)
	return append(b, p.Salt[:]...)
}

func decodePack(b []byte) (p Pack, err error) {
	if len(b) != packRecord {
		return p, fmt.Errorf("catalog: pack record of %d bytes", len(b))
	}
	copy(p.SHA256[:], b)
	p.Size = int64(binary.BigEndian.Uint64(b[32:]))
	copy(p.Key[:], b[40:])
	copy(p.Salt[:], b[48:])
	return p, nil
}

// AddPack remembers a finished pack with its chunks and queues it, under the
// object's name, for every site named, all in one transaction. It returns the
// pack's ordinal. Adding a pack again adds nothing.
func (c *Catalog) AddPack(p Pack, name string, chunks []Chunk, sites []string) (ordinal uint32, err error) {
	// bbolt fills pages better, and touches each once, when keys rise.
	sort.Slice(chunks, func(i, j int) bool { return string(chunks[i].ID[:]) < string(chunks[j].ID[:]) })
	err = c.db.Update(func(tx *bbolt.Tx) error {
		if known := tx.Bucket(bucketPackNames).Get(p.SHA256[:]); known != nil {
			ordinal = binary.BigEndian.Uint32(known)
			return nil
		}
		if ordinal, err = putPack(tx, p); err != nil {
			return err
		}
		if err := indexChunks(tx, ordinal, chunks); err != nil {
			return err
		}
		return enqueue(tx, sites, Entry{Kind: KindPack, Name: name, Size: p.Size, SHA256: p.SHA256})
	})
	if err != nil {
		return 0, fmt.Errorf("catalog: add pack %s: %w", name, err)
	}
	return ordinal, nil
}

// indexChunks notes where each chunk lies, behind the places where it lies
// already. A place that is known is not noted again.
func indexChunks(tx *bbolt.Tx, ordinal uint32, chunks []Chunk) error {
	index := tx.Bucket(bucketChunks)
	for i := range chunks {
		ch := &chunks[i]
		places := append([]byte{}, index.Get(ch.ID[:])...)
		if liesIn(places, ordinal) {
			continue
		}
		if err := index.Put(ch.ID[:], appendLocation(places, ordinal, ch)); err != nil {
			return err
		}
	}
	return nil
}

func liesIn(places []byte, pack uint32) bool {
	for ; len(places) >= locationSize; places = places[locationSize:] {
		if binary.BigEndian.Uint32(places) == pack {
			return true
		}
	}
	return false
}

func putPack(tx *bbolt.Tx, p Pack) (uint32, error) {
	packs := tx.Bucket(bucketPacks)
	n, err := packs.NextSequence()
	if err != nil {
		return 0, err
	}
	if n > 1<<32-1 {
		return 0, errors.New("more than 2^32 packs")
	}
	key := binary.BigEndian.AppendUint32(nil, uint32(n))
	if err := packs.Put(key, p.encode()); err != nil {
		return 0, err
	}
	return uint32(n), tx.Bucket(bucketPackNames).Put(p.SHA256[:], key)
}

// locationSize is the length of one encoded Location.
const locationSize = 16

func appendLocation(b []byte, pack uint32, ch *Chunk) []byte {
	b = binary.BigEndian.AppendUint32(b, pack)
	b = binary.BigEndian.AppendUint32(b, ch.Offset)
	b = binary.BigEndian.AppendUint32(b, ch.Stored)
	return binary.BigEndian.AppendUint32(b, ch.Raw)
}

// decodeLocations reads all the places of a chunk: nearly always one.
func decodeLocations(b []byte) ([]Location, error) {
	if len(b) == 0 || len(b)%locationSize != 0 {
		return nil, fmt.Errorf("catalog: chunk record of %d bytes", len(b))
	}
	out := make([]Location, 0, len(b)/locationSize)
	for ; len(b) > 0; b = b[locationSize:] {
		out = append(out, Location{
			Pack:   binary.BigEndian.Uint32(b),
			Offset: binary.BigEndian.Uint32(b[4:]),
			Stored: binary.BigEndian.Uint32(b[8:]),
			Raw:    binary.BigEndian.Uint32(b[12:]),
		})
	}
	return out, nil
}

// Places returns where a chunk lies: nowhere, in one pack, or in several when
// it was written again because the first was condemned or two captures found
// it at once.
func (c *Catalog) Places(id [32]byte) (places []Location, err error) {
	err = c.db.View(func(tx *bbolt.Tx) error {
		v := tx.Bucket(bucketChunks).Get(id[:])
		if v == nil {
			return nil
		}
		places, err = decodeLocations(v)
		return err
	})
	return places, err
}

// Find returns where a chunk lies that a new snapshot may refer to; ok is false
// when no pack holds it but such as are condemned or lost. Of several packs it is
// the one that was written last: the others may be those that it is to replace.
func (c *Catalog) Find(id [32]byte) (l Location, ok bool, err error) {
	err = c.db.View(func(tx *bbolt.Tx) error {
		v := tx.Bucket(bucketChunks).Get(id[:])
		if v == nil {
			return nil
		}
		places, err := decodeLocations(v)
		if err != nil {
			return err
		}
		condemned, lost := tx.Bucket(bucketCondemned), tx.Bucket(bucketLost)
		for _, l = range slices.Backward(places) {
			if key := ordinalKey(l.Pack); condemned.Get(key) == nil && lost.Get(key) == nil {
				ok = true
				return nil
			}
		}
		return nil
	})
	return l, ok, err
}

func ordinalKey(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }

// PackNamed returns the ordinal of the pack with that SHA-256; ok is false when
// the catalog does not know it.
func (c *Catalog) PackNamed(sha [32]byte) (ordinal uint32, ok bool, err error) {
	err = c.db.View(func(tx *bbolt.Tx) error {
		if v := tx.Bucket(bucketPackNames).Get(sha[:]); v != nil {
			ordinal, ok = binary.BigEndian.Uint32(v), true
		}
		return nil
	})
	return ordinal, ok, err
}

// PackAt returns the pack with that ordinal.
func (c *Catalog) PackAt(ordinal uint32) (p Pack, err error) {
	err = c.db.View(func(tx *bbolt.Tx) error {
		p, err = packAt(tx, ordinal)
		return err
	})
	return p, err
}

func packAt(tx *bbolt.Tx, ordinal uint32) (Pack, error) {
	v := tx.Bucket(bucketPacks).Get(ordinalKey(ordinal))
	if v == nil {
		return Pack{}, fmt.Errorf("catalog: pack number %d: %w", ordinal, ErrNotFound)
	}
	return decodePack(v)
}

// verifyChunks checks that each chunk lies inside of packs that exist.
func verifyChunks(tx *bbolt.Tx) error {
	return tx.Bucket(bucketChunks).ForEach(func(id, v []byte) error {
		places, err := decodeLocations(v)
		if err != nil {
			return err
		}
		for _, l := range places {
			pack, err := packAt(tx, l.Pack)
			if err != nil {
				return fmt.Errorf("catalog: chunk %x: %w", id, err)
			}
			if int64(l.Offset)+int64(l.Stored) > pack.Size {
				return fmt.Errorf("catalog: chunk %x ends behind its pack %x", id, pack.SHA256)
			}
		}
		return nil
	})
}

func putJSON(b *bbolt.Bucket, key []byte, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return b.Put(key, data)
}
