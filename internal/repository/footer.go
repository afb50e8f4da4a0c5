package repository

import (
	"context"
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
	digest, err := hex.DecodeString(info.Name[strings.LastIndexByte(info.Name, '/')+1:])
	if err != nil || len(digest) != 32 || info.Size < headerSize+trailerSize || info.Size > maxPack {
		return p, nil, fmt.Errorf("%w: neither its name nor its size is that of a pack", ErrCorrupt)
	}
	copy(p.SHA256[:], digest)
	p.Size = info.Size
	head, err := readRange(ctx, site, info.Name, 0, headerSize)
	if err != nil {
		return p, nil, err
	}
	id, salt, err := parseHeader(packMagic, head)
	if err != nil {
		return p, nil, err
	}
	p.Key, p.Salt = id, salt
	key, err := r.keys.get(id)
	if err != nil {
		return p, nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	tail, err := readRange(ctx, site, info.Name, info.Size-trailerSize, trailerSize)
	if err != nil {
		return p, nil, err
	}
	length := int64(binary.BigEndian.Uint32(tail)) + trailerSize
	if length > info.Size-headerSize {
		return p, nil, fmt.Errorf("%w: its footer does not fit", ErrCorrupt)
	}
	if tail, err = readRange(ctx, site, info.Name, info.Size-length, length); err != nil {
		return p, nil, err
	}
	aead, err := key.sealer(purposePack, salt[:])
	if err != nil {
		return p, nil, err
	}
	entries, err := openFooter(aead, r.id, tail, info.Size)
	return p, chunksOf(entries), err
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
