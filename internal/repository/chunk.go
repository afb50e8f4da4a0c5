package repository

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
)

// Kind says what a chunk holds.
type Kind byte

// The kinds of chunks. Their numbers are part of the format.
const (
	// KindRows: the end of a row is the end of the chunk.
	KindRows Kind = 1
	// KindBytes: part of a stream that knows no rows.
	KindBytes Kind = 2
	// KindNode: references to other chunks.
	KindNode Kind = 3
	// KindRowPart: the chunk ends inside of a row, which goes on in the next.
	KindRowPart Kind = 4
)

// ChunkID names a chunk by its content: HMAC-SHA256, under the repository's id
// key, of the kind and the content.
type ChunkID [32]byte

func (id ChunkID) String() string { return hex.EncodeToString(id[:]) }

// MarshalText writes the id as 64 hexadecimal digits.
func (id ChunkID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads 64 hexadecimal digits.
func (id *ChunkID) UnmarshalText(b []byte) error {
	if len(b) != 2*len(id) {
		return fmt.Errorf("chunk id %q has not 64 hexadecimal digits", b)
	}
	_, err := hex.Decode(id[:], b)
	return err
}

// namer computes chunk ids. It is not safe for concurrent use: each goroutine
// has its own.
type namer struct{ mac hash.Hash }

func newNamer(idKey []byte) *namer { return &namer{mac: hmac.New(sha256.New, idKey)} }

func (n *namer) id(kind Kind, content []byte) (id ChunkID) {
	n.mac.Reset()
	n.mac.Write([]byte{byte(kind)})
	n.mac.Write(content)
	n.mac.Sum(id[:0])
	return id
}

// Ref points to a chunk, or to the node above many.
type Ref struct {
	Kind Kind
	ID   ChunkID
	Raw  int64 // bytes of the stream that it stands for
	Rows int64 // rows that end in them
}
