package storage

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
)

// LockProber is a store that can tell whether its bucket has object lock.
type LockProber interface {
	ObjectLock(ctx context.Context) (bool, error)
}

// ChecksumProber is a store that can send an object as it is, right or wrong,
// so that the site alone judges it. A store without it judges in Put, itself.
type ChecksumProber interface {
	PutUnchecked(ctx context.Context, obj Object) error
}

// Wrapper is a store that adds something to another, such as retries.
type Wrapper interface {
	Unwrap() Store
}

// Capabilities is what a site was seen to do.
type Capabilities struct {
	// ConditionalPut: a second Put of the same name is refused. Without it
	// nothing is write-once.
	ConditionalPut bool `json:"conditional_put"`
	// Checksum: an object with a wrong digest is refused by the site.
	Checksum bool `json:"checksum"`
	// ListAfterPut: a new object is in the next listing.
	ListAfterPut bool `json:"list_after_put"`
	// RangedGet: a part of an object can be read.
	RangedGet bool `json:"ranged_get"`
	// Delete: the key may delete. A site that is written to only does not
	// need it; the probe's own objects stay there then.
	Delete bool `json:"delete"`
	// ObjectLock: the bucket can protect objects from deletion for a time.
	ObjectLock bool `json:"object_lock"`
	// Notes say, a sentence each, what is missing and what follows from it.
	Notes []string `json:"notes,omitempty"`
}

// Suffices returns why nothing can be kept safely at a site that does no more
// than this, or nil. Without checksums, deletion and object lock it can.
func (c Capabilities) Suffices() error {
	switch {
	case !c.ConditionalPut:
		return errors.New("it overwrites objects: it ignores If-None-Match, and write-once is not to be had from it; " +
			"use a release of the server that honours conditional writes")
	case !c.RangedGet:
		return errors.New("it cannot give a part of an object")
	case !c.ListAfterPut:
		return errors.New("it does not list new objects")
	}
	return nil
}

// probes is where the objects of tests of a site are.
const probes = "probe/"

// probeSize is more than what MinIO and others keep beside their metadata, and
// little enough to cost nothing.
const probeSize = 4096

// Probe finds out what a site really does by doing it with small objects under
// "probe/", which it removes again if it may. What a site does not do is no
// error but a false; an error means that the probe could not be carried out.
func Probe(ctx context.Context, s Store) (Capabilities, error) {
	p := prober{ctx: ctx, store: s, content: make([]byte, probeSize)}
	if _, err := rand.Read(p.content); err != nil {
		return Capabilities{}, fmt.Errorf("probe: random bytes: %w", err)
	}
	p.base = probes + hex.EncodeToString(p.content[:8])
	failed := p.run()
	if err := p.clean(); failed == nil {
		failed = err
	}
	return p.found, failed
}

type prober struct {
	ctx     context.Context
	store   Store
	content []byte
	base    string
	written []string
	found   Capabilities
}

func (p *prober) run() error {
	for _, step := range []func() error{p.put, p.conditionalPut, p.checksum, p.list, p.ranged, p.lock} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (p *prober) note(format string, args ...any) {
	p.found.Notes = append(p.found.Notes, fmt.Sprintf(format, args...))
}

func (p *prober) object(name string, content []byte) Object {
	return Object{Name: name, Size: int64(len(content)), SHA256: sha256.Sum256(content), Body: bytes.NewReader(content)}
}

func (p *prober) put() error {
	p.written = append(p.written, p.base)
	err := p.store.Put(p.ctx, p.object(p.base, p.content))
	if errors.Is(err, ErrUnsupported) {
		p.note("a PUT on condition that nothing is overwritten is not understood: objects here are not write-once (%v)", err)
		return err
	}
	return err
}

func (p *prober) conditionalPut() error {
	other := bytes.Repeat([]byte("x"), probeSize)
	err := p.store.Put(p.ctx, p.object(p.base, other))
	switch {
	case errors.Is(err, ErrExists):
		p.found.ConditionalPut = true
		return nil
	case err != nil:
		return err
	}
	p.note("a second PUT of an object was accepted: objects here are not write-once, two writers can destroy each other's work")
	p.content = other
	return nil
}

func (p *prober) checksum() error {
	name := p.base + "-wrong"
	p.written = append(p.written, name)
	wrong := p.object(name, p.content)
	wrong.SHA256[0] ^= 1
	send := p.store.Put
	if c, ok := find[ChecksumProber](p.store); ok {
		send = c.PutUnchecked
	}
	err := send(p.ctx, wrong)
	if err == nil {
		p.note("an object with a wrong SHA-256 was accepted: only backupd itself checks what is stored")
		return nil
	}
	if errors.Is(err, ErrChecksum) {
		p.found.Checksum = true
		return nil
	}
	return err
}

func (p *prober) list() error {
	seen := false
	err := p.store.List(p.ctx, p.base, "", func(i Info) error {
		seen = seen || i.Name == p.base && i.Size == probeSize
		return nil
	})
	p.found.ListAfterPut = seen
	if err == nil && !seen {
		p.note("a new object is not in the listing that follows: it cannot be told which snapshots exist")
	}
	return err
}

func (p *prober) ranged() error {
	const offset, length = 1000, 100
	r, err := p.store.Get(p.ctx, p.base, offset, length)
	if err == nil {
		var got []byte
		got, err = io.ReadAll(r)
		p.found.RangedGet = err == nil && bytes.Equal(got, p.content[offset:offset+length])
		err = errors.Join(err, r.Close())
	}
	if err != nil && !errors.Is(err, ErrUnsupported) {
		return err
	}
	if !p.found.RangedGet {
		p.note("a part of an object cannot be read by itself")
	}
	return nil
}

func (p *prober) lock() error {
	l, ok := find[LockProber](p.store)
	if !ok {
		return nil
	}
	var err error
	p.found.ObjectLock, err = l.ObjectLock(p.ctx)
	if err != nil && Permanent(err) {
		p.note("whether the bucket has object lock is not known: %v", err)
		return nil
	}
	return err
}

// clean removes the objects of the probe, as far as that is allowed.
func (p *prober) clean() error {
	p.found.Delete = true
	var failed error
	for _, name := range p.written {
		err := p.remove(name)
		if errors.Is(err, ErrDenied) {
			p.found.Delete = false
			continue
		}
		failed = errors.Join(failed, err)
	}
	if failed != nil {
		p.found.Delete = false
		return failed
	}
	if !p.found.Delete {
		p.note("deleting is not allowed: %s… stays there", p.base)
	}
	return nil
}

// remove removes an object for good, or as far as this key may and the bucket
// lets it.
func (p *prober) remove(name string) error {
	err := Purge(p.ctx, p.store, name)
	if errors.Is(err, ErrDenied) || errors.Is(err, ErrLocked) {
		return p.store.Delete(p.ctx, name)
	}
	return err
}

// find returns the store, or one that it wraps, that is a T.
func find[T any](s Store) (T, bool) {
	for {
		if t, ok := s.(T); ok {
			return t, true
		}
		w, ok := s.(Wrapper)
		if !ok {
			var none T
			return none, false
		}
		s = w.Unwrap()
	}
}
