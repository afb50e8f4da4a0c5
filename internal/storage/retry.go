package storage

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"time"

	"github.com/saypro/backupd/internal/clock"
)

// RetryPolicy says how often and after which waits an operation is tried.
type RetryPolicy struct {
	// Attempts is how often in all; below 1 counts as 1.
	Attempts int
	// Base is the longest wait before the second attempt. It doubles from
	// attempt to attempt up to Max. The wait itself is drawn evenly between 0
	// and that, so that those who failed together do not come back together.
	Base, Max time.Duration
}

// DefaultRetry bridges a restart of a server: it waits about 15 s in all.
var DefaultRetry = RetryPolicy{Attempts: 7, Base: 500 * time.Millisecond, Max: 15 * time.Second}

// wait returns how long to wait before the attempt after the nth failure,
// counted from 0.
func (p RetryPolicy) wait(n int, r func() float64) time.Duration {
	longest := p.Base
	for ; n > 0 && longest < p.Max; n-- {
		longest *= 2
	}
	return time.Duration(r() * float64(min(longest, p.Max)))
}

// WithRetry returns a store that tries the operations of another again when
// they fail for a reason that may pass. It gives up at once when an error is
// [Permanent] or the context has ended, and returns the error of the last
// attempt.
//
// Reading goes on where it broke off, and so does a listing, since objects
// never change. A Put whose answer was lost may have stored the object; then
// the next attempt finds it there, reads it back, and counts as done exactly
// when it has the bytes meant. Random returns numbers in [0, 1) and may be nil.
func WithRetry(s Store, p RetryPolicy, c clock.Clock, random func() float64) Store {
	if random == nil {
		random = rand.Float64
	}
	return &retrying{store: s, policy: p, clock: c, random: random}
}

type retrying struct {
	store  Store
	policy RetryPolicy
	clock  clock.Clock
	random func() float64
}

// Unwrap implements [Wrapper].
func (r *retrying) Unwrap() Store { return r.store }

// try calls do until it succeeds or trying again is of no use. It is given the
// number of the attempt, from 0.
func (r *retrying) try(ctx context.Context, do func(attempt int) error) error {
	for attempt := 0; ; attempt++ {
		err := do(attempt)
		if err == nil || !r.again(ctx, attempt, err) {
			return err
		}
	}
}

// again waits before the next attempt; false means that there is none.
func (r *retrying) again(ctx context.Context, attempt int, err error) bool {
	attempts := r.policy.Attempts
	if timedOut(err) {
		attempts = min(attempts, stallAttempts)
	}
	if Permanent(err) || ctx.Err() != nil || attempt+1 >= attempts {
		return false
	}
	return r.clock.Sleep(ctx, r.policy.wait(attempt, r.random)) == nil
}

// stallAttempts is how often an operation is tried that a site does not answer:
// each attempt has cost as much time as a stall may take, a minute.
const stallAttempts = 2

// timedOut tells whether an error is that of waiting in vain.
func timedOut(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// Put implements [Store].
func (r *retrying) Put(ctx context.Context, obj Object) error {
	last := 0
	err := r.try(ctx, func(attempt int) error {
		last = attempt
		return r.store.Put(ctx, obj)
	})
	if last == 0 || !errors.Is(err, ErrExists) {
		return err
	}
	same, failed := r.holds(ctx, obj)
	switch {
	case failed != nil:
		return readBack(obj.Name, failed)
	case same:
		return nil
	}
	return err
}

// holds tells whether the stored object has the bytes of obj.
func (r *retrying) holds(ctx context.Context, obj Object) (bool, error) {
	info, err := r.Stat(ctx, obj.Name)
	if err != nil || info.Size != obj.Size {
		return false, err
	}
	body, err := r.Get(ctx, obj.Name, 0, obj.Size)
	if err != nil {
		return false, err
	}
	sum := sha256.New()
	_, err = io.Copy(sum, body)
	if err = errors.Join(err, body.Close()); err != nil {
		return false, err
	}
	return bytes.Equal(sum.Sum(nil), obj.SHA256[:]), nil
}

// readBack says that it stays open whose object is there.
func readBack(name string, err error) error {
	out := &Error{Op: "put", Name: name, Err: fmt.Errorf("it was stored after an answer was lost, but cannot be read back: %w", err)}
	var cause *Error
	if errors.As(err, &cause) {
		out.Site = cause.Site
	}
	return out
}

// Stat implements [Store].
func (r *retrying) Stat(ctx context.Context, name string) (info Info, err error) {
	err = r.try(ctx, func(int) error {
		info, err = r.store.Stat(ctx, name)
		return err
	})
	return info, err
}

// List implements [Store].
func (r *retrying) List(ctx context.Context, prefix, after string, fn func(Info) error) error {
	for failures := 0; ; failures++ {
		var stopped error
		err := r.store.List(ctx, prefix, after, func(i Info) error {
			// A listing that goes on is a listing that works.
			after, failures = i.Name, 0
			stopped = fn(i)
			return stopped
		})
		if err == nil || stopped != nil || !r.again(ctx, failures, err) {
			return err
		}
	}
}

// Delete implements [Store].
func (r *retrying) Delete(ctx context.Context, name string) error {
	return r.try(ctx, func(int) error { return r.store.Delete(ctx, name) })
}

// Purge implements [Purger].
func (r *retrying) Purge(ctx context.Context, name string) error {
	return r.try(ctx, func(int) error { return Purge(ctx, r.store, name) })
}

// Retain implements [Locker].
func (r *retrying) Retain(ctx context.Context, name string, until Retention) error {
	return r.try(ctx, func(int) error { return Retain(ctx, r.store, name, until) })
}

// Retention implements [Locker].
func (r *retrying) Retention(ctx context.Context, name string) (found Retention, err error) {
	err = r.try(ctx, func(int) error {
		found, err = RetentionOf(ctx, r.store, name)
		return err
	})
	return found, err
}

// Get implements [Store].
func (r *retrying) Get(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	g := &resuming{r: r, ctx: ctx, name: name, offset: offset, length: length}
	if err := r.try(ctx, func(int) error { return g.open() }); err != nil {
		return nil, err
	}
	return g, nil
}

// enoughBytes is how much must come through for a connection to count as one
// that works. A site that breaks off after a few bytes each time would be read
// in crumbs for hours otherwise.
const enoughBytes = 4 << 10

// resuming reads a range and opens what is left of it again when the reading
// breaks off.
type resuming struct {
	r              *retrying
	ctx            context.Context
	name           string
	offset, length int64 // of what is left; length -1: to the end
	body           io.ReadCloser
	failures       int   // since enough bytes came
	came           int64 // bytes since the last failure
}

func (g *resuming) open() error {
	body, err := g.r.store.Get(g.ctx, g.name, g.offset, g.length)
	if err == nil {
		g.body = body
	}
	return err
}

func (g *resuming) Read(p []byte) (int, error) {
	for {
		n, err := g.body.Read(p)
		if n > 0 {
			if g.came += int64(n); g.came >= enoughBytes {
				g.failures = 0
			}
			g.offset += int64(n)
			if g.length > 0 {
				g.length -= int64(n)
			}
		}
		if n > 0 && err != io.EOF {
			return n, nil // an error that lasts shows itself next time
		}
		if err == nil || err == io.EOF {
			return n, err
		}
		if err := g.resume(err); err != nil {
			return 0, err
		}
	}
}

// resume opens the rest after a failure, or returns the last error.
func (g *resuming) resume(err error) error {
	g.came = 0
	_ = g.body.Close() // broken
	g.body = io.NopCloser(failed{err})
	for g.r.again(g.ctx, g.failures, err) {
		g.failures++
		if err = g.open(); err == nil {
			return nil
		}
	}
	g.body = io.NopCloser(failed{err})
	return err
}

func (g *resuming) Close() error { return g.body.Close() }

// failed is a body that is beyond reading.
type failed struct{ err error }

func (f failed) Read([]byte) (int, error) { return 0, f.err }
