package controls

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/saypro/backupd/internal/storage"
)

// Locked is a bucket with object lock. What a round puts there are the objects
// of tamper tests, below "probe/": each is locked for two minutes at most and
// goes with a later test.
type Locked struct {
	Site string
	// Store is opened without anything that locks by itself; nil: Why says why
	// there is none.
	Store storage.Store
	Why   string
}

// realLockFaults are retentions that do not bind, on a bucket that can lock.
// Whether one can be planted there is tried first, without the verifier: a
// bucket that does not let itself be spoilt is no catch.
func realLockFaults() []fault {
	return []fault{
		{
			id: "lock-real-bypassed", expected: byTamperTest, naming: "governance does not bind",
			planted: "in a bucket with object lock, objects are locked in governance mode, and the key of the site may bypass that",
			try: onLocked(func(ctx context.Context, l *lockProbe) (finding, error) {
				ended, err := l.bypass(ctx)
				if err := l.planted(err, ended, "the key may not bypass governance"); err != nil {
					return finding{}, err
				}
				return l.tamper(ctx, storage.Governance, nil)
			}),
		},
		{
			id: "lock-real-unlocked", expected: byTamperTest, naming: "the site states",
			planted: "an object is put without a lock into a bucket with object lock",
			try: onLocked(func(ctx context.Context, l *lockProbe) (finding, error) {
				none := func(storage.Retention) storage.Retention { return storage.Retention{} }
				stated, err := l.put(ctx, storage.Retention{})
				if err := l.planted(err, stated == storage.Retention{}, "the bucket locks by itself what is put without a lock"); err != nil {
					return finding{}, err
				}
				return l.tamper(ctx, storage.Compliance, none)
			}),
		},
		{
			id: "lock-real-short", expected: byTamperTest, naming: "the site states",
			planted: "in a bucket with object lock, an object is locked for half of the time that was asked for",
			try: onLocked(func(ctx context.Context, l *lockProbe) (finding, error) {
				sooner := func(r storage.Retention) storage.Retention {
					return storage.Retention{Mode: r.Mode, Until: r.Until.Add(-time.Minute)}
				}
				short := l.retention(storage.Compliance)
				stated, err := l.put(ctx, short)
				if err := l.planted(err, !stated.Until.After(short.Until), "the bucket locks for longer than it is told to"); err != nil {
					return finding{}, err
				}
				return l.tamper(ctx, storage.Compliance, sooner)
			}),
		},
	}
}

// planted returns why a fault could not be planted, nil when it was.
func (l *lockProbe) planted(err error, done bool, why string) error {
	switch {
	case err != nil:
		return notHere(fmt.Sprintf("it could not be put at site %s: %v", l.Site, err))
	case !done:
		return notHere(fmt.Sprintf("site %s does not let it be: %s", l.Site, why))
	}
	return nil
}

// onLocked plants a fault in the bucket with object lock, if there is one.
func onLocked(try func(context.Context, *lockProbe) (finding, error)) func(context.Context, *replica) (finding, error) {
	return func(ctx context.Context, c *replica) (finding, error) {
		if c.Locked.Store == nil {
			return finding{}, notHere(c.Locked.Why)
		}
		l := &lockProbe{Locked: c.Locked, replica: c}
		prober, can := storage.LockProberOf(l.Store)
		if !can {
			return finding{}, l.planted(nil, false, "it has no buckets")
		}
		locks, err := prober.ObjectLock(ctx)
		if err := l.planted(err, locks, "the bucket has no object lock"); err != nil {
			return finding{}, err
		}
		return try(ctx, l)
	}
}

// lockProbe plants faults in a bucket with object lock.
type lockProbe struct {
	Locked
	replica *replica
}

// plantedFor is how long what is planted is locked.
const plantedFor = time.Minute

func (l *lockProbe) retention(mode storage.LockMode) storage.Retention {
	return storage.Retention{Mode: mode, Until: l.replica.Clock.Now().UTC().Truncate(time.Second).Add(plantedFor)}
}

// object is a small object where tamper tests have theirs, so that a later one
// removes it.
func (l *lockProbe) object(r storage.Retention) storage.Object {
	content := make([]byte, 64)
	_, _ = rand.Read(content) // never fails
	return storage.Object{
		Name: "probe/tamper-" + hex.EncodeToString(content[:8]), Size: int64(len(content)), SHA256: sha256.Sum256(content),
		Body: bytes.NewReader(content), Retention: r,
	}
}

// put puts an object and returns the retention that the site states of it.
func (l *lockProbe) put(ctx context.Context, r storage.Retention) (storage.Retention, error) {
	o := l.object(r)
	if err := l.Store.Put(ctx, o); err != nil {
		return storage.Retention{}, err
	}
	return storage.RetentionOf(ctx, l.Store, o.Name)
}

// bypass reports whether the key may end a governance retention.
func (l *lockProbe) bypass(ctx context.Context) (ended bool, err error) {
	o := l.object(l.retention(storage.Governance))
	if err := l.Store.Put(ctx, o); err != nil {
		return false, err
	}
	b, ok := storage.BypasserOf(l.Store)
	if !ok {
		return false, nil
	}
	sooner := storage.Retention{Mode: storage.Governance, Until: o.Retention.Until.Add(-plantedFor / 2)}
	err = b.RetainBypassing(ctx, o.Name, sooner)
	if errors.Is(err, storage.ErrLocked) || errors.Is(err, storage.ErrDenied) {
		return false, nil
	}
	return err == nil, err
}

// tamper is the test that 'backupd check' makes of a site with a lock, through
// something that asks the bucket for another retention than it is told; nil
// changes nothing.
func (l *lockProbe) tamper(ctx context.Context, mode storage.LockMode, other func(storage.Retention) storage.Retention) (finding, error) {
	store := l.Store
	if other != nil {
		store = &otherRetention{Store: store, other: other}
	}
	result, err := storage.TamperTest(ctx, store, mode, l.replica.Clock)
	if err != nil {
		return finding{}, err
	}
	if err := result.Err(); err != nil {
		return finding{caught: byTamperTest, detail: err.Error()}, nil
	}
	return finding{detail: "the site is told to refuse deletions"}, nil
}

// otherRetention puts objects with another retention than is asked for.
type otherRetention struct {
	storage.Store
	other func(storage.Retention) storage.Retention
}

// Unwrap implements [storage.Wrapper].
func (o *otherRetention) Unwrap() storage.Store { return o.Store }

// Put implements [storage.Store].
func (o *otherRetention) Put(ctx context.Context, obj storage.Object) error {
	obj.Retention = o.other(obj.Retention)
	return o.Store.Put(ctx, obj)
}
