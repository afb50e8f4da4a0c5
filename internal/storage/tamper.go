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
	"time"

	"github.com/saypro/backupd/internal/clock"
)

// Refusal is what a site answered to an attempt to do harm.
type Refusal struct {
	Refused bool `json:"refused"`
	// By is "lock" when the retention was the reason, "rights" when this key
	// is not allowed to do so at all, which shows nothing about the lock.
	By string `json:"by,omitempty"`
	// Answer is what the site said; empty when it obeyed.
	Answer string `json:"answer,omitempty"`
}

// TamperResult is what a [TamperTest] found.
type TamperResult struct {
	Object string `json:"object"`
	// Asked is the retention that the object was put with, Stated what the
	// site says that it has.
	Asked  Retention `json:"asked"`
	Stated Retention `json:"stated"`
	// Delete is the attempt to remove the object with all its versions,
	// Shorten the one to end its retention sooner.
	Delete  Refusal `json:"delete"`
	Shorten Refusal `json:"shorten"`
	// Bypass is the attempt to end a governance retention sooner as those may
	// who may bypass it. In compliance mode nobody may, and it is nil.
	Bypass *Refusal `json:"bypass,omitempty"`
	// Readable: the object has its bytes after all this.
	Readable bool `json:"readable"`
}

// Err returns what the site let happen, or nil when the lock held. The lock
// itself must have refused at least one of the attempts.
func (r TamperResult) Err() error {
	switch {
	case r.Stated.Mode != r.Asked.Mode || r.Stated.Until.Before(r.Asked.Until):
		return fmt.Errorf("%s was put with %s retention until %s, but the site states %q until %s", r.Object,
			r.Asked.Mode, r.Asked.Until.UTC().Format(time.RFC3339), r.Stated.Mode, r.Stated.Until.UTC().Format(time.RFC3339))
	case !r.Delete.Refused:
		return fmt.Errorf("%s could be deleted although it is locked", r.Object)
	case !r.Shorten.Refused:
		return fmt.Errorf("the retention of %s could be shortened", r.Object)
	case r.Bypass != nil && !r.Bypass.Refused:
		return fmt.Errorf("governance does not bind this key: it could shorten the retention of %s by asking to bypass it; "+
			"use compliance, or a key without the right to bypass", r.Object)
	case !r.Readable:
		return fmt.Errorf("%s cannot be read any more, although its deletion was refused", r.Object)
	case r.Delete.By != byLock && r.Shorten.By != byLock:
		return errors.New("this key may neither delete nor change a retention, so that the lock was not put to the test")
	}
	return nil
}

const (
	byLock   = "lock"
	byRights = "rights"
)

// The retention of a tamper test is long enough for clocks that differ a
// little, and short enough for what stays behind to be gone soon.
const (
	tamperFor   = 2 * time.Minute
	tamperLess  = time.Minute
	tamperFirst = probes + "tamper-"
)

// TamperTest puts a small locked object under "probe/" and tries to delete it
// and to shorten its retention; both must be refused. The object stays until
// a later test, which removes what earlier ones have left if it may.
//
// What a site lets happen is no error but in the result; an error means that
// the test could not be carried out. One that matches [ErrUnsupported] means
// that the site has no object lock.
func TamperTest(ctx context.Context, s Store, mode LockMode, c clock.Clock) (TamperResult, error) {
	if err := removeTampered(ctx, s); err != nil {
		return TamperResult{}, err
	}
	content := make([]byte, 64)
	if _, err := rand.Read(content); err != nil {
		return TamperResult{}, fmt.Errorf("tamper test: random bytes: %w", err)
	}
	now := c.Now().UTC().Truncate(time.Second)
	t := tamper{ctx: ctx, store: s, content: content, result: TamperResult{
		Object: tamperFirst + hex.EncodeToString(content[:8]),
		Asked:  Retention{Mode: mode, Until: now.Add(tamperFor)},
	}}
	for _, step := range []func() error{t.put, t.state, t.delete, t.shorten, t.bypass, t.read} {
		if err := step(); err != nil {
			return t.result, err
		}
	}
	return t.result, nil
}

// removeTampered removes what earlier tests have left, as far as that is
// allowed and no longer locked.
func removeTampered(ctx context.Context, s Store) error {
	var left []string
	if err := s.List(ctx, tamperFirst, "", func(i Info) error {
		left = append(left, i.Name)
		return nil
	}); err != nil {
		return err
	}
	for _, name := range left {
		err := Purge(ctx, s, name)
		if errors.Is(err, ErrDenied) {
			return nil
		}
		if err != nil && !errors.Is(err, ErrLocked) {
			return err
		}
	}
	return nil
}

type tamper struct {
	ctx     context.Context
	store   Store
	content []byte
	result  TamperResult
}

func (t *tamper) put() error {
	return t.store.Put(t.ctx, Object{
		Name: t.result.Object, Size: int64(len(t.content)), SHA256: sha256.Sum256(t.content),
		Body: bytes.NewReader(t.content), Retention: t.result.Asked,
	})
}

func (t *tamper) state() (err error) {
	t.result.Stated, err = RetentionOf(t.ctx, t.store, t.result.Object)
	return err
}

func (t *tamper) delete() (err error) {
	t.result.Delete, err = refusal(Purge(t.ctx, t.store, t.result.Object))
	return err
}

func (t *tamper) shorten() (err error) {
	if !t.result.Delete.Refused {
		return nil // nothing left to shorten
	}
	t.result.Shorten, err = refusal(Retain(t.ctx, t.store, t.result.Object, t.sooner()))
	return err
}

func (t *tamper) bypass() error {
	b, ok := find[Bypasser](t.store)
	if !ok || t.result.Asked.Mode != Governance || !t.result.Delete.Refused {
		return nil
	}
	answer, err := refusal(b.RetainBypassing(t.ctx, t.result.Object, t.sooner()))
	t.result.Bypass = &answer
	return err
}

func (t *tamper) sooner() Retention {
	return Retention{Mode: t.result.Asked.Mode, Until: t.result.Asked.Until.Add(-tamperLess)}
}

func (t *tamper) read() error {
	r, err := t.store.Get(t.ctx, t.result.Object, 0, -1)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	got, err := io.ReadAll(r)
	t.result.Readable = err == nil && bytes.Equal(got, t.content)
	return errors.Join(err, r.Close())
}

// refusal takes the answer to an attempt. An error that is none of a refusal
// is returned.
func refusal(err error) (Refusal, error) {
	var e *Error
	answer := ""
	if errors.As(err, &e) {
		answer = e.Err.Error()
	}
	switch {
	case err == nil:
		return Refusal{}, nil
	case errors.Is(err, ErrLocked):
		return Refusal{Refused: true, By: byLock, Answer: answer}, nil
	case errors.Is(err, ErrDenied):
		return Refusal{Refused: true, By: byRights, Answer: answer}, nil
	}
	return Refusal{}, err
}
