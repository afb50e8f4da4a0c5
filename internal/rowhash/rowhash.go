// Package rowhash gives every row of a table one 128-bit hash and every table
// the sum of them.
//
// The hash of a row is XXH3-128 (https://github.com/Cyan4973/xxHash, seed 0) of
// its text in the COPY format including the newline that ends it. The digest of
// a table is the number of its rows and the sum of their hashes modulo 2^128.
// A sum does not depend on the order of its terms, so rows may be read in any
// order over any number of connections, and it keeps duplicates apart, which
// exclusive-or would not.
//
// The hash guards against mistakes, not against forgery: who can forge rows
// needs the repository key first, because chunks are sealed with it.
package rowhash

import (
	"bytes"
	"fmt"
	"math/bits"

	"github.com/zeebo/xxh3"
)

// Row returns the hash of one row, newline included.
func Row(row []byte) xxh3.Uint128 { return xxh3.Hash128(row) }

// Digest is the order-independent digest of a set of rows that may hold
// duplicates. The zero value is the digest of no rows.
type Digest struct {
	Rows   int64
	Hi, Lo uint64
}

// Add counts one row by its hash.
func (d *Digest) Add(h xxh3.Uint128) {
	var carry uint64
	d.Rows++
	d.Lo, carry = bits.Add64(d.Lo, h.Lo, 0)
	d.Hi, _ = bits.Add64(d.Hi, h.Hi, carry)
}

// Merge adds the rows of o to d.
func (d *Digest) Merge(o Digest) {
	var carry uint64
	d.Rows += o.Rows
	d.Lo, carry = bits.Add64(d.Lo, o.Lo, 0)
	d.Hi, _ = bits.Add64(d.Hi, o.Hi, carry)
}

// String returns the digest's 32 hexadecimal digits, most significant first,
// behind the name of the hash: "xxh3:…".
func (d Digest) String() string { return fmt.Sprintf("xxh3:%016x%016x", d.Hi, d.Lo) }

// Writer digests a stream of rows in COPY text format, however it is cut into
// writes. The zero value is ready to use.
type Writer struct {
	digest  Digest
	bytes   int64
	partial []byte
}

// Write takes the next bytes of the stream. It never fails.
func (w *Writer) Write(p []byte) (int, error) {
	n := len(p)
	w.bytes += int64(n)
	for len(p) > 0 {
		end := bytes.IndexByte(p, '\n')
		if end < 0 {
			w.partial = append(w.partial, p...)
			break
		}
		row := p[:end+1]
		if len(w.partial) > 0 {
			w.partial = append(w.partial, row...)
			row = w.partial
		}
		w.digest.Add(Row(row))
		w.partial = w.partial[:0]
		p = p[end+1:]
	}
	return n, nil
}

// Sum returns the digest of the whole rows written so far and the bytes taken.
func (w *Writer) Sum() (Digest, int64) { return w.digest, w.bytes }

// Whole reports whether the stream stands at the end of a row.
func (w *Writer) Whole() bool { return len(w.partial) == 0 }
