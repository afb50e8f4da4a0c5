package repository

import (
	"bytes"
	"math/bits"

	"github.com/zeebo/xxh3"

	"github.com/saypro/backupd/internal/rowhash"
	"github.com/saypro/backupd/internal/suspicion"
)

// Sizes of chunks in bytes of content. They are written into repo.json and
// never change within a repository: other sizes would cut the same rows
// elsewhere and nothing would be found again.
const (
	// A chunk of rows is not ended before minChunk and is ended behind the
	// first row that reaches maxChunk; in between it ends every cutSpacing
	// bytes on average, which makes chunks of 64 KiB on average.
	minChunk   = 16 << 10
	cutSpacing = 48 << 10
	maxChunk   = 256 << 10
	// A row longer than maxRowPart is cut into parts of that size.
	maxRowPart = 4 << 20
)

// cutPerByte is the threshold that each byte of a row adds: floor(2^64 /
// cutSpacing). A row ends its chunk when its hash is below its length times
// this, so that cuts come as often whatever the width of the rows.
const cutPerByte = (1 << 63) / (cutSpacing / 2)

// endsChunk tells from a row's hash and length whether a chunk may end behind
// it.
func endsChunk(hash uint64, length int64) bool {
	hi, threshold := bits.Mul64(cutPerByte, uint64(length))
	return hi != 0 || hash < threshold
}

// rowChunker cuts COPY text into chunks of whole rows at places that depend on
// the rows alone, and digests the rows on the way, with a sample of their hashes.
type rowChunker struct {
	// emit takes a finished chunk; content is valid during the call only.
	emit func(kind Kind, content []byte, rows int64) error

	chunk []byte // what was not emitted yet: whole rows, then the beginning of one
	rowAt int    // where that beginning starts in chunk
	rows  int64  // whole rows that end in chunk

	long    *xxh3.Hasher // hash of the parts of the row that were emitted, nil when none were
	longLen int64        // their length

	digest rowhash.Digest
	sample suspicion.Sampler
	bytes  int64
}

// write takes the next bytes of the stream, wherever they are cut.
func (c *rowChunker) write(p []byte) error {
	c.bytes += int64(len(p))
	for len(p) > 0 {
		end := bytes.IndexByte(p, '\n') + 1
		if end == 0 {
			c.chunk = append(c.chunk, p...)
			return c.cutLongRow()
		}
		c.chunk = append(c.chunk, p[:end]...)
		p = p[end:]
		if err := c.endRow(); err != nil {
			return err
		}
	}
	return nil
}

// endRow is called when chunk ends with a whole row.
func (c *rowChunker) endRow() error {
	if err := c.cutLongRow(); err != nil {
		return err
	}
	h, length := c.hashRow(c.chunk[c.rowAt:])
	c.digest.Add(h)
	c.sample.Add(h.Hi)
	c.rows++
	c.rowAt = len(c.chunk)
	if len(c.chunk) >= maxChunk || len(c.chunk) >= minChunk && endsChunk(h.Lo, length) {
		return c.flush(KindRows)
	}
	return nil
}

// hashRow hashes a row of which tail was not emitted yet.
func (c *rowChunker) hashRow(tail []byte) (xxh3.Uint128, int64) {
	if c.long == nil {
		return rowhash.Row(tail), int64(len(tail))
	}
	_, _ = c.long.Write(tail) // a hash never fails
	h, length := c.long.Sum128(), c.longLen+int64(len(tail))
	c.long, c.longLen = nil, 0
	return h, length
}

// cutLongRow emits the beginning of a row that is too long for one chunk in
// parts; the whole rows before it go first, as a chunk of their own.
func (c *rowChunker) cutLongRow() error {
	if len(c.chunk)-c.rowAt <= maxRowPart {
		return nil
	}
	long := bytes.Clone(c.chunk[c.rowAt:])
	c.chunk = c.chunk[:c.rowAt]
	if err := c.flush(KindRows); err != nil {
		return err
	}
	if c.long == nil {
		c.long = xxh3.New()
	}
	for len(long) > maxRowPart {
		part := long[:maxRowPart]
		_, _ = c.long.Write(part)
		c.longLen += maxRowPart
		if err := c.emit(KindRowPart, part, 0); err != nil {
			return err
		}
		long = long[maxRowPart:]
	}
	c.chunk = append(c.chunk, long...)
	return nil
}

// flush emits what is left as the last chunk of the stream or, from endRow,
// one of many.
func (c *rowChunker) flush(kind Kind) error {
	if len(c.chunk) == 0 {
		return nil
	}
	err := c.emit(kind, c.chunk, c.rows)
	c.chunk, c.rowAt, c.rows = c.chunk[:0], 0, 0
	return err
}
