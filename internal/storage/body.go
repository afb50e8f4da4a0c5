package storage

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"sync"
)

// Body reads an object that is on its way to a site and checks it in passing:
// when the bytes are not those of the stated digest, the last of them is never
// given out. So a site that checks nothing itself still cannot take a wrong
// object, because the request for it stays incomplete.
//
// Body may be rewound to the start to be sent again. Clients of HTTP read on in
// the background when an answer has come early; after [Body.Release] they get
// nothing more, so that the owner of the bytes can use them for something else.
type Body struct {
	obj Object

	mu     sync.Mutex
	at     int64 // position of the next byte
	hashed int64 // how many bytes from the start are in sum
	sum    hash.Hash
	err    error

	released bool
}

// NewBody rewinds obj.Body and checks its size. The error matches
// [ErrInvalid] for an impossible object and [ErrChecksum] for an empty one
// with the digest of another.
func NewBody(obj Object) (*Body, error) {
	if err := CheckName(obj.Name); err != nil {
		return nil, err
	}
	end, err := obj.Body.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, fmt.Errorf("find the size of the body: %w", err)
	}
	if obj.Size < 0 || end != obj.Size {
		return nil, fmt.Errorf("%w: the body has %d bytes, not the %d stated", ErrInvalid, end, obj.Size)
	}
	b := &Body{obj: obj, sum: sha256.New()}
	if _, err := b.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	if obj.Size == 0 {
		if err := b.check(); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// Err returns why reading failed, or nil. Clients of a site wrap or rewrite
// the errors of a body beyond recognition; this is the original.
func (b *Body) Err() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

// Complete tells whether every byte has been given out. Before that, no site
// can have stored the object.
func (b *Body) Complete() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.at == b.obj.Size
}

// Release waits for a Read that is under way, and ends the use of obj.Body:
// reading and rewinding fail from then on. Err and Complete still tell how far
// it went.
func (b *Body) Release() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.released = true
}

var errReleased = errors.New("read after the end of the operation")

func (b *Body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.released:
		return 0, errReleased
	case b.err != nil:
		return 0, b.err
	}
	n, err := b.read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		b.err = err
		return 0, err
	}
	return n, err
}

func (b *Body) read(p []byte) (int, error) {
	if b.at == b.obj.Size {
		return 0, io.EOF
	}
	if b.hashed != b.at {
		return 0, fmt.Errorf("%w: the body was read out of order", ErrInvalid)
	}
	n, err := b.obj.Body.Read(p[:min(int64(len(p)), b.obj.Size-b.at)])
	b.sum.Write(p[:n])
	b.at += int64(n)
	b.hashed = b.at
	if b.at == b.obj.Size {
		return n, b.check()
	}
	if errors.Is(err, io.EOF) {
		return 0, fmt.Errorf("the body ended after %d of %d bytes: %w", b.at, b.obj.Size, io.ErrUnexpectedEOF)
	}
	return n, err
}

func (b *Body) check() error {
	if got := [32]byte(b.sum.Sum(nil)); got != b.obj.SHA256 {
		return fmt.Errorf("%w: SHA-256 of the body is %s, not the %s stated",
			ErrChecksum, hex.EncodeToString(got[:]), hex.EncodeToString(b.obj.SHA256[:]))
	}
	return nil
}

// Seek moves to another position; reading may only start again at the
// beginning or go on where it had stopped.
func (b *Body) Seek(offset int64, whence int) (int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.released {
		return 0, errReleased
	}
	at, err := b.obj.Body.Seek(offset, whence)
	if err != nil {
		return at, fmt.Errorf("rewind the body: %w", err)
	}
	b.at = at
	if at == 0 {
		b.sum.Reset()
		b.hashed, b.err = 0, nil
	}
	return at, nil
}
