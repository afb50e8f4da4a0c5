package repository

import (
	"context"
	"crypto/cipher"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"strings"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/storage"
)

// readFooter reads the header and the footer of one pack at a site.
func (r *Repository) readFooter(ctx context.Context, site Site, info storage.Info) (p catalog.Pack, chunks []catalog.Chunk, err error) {
	p, entries, _, err := openPackAt(ctx, r.keys, site, info)
	return p, chunksOf(entries), err
}

// openPackAt reads the header and the footer of one pack at a site, and returns
// what it says of its chunks and what opens them.
func openPackAt(ctx context.Context, ring *keyring, site Site, info storage.Info) (p catalog.Pack, entries []footerEntry, aead cipher.AEAD, err error) {
	digest, err := hex.DecodeString(info.Name[strings.LastIndexByte(info.Name, '/')+1:])
	if err != nil || len(digest) != 32 || info.Size < headerSize+trailerSize || info.Size > maxPack {
		return p, nil, nil, fmt.Errorf("%w: neither its name nor its size is that of a pack", ErrCorrupt)
	}
	copy(p.SHA256[:], digest)
	p.Size = info.Size
	head, err := readRange(ctx, site, info.Name, 0, headerSize)
	if err != nil {
		return p, nil, nil, err
	}
	id, salt, err := parseHeader(packMagic, head)
	if err != nil {
		return p, nil, nil, err
	}
	p.Key, p.Salt = id, salt
	key, err := ring.get(id)
	if err != nil {
		return p, nil, nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	tail, err := readTail(ctx, site, info)
	if err != nil {
		return p, nil, nil, err
	}
	if aead, err = key.sealer(purposePack, salt[:]); err != nil {
		return p, nil, nil, err
	}
	entries, err = openFooter(aead, key.repo, tail, info.Size)
	return p, entries, aead, err
}

// readTail returns the end of a pack: its sealed footer and what follows.
func readTail(ctx context.Context, site Site, info storage.Info) ([]byte, error) {
	tail, err := readRange(ctx, site, info.Name, info.Size-trailerSize, trailerSize)
	if err != nil {
		return nil, err
	}
	length := int64(binary.BigEndian.Uint32(tail)) + trailerSize
	if length > info.Size-headerSize {
		return nil, fmt.Errorf("%w: its footer does not fit", ErrCorrupt)
	}
	return readRange(ctx, site, info.Name, info.Size-length, length)
}

// openEntry opens one chunk of a pack, sealed at the offset, and compares its
// content with its name; first is the key that names chunks.
func openEntry(first *masterKey, aead cipher.AEAD, e footerEntry, offset int64, sealed []byte) error {
	encoded, err := aead.Open(nil, sealNonce(offset), sealed, additional(first.repo, byte(e.Kind), e.ID[:]))
	if err != nil {
		return fmt.Errorf("%w: chunk does not decrypt", ErrCorrupt)
	}
	dec, err := newDecoder()
	if err != nil {
		return err
	}
	defer dec.Close()
	content, err := decode(dec, nil, encoded, e.Raw)
	if err != nil {
		return err
	}
	idKey, err := first.derive(purposeChunk, nil, 32)
	if err == nil && newNamer(idKey).id(e.Kind, content) != e.ID {
		err = fmt.Errorf("%w: chunk is not the one that its name says", ErrCorrupt)
	}
	return err
}

// insistOnFooter is readFooter for an object that may not be readable at all:
// the error matches ErrCorrupt then.
func (r *Repository) insistOnFooter(ctx context.Context, site Site, info storage.Info) (p catalog.Pack, chunks []catalog.Chunk, err error) {
	err = r.insist(ctx, site, info.Name, func() (err error) {
		p, chunks, err = r.readFooter(ctx, site, info)
		return err
	})
	return p, chunks, err
}

func readRange(ctx context.Context, site Site, name string, offset, length int64) ([]byte, error) {
	body, err := site.Store.Get(ctx, name, offset, length)
	if err != nil {
		return nil, err
	}
	out := make([]byte, length)
	_, err = io.ReadFull(body, out)
	if closeErr := body.Close(); err == nil {
		err = closeErr
	}
	return out, err
}
