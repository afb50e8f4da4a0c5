package catalog

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
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
// object's name, for every site named, all in one transaction. A chunk that
// another pack holds already keeps its first place. It returns the ordinals of
// the pack and of those others: together they hold every chunk at the place
// that the catalog tells. Adding a pack again adds nothing.
func (c *Catalog) AddPack(p Pack, name string, chunks []Chunk, sites []string) (ordinals []uint32, err error) {
	// bbolt fills pages better, and touches each once, when keys rise.
	sort.Slice(chunks, func(i, j int) bool { return string(chunks[i].ID[:]) < string(chunks[j].ID[:]) })
	err = c.db.Update(func(tx *bbolt.Tx) error {
		if known := tx.Bucket(bucketPackNames).Get(p.SHA256[:]); known != nil {
			ordinals = append(ordinals, binary.BigEndian.Uint32(known))
			return nil
		}
		ordinal, err := putPack(tx, p)
		if err != nil {
			return err
		}
		others, err := indexChunks(tx, ordinal, chunks)
		if err != nil {
			return err
		}
		ordinals = append(others, ordinal)
		return enqueue(tx, sites, Entry{Kind: KindPack, Name: name, Size: p.Size, SHA256: p.SHA256})
	})
	if err != nil {
		return nil, fmt.Errorf("catalog: add pack %s: %w", name, err)
	}
	return ordinals, nil
}

// indexChunks notes where each chunk lies, and returns the packs in which some
// of them lay already.
func indexChunks(tx *bbolt.Tx, ordinal uint32, chunks []Chunk) (others []uint32, err error) {
	index := tx.Bucket(bucketChunks)
	for i := range chunks {
		ch := &chunks[i]
		if known := index.Get(ch.ID[:]); known != nil {
			l, err := decodeLocation(known)
			if err != nil {
				return nil, err
			}
			others = append(others, l.Pack)
			continue
		}
		if err := index.Put(ch.ID[:], encodeLocation(ordinal, ch)); err != nil {
			return nil, err
		}
	}
	return others, nil
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

func encodeLocation(pack uint32, ch *Chunk) []byte {
	b := make([]byte, 0, 16)
	b = binary.BigEndian.AppendUint32(b, pack)
	b = binary.BigEndian.AppendUint32(b, ch.Offset)
	b = binary.BigEndian.AppendUint32(b, ch.Stored)
	return binary.BigEndian.AppendUint32(b, ch.Raw)
}

func decodeLocation(b []byte) (l Location, err error) {
	if len(b) != 16 {
		return l, fmt.Errorf("catalog: chunk record of %d bytes", len(b))
	}
	return Location{
		Pack:   binary.BigEndian.Uint32(b),
		Offset: binary.BigEndian.Uint32(b[4:]),
		Stored: binary.BigEndian.Uint32(b[8:]),
		Raw:    binary.BigEndian.Uint32(b[12:]),
	}, nil
}

// Find returns where a chunk lies; ok is false when no pack is known to hold it.
func (c *Catalog) Find(id [32]byte) (l Location, ok bool, err error) {
	err = c.db.View(func(tx *bbolt.Tx) error {
		v := tx.Bucket(bucketChunks).Get(id[:])
		if v == nil {
			return nil
		}
		ok = true
		l, err = decodeLocation(v)
		return err
	})
	return l, ok, err
}

// PackAt returns the pack with that ordinal.
func (c *Catalog) PackAt(ordinal uint32) (p Pack, err error) {
	err = c.db.View(func(tx *bbolt.Tx) error {
		v := tx.Bucket(bucketPacks).Get(binary.BigEndian.AppendUint32(nil, ordinal))
		if v == nil {
			return fmt.Errorf("catalog: pack number %d: %w", ordinal, ErrNotFound)
		}
		p, err = decodePack(v)
		return err
	})
	return p, err
}

// verifyChunks checks that each chunk lies inside a pack that exists.
func verifyChunks(tx *bbolt.Tx) error {
	packs := tx.Bucket(bucketPacks)
	return tx.Bucket(bucketChunks).ForEach(func(id, v []byte) error {
		l, err := decodeLocation(v)
		if err != nil {
			return err
		}
		p := packs.Get(binary.BigEndian.AppendUint32(nil, l.Pack))
		if p == nil {
			return fmt.Errorf("catalog: chunk %x lies in pack number %d, which does not exist", id, l.Pack)
		}
		pack, err := decodePack(p)
		if err != nil {
			return err
		}
		if int64(l.Offset)+int64(l.Stored) > pack.Size {
			return fmt.Errorf("catalog: chunk %x ends behind its pack %x", id, pack.SHA256)
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
