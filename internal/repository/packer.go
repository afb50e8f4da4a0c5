package repository

import (
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"os"
	"sync"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/crash"
)

// sealable is a chunk that is compressed and waits to be sealed into a pack.
type sealable struct {
	kind    Kind
	id      ChunkID
	raw     uint32
	encoded []byte
}

// packer writes the chunks of one snapshot into packs in the spool. Chunks
// that are handed over together stay together in their pack, so that what is
// read together is found together.
type packer struct {
	repo *Repository
	room func(n int64) error // waits until the spool has room for so many bytes

	mu      sync.Mutex
	open    *openPack
	pending map[ChunkID]uint32 // chunks of the open pack, which the catalog does not know yet
	stored  int64              // bytes of the packs closed so far
	packs   packSet            // where the chunks of closed packs lie
}

// openPack is the pack that is being written.
type openPack struct {
	file    *os.File
	key     keyID
	aead    cipher.AEAD
	sum     hash.Hash
	salt    [32]byte
	size    int64
	entries []footerEntry
	buf     []byte
}

// has reports whether the open pack holds the chunk.
func (p *packer) has(id ChunkID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, ok := p.pending[id]
	return ok
}

// add seals the chunks into the open pack and closes it when it is full.
// A chunk that the pack holds already is left out.
func (p *packer) add(chunks []sealable) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range chunks {
		ch := &chunks[i]
		if _, ok := p.pending[ch.id]; ok {
			continue
		}
		if p.open == nil {
			if err := p.begin(); err != nil {
				return err
			}
		}
		if err := p.open.seal(p.repo.id, ch); err != nil {
			return fmt.Errorf("%w: %s: %w", ErrSpool, p.open.file.Name(), err)
		}
		crash.Point(crash.PackSealed)
		p.pending[ch.id] = ch.raw
		if p.open.size >= p.repo.spool.packTarget {
			if err := p.close(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *packer) begin() error {
	key, err := p.repo.keys.sealing()
	if err != nil {
		return err
	}
	o := &openPack{sum: sha256.New(), key: key.id}
	if _, err := rand.Read(o.salt[:]); err != nil {
		return err
	}
	if o.aead, err = key.sealer(purposePack, o.salt[:]); err != nil {
		return err
	}
	if err := p.room(p.repo.spool.packTarget); err != nil {
		return err
	}
	if o.file, err = p.repo.spool.create(); err != nil {
		return err
	}
	p.open = o
	if err := o.write(header(packMagic, o.key, o.salt[:])); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrSpool, o.file.Name(), err)
	}
	crash.Point(crash.PackBegun)
	return nil
}

func (o *openPack) write(b []byte) error {
	if _, err := o.file.Write(b); err != nil {
		return err
	}
	_, _ = o.sum.Write(b) // a hash never fails
	o.size += int64(len(b))
	return nil
}

func (o *openPack) seal(repo [16]byte, ch *sealable) error {
	o.buf = o.aead.Seal(o.buf[:0], sealNonce(o.size), ch.encoded, additional(repo, byte(ch.kind), ch.id[:]))
	o.entries = append(o.entries, footerEntry{Kind: ch.kind, ID: ch.id, Stored: uint32(len(o.buf)), Raw: ch.raw})
	return o.write(o.buf)
}

// close ends the open pack, makes it durable in the spool and queues it for
// every site.
func (p *packer) close() error {
	o := p.open
	if o == nil {
		return nil
	}
	p.open = nil
	footer := o.aead.Seal(nil, sealNonce(o.size), encodeFooter(o.entries), additional(p.repo.id, sealFooter, nil))
	footer = binary.BigEndian.AppendUint32(footer, uint32(len(footer)))
	if err := o.write(append(footer, packEnd...)); err != nil {
		p.repo.spool.discard(o.file)
		return fmt.Errorf("%w: %s: %w", ErrSpool, o.file.Name(), err)
	}
	crash.Point(crash.PackClosed)
	pack := catalog.Pack{Size: o.size, Key: o.key, Salt: o.salt}
	o.sum.Sum(pack.SHA256[:0])
	name := catalog.PackName(pack.SHA256)
	if err := p.repo.spool.keep(o.file, name); err != nil {
		return err
	}
	crash.Point(crash.PackKept)
	ordinal, err := p.repo.catalog.AddPack(pack, name, chunksOf(o.entries), p.repo.siteNames())
	if err != nil {
		return err
	}
	crash.Point(crash.PackQueued)
	p.packs.add(ordinal)
	p.stored += o.size
	clear(p.pending)
	p.repo.wake()
	return nil
}

// chunksOf tells where the chunks of a footer lie.
func chunksOf(entries []footerEntry) []catalog.Chunk {
	out := make([]catalog.Chunk, len(entries))
	at := uint32(headerSize)
	for i, e := range entries {
		out[i] = catalog.Chunk{ID: e.ID, Offset: at, Stored: e.Stored, Raw: e.Raw}
		at += e.Stored
	}
	return out
}

// finish closes the last pack.
func (p *packer) finish() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.close()
}

// abandon drops the pack that is not finished. Finished ones stay: their
// chunks are known and serve the next snapshot.
func (p *packer) abandon() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open != nil {
		p.repo.spool.discard(p.open.file)
		p.open = nil
	}
}
