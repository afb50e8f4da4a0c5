package repository

import (
	"bytes"
	"crypto/cipher"
	"encoding/binary"
	"fmt"

	"github.com/klauspost/compress/zstd"
)

// The layout of a pack; docs/format.md tells it in full.
const (
	packMagic   = "BKDPACK1"
	packEnd     = "BKDPEND1"
	commitMagic = "BKDCMIT1"
	markMagic   = "BKDMARK1"
	headerSize  = 8 + 8 + 32 // magic, key id, salt
	// trailerSize is the length of the sealed footer and the closing magic.
	trailerSize = 4 + 8
	// maxPack bounds what a reader will take for a pack.
	maxPack = 64 << 20

	encodingRaw  = 0
	encodingZstd = 1

	sealFooter byte = 0xff // in place of a chunk's kind in the additional data
	sealCommit byte = 0xfe
	sealMark   byte = 0xfd

	purposePack   = "backupd/1 pack"
	purposeCommit = "backupd/1 commit"
	purposeMark   = "backupd/1 mark"
	purposeChunk  = "backupd/1 chunk id"
	purposeVouch  = "backupd/1 key vouch"
)

// sealNonce is the offset of the sealed bytes in their object: unique under
// the object's own key because no two begin at the same place.
func sealNonce(offset int64) []byte {
	nonce := make([]byte, 12)
	binary.BigEndian.PutUint64(nonce[4:], uint64(offset))
	return nonce
}

// additional binds sealed bytes to their repository, kind and name, so that
// none can stand in for another.
func additional(repo [16]byte, kind byte, name []byte) []byte {
	b := make([]byte, 0, 16+1+len(name))
	b = append(b, repo[:]...)
	b = append(b, kind)
	return append(b, name...)
}

// header returns the first bytes of a pack or a commit.
func header(magic string, key keyID, salt []byte) []byte {
	b := make([]byte, 0, headerSize)
	b = append(b, magic...)
	b = append(b, key[:]...)
	return append(b, salt...)
}

// parseHeader reads the first bytes of a pack or a commit.
func parseHeader(magic string, b []byte) (key keyID, salt [32]byte, err error) {
	if len(b) < headerSize || string(b[:8]) != magic {
		return key, salt, fmt.Errorf("%w: does not begin with %s", ErrCorrupt, magic)
	}
	copy(key[:], b[8:])
	copy(salt[:], b[16:])
	return key, salt, nil
}

// footerEntry describes one chunk of a pack; its offset is the sum of the
// lengths before it.
type footerEntry struct {
	Kind        Kind
	ID          ChunkID
	Stored, Raw uint32
}

func encodeFooter(entries []footerEntry) []byte {
	b := binary.AppendUvarint(nil, uint64(len(entries)))
	for _, e := range entries {
		b = append(b, byte(e.Kind))
		b = append(b, e.ID[:]...)
		b = binary.AppendUvarint(b, uint64(e.Stored))
		b = binary.AppendUvarint(b, uint64(e.Raw))
	}
	return b
}

func parseFooter(b []byte) ([]footerEntry, error) {
	count, n := binary.Uvarint(b)
	if n <= 0 || count > uint64(len(b)) {
		return nil, fmt.Errorf("%w: footer without a count", ErrCorrupt)
	}
	b = b[n:]
	entries := make([]footerEntry, 0, count)
	for range count {
		if len(b) < 33 {
			return nil, fmt.Errorf("%w: footer ends inside of an entry", ErrCorrupt)
		}
		e := footerEntry{Kind: Kind(b[0])}
		copy(e.ID[:], b[1:])
		b = b[33:]
		for _, field := range []*uint32{&e.Stored, &e.Raw} {
			v, n := binary.Uvarint(b)
			if n <= 0 || v > maxPack {
				return nil, fmt.Errorf("%w: footer entry with a bad number", ErrCorrupt)
			}
			*field = uint32(v)
			b = b[n:]
		}
		entries = append(entries, e)
	}
	if len(b) != 0 {
		return nil, fmt.Errorf("%w: %d bytes behind the footer", ErrCorrupt, len(b))
	}
	return entries, nil
}

// compressor turns the content of chunks into what is sealed, and proves that
// it can be turned back. It is not safe for concurrent use.
type compressor struct {
	enc   *zstd.Encoder
	dec   *zstd.Decoder
	check []byte
}

// chunkWindow bounds the memory of encoders and decoders; chunks are rarely
// larger, and nothing is gained from matches further away.
const chunkWindow = 256 << 10

func newCompressor() (*compressor, error) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
		zstd.WithWindowSize(chunkWindow), zstd.WithEncoderCRC(false), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return nil, err
	}
	dec, err := newDecoder()
	if err != nil {
		return nil, err
	}
	return &compressor{enc: enc, dec: dec}, nil
}

func newDecoder() (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxMemory(maxPack), zstd.IgnoreChecksum(true))
}

// encode appends to dst the encoding byte and the content, compressed when
// that makes it shorter. What was compressed is decompressed and compared
// before it is believed: encoders have had errors that made data unreadable.
func (c *compressor) encode(dst, content []byte) ([]byte, error) {
	start := len(dst)
	dst = c.enc.EncodeAll(content, append(dst, encodingZstd))
	if len(dst)-start > len(content) {
		dst = append(dst[:start], encodingRaw)
		return append(dst, content...), nil
	}
	var err error
	c.check, err = c.dec.DecodeAll(dst[start+1:], c.check[:0])
	if err != nil || !bytes.Equal(c.check, content) {
		dst = append(dst[:start], encodingRaw)
		return append(dst, content...), nil
	}
	return dst, nil
}

// decode appends to dst the content that encode wrote.
func decode(dec *zstd.Decoder, dst, encoded []byte, raw uint32) ([]byte, error) {
	if len(encoded) == 0 {
		return dst, fmt.Errorf("%w: empty chunk", ErrCorrupt)
	}
	start := len(dst)
	switch encoded[0] {
	case encodingRaw:
		dst = append(dst, encoded[1:]...)
	case encodingZstd:
		var err error
		if dst, err = dec.DecodeAll(encoded[1:], dst); err != nil {
			return dst[:start], fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
	default:
		return dst, fmt.Errorf("%w: unknown encoding %d", ErrCorrupt, encoded[0])
	}
	if len(dst)-start != int(raw) {
		return dst[:start], fmt.Errorf("%w: chunk of %d bytes where %d were stored", ErrCorrupt, len(dst)-start, raw)
	}
	return dst, nil
}

// openFooter returns what a pack says of its chunks. tail is its end, with at
// least the sealed footer; size is the size of the whole pack.
func openFooter(aead cipher.AEAD, repo [16]byte, tail []byte, size int64) ([]footerEntry, error) {
	if len(tail) < trailerSize || string(tail[len(tail)-8:]) != packEnd {
		return nil, fmt.Errorf("%w: does not end with %s", ErrCorrupt, packEnd)
	}
	length := int64(binary.BigEndian.Uint32(tail[len(tail)-trailerSize:]))
	if length > int64(len(tail)-trailerSize) {
		return nil, fmt.Errorf("%w: footer of %d bytes does not fit", ErrCorrupt, length)
	}
	offset := size - trailerSize - length
	sealed := tail[int64(len(tail)-trailerSize)-length : len(tail)-trailerSize]
	plain, err := aead.Open(nil, sealNonce(offset), sealed, additional(repo, sealFooter, nil))
	if err != nil {
		return nil, fmt.Errorf("%w: footer does not decrypt", ErrCorrupt)
	}
	entries, err := parseFooter(plain)
	if err != nil {
		return nil, err
	}
	at := int64(headerSize)
	for _, e := range entries {
		at += int64(e.Stored)
	}
	if at != offset {
		return nil, fmt.Errorf("%w: chunks end at %d, footer begins at %d", ErrCorrupt, at, offset)
	}
	return entries, nil
}
