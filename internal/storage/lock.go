package storage

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/saypro/backupd/internal/clock"
)

// LockMode is how strictly a retention binds.
type LockMode string

const (
	// Compliance forbids everybody to delete the object or to shorten its
	// retention, the owner of the account included.
	Compliance LockMode = "compliance"
	// Governance forbids it to all who lack the right to bypass it.
	Governance LockMode = "governance"
)

// Retention is until when an object cannot be deleted. The zero value is none.
type Retention struct {
	Mode  LockMode  `json:"mode"`
	Until time.Time `json:"until"`
}

// Check returns an error that matches [ErrInvalid] unless r is whole: none, or
// a known mode and a time.
func (r Retention) Check() error {
	switch {
	case r == Retention{}:
		return nil
	case r.Mode != Compliance && r.Mode != Governance, r.Until.IsZero():
		return fmt.Errorf("%w: retention of mode %q until %s", ErrInvalid, r.Mode, r.Until.UTC().Format(time.RFC3339))
	}
	return nil
}

// Locker is a store that can protect objects from deletion. A retention counts
// to the second and binds the version of the object that is current.
type Locker interface {
	// Retain puts off the end of an object's retention, or gives it one. To
	// end it sooner, or to weaken its mode, matches [ErrLocked]; a bucket
	// without object lock matches [ErrUnsupported].
	Retain(ctx context.Context, name string, r Retention) error
	// Retention returns the object's retention, which may have ended.
	Retention(ctx context.Context, name string) (Retention, error)
}

// Bypasser is a store that can try to end a retention sooner by bypassing
// governance. Only a [TamperTest] has a use for it.
type Bypasser interface {
	RetainBypassing(ctx context.Context, name string, r Retention) error
}

// Purger is a store that can remove an object for good. Where a bucket keeps
// old versions, as object lock needs it, Delete only hides the object.
type Purger interface {
	// Purge removes all versions of the object and all marks of deletions.
	// When one is protected the error matches [ErrLocked] and the object is
	// to be read as before. Purging what does not exist is no error.
	Purge(ctx context.Context, name string) error
}

// BypasserOf returns s or the store that it wraps which can try to bypass
// governance.
func BypasserOf(s Store) (Bypasser, bool) { return find[Bypasser](s) }

// LockProberOf returns s or the store that it wraps which knows whether its
// bucket has object lock.
func LockProberOf(s Store) (LockProber, bool) { return find[LockProber](s) }

// Retain calls [Locker] of s or of the store that it wraps. Without one the
// error matches [ErrUnsupported].
func Retain(ctx context.Context, s Store, name string, r Retention) error {
	if l, ok := find[Locker](s); ok {
		return l.Retain(ctx, name, r)
	}
	return &Error{Op: "retain", Name: name, Err: ErrUnsupported}
}

// RetentionOf calls [Locker] of s or of the store that it wraps. Without one
// the error matches [ErrUnsupported].
func RetentionOf(ctx context.Context, s Store, name string) (Retention, error) {
	if l, ok := find[Locker](s); ok {
		return l.Retention(ctx, name)
	}
	return Retention{}, &Error{Op: "retention", Name: name, Err: ErrUnsupported}
}

// Purge calls [Purger] of s or of the store that it wraps; without one it is
// Delete.
func Purge(ctx context.Context, s Store, name string) error {
	if p, ok := find[Purger](s); ok {
		return p.Purge(ctx, name)
	}
	return s.Delete(ctx, name)
}

// WithLock returns a store that protects what is put into it for a time from
// then on, unless the object comes with a retention of its own or is one of a
// test of the site, under "probe/". A Put that finds the object there already
// does not touch the retention it has: see [Retain].
func WithLock(s Store, mode LockMode, hold time.Duration, c clock.Clock) Store {
	return &locking{Store: s, mode: mode, hold: hold, clock: c}
}

type locking struct {
	Store
	mode  LockMode
	hold  time.Duration
	clock clock.Clock
}

// Unwrap implements [Wrapper].
func (l *locking) Unwrap() Store { return l.Store }

// Put implements [Store].
func (l *locking) Put(ctx context.Context, obj Object) error {
	if obj.Retention == (Retention{}) && !strings.HasPrefix(obj.Name, probes) {
		obj.Retention = Retention{Mode: l.mode, Until: l.clock.Now().Add(l.hold)}
	}
	return l.Store.Put(ctx, obj)
}
