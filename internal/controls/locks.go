package controls

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/saypro/backupd/internal/storage"
)

// What catches a lock that does not bind.
const (
	byTamperTest = "tamper test"
	byHorizon    = "lock horizon"
)

// lockFor is the retention of the disposable repository.
const lockFor = 24 * time.Hour

// lockFaults are sites that promise to refuse deletions and do not. The site is
// the one of the round behind something that answers in its place, so that no
// retention has to run out before the round can be cleared up.
func lockFaults() []fault {
	return []fault{
		{
			id: "lock-never-applied", expected: byTamperTest, naming: "the site states",
			planted: "the site takes objects with a retention and applies none",
			try:     tampered(&feignedLock{}),
		},
		{
			id: "lock-expired", expected: byTamperTest, naming: "the site states",
			planted: "the retention at the site ends before the one that was asked for",
			try:     tampered(&feignedLock{states: true, sooner: time.Hour, refuses: true}),
		},
		{
			id: "lock-not-binding", expected: byTamperTest, naming: "could be deleted",
			planted: "the site states the retention that was asked for, and deletes the object when it is told to",
			try:     tampered(&feignedLock{states: true}),
		},
		{
			id: "lock-shortened", expected: byTamperTest, naming: "could be shortened",
			planted: "the site refuses the deletion, and lets the retention be shortened first",
			try:     tampered(&feignedLock{states: true, refuses: true, shortens: true}),
		},
		{
			id: "lock-not-extended", expected: byHorizon, naming: "can be deleted from",
			planted: "nobody puts off the end of the retentions: four fifths of their time have passed",
			try: func(ctx context.Context, c *replica) (finding, error) {
				if err := c.locked(ctx); err != nil {
					return finding{}, err
				}
				if _, err := c.repo.ExtendLocks(ctx, c.Site, nil); err != nil {
					return finding{}, err
				}
				if now := c.horizon(0); now.caught != "" {
					return finding{detail: "the alarm is there at once: " + now.detail}, nil
				}
				return c.horizon(lockFor * 4 / 5), nil
			},
		},
		{
			id: "lock-unprotected", expected: byHorizon, naming: "are not protected",
			planted: "the configuration names a lock, and the objects at the site were written without one",
			try: func(ctx context.Context, c *replica) (finding, error) {
				if err := c.locked(ctx); err != nil {
					return finding{}, err
				}
				return c.horizon(0), nil
			},
		},
	}
}

// tampered is the test that 'backupd check' makes of a site with a lock.
func tampered(lock *feignedLock) func(context.Context, *replica) (finding, error) {
	return func(ctx context.Context, c *replica) (finding, error) {
		lock.Store, lock.deletes, lock.ends = c.tested.Store, deleter(c.tested), map[string]storage.Retention{}
		result, err := storage.TamperTest(ctx, lock, storage.Compliance, c.Clock)
		if err != nil {
			return finding{}, err
		}
		if err := result.Err(); err != nil {
			return finding{caught: byTamperTest, detail: err.Error()}, nil
		}
		return finding{detail: "the site is told to refuse deletions"}, nil
	}
}

// locked opens the repository as one whose site has a lock.
func (c *replica) locked(ctx context.Context) error {
	if err := c.close(); err != nil {
		return err
	}
	lock := &feignedLock{Store: c.tested.Store, deletes: deleter(c.tested), states: true, refuses: true, ends: map[string]storage.Retention{}}
	c.tested.Store, c.tested.Sweeper, c.tested.Lock, c.tested.LockMode = lock, nil, lockFor, storage.Compliance
	return errors.Join(c.openCatalog(), c.open(ctx, c.daemon))
}

// horizon is the alarm of 'backupd sites' some time from now.
func (c *replica) horizon(later time.Duration) finding {
	locks, err := c.repo.Locks(c.Site)
	if err != nil {
		return finding{detail: err.Error()}
	}
	if alarm := locks.Alarm(lockFor, c.Clock.Now().Add(later)); alarm != "" {
		return finding{caught: byHorizon, detail: alarm}
	}
	return finding{detail: "the objects are told to be protected"}
}

// feignedLock is a site whose object lock is not what it says.
type feignedLock struct {
	storage.Store
	deletes  storage.Store // of the same place, with the right to
	states   bool          // what was asked for
	sooner   time.Duration // the retentions end so much before that
	refuses  bool          // deletions
	shortens bool          // retentions, when asked

	mu   sync.Mutex
	ends map[string]storage.Retention
}

func (f *feignedLock) end(name string) storage.Retention {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ends[name]
}

func (f *feignedLock) setEnd(name string, r storage.Retention) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ends[name] = r
}

var (
	_ storage.Locker = (*feignedLock)(nil)
	_ storage.Purger = (*feignedLock)(nil)
)

// Put implements [storage.Store].
func (f *feignedLock) Put(ctx context.Context, o storage.Object) error {
	asked := o.Retention
	o.Retention = storage.Retention{}
	if err := f.Store.Put(ctx, o); err != nil {
		return err
	}
	if f.states && asked != (storage.Retention{}) {
		f.setEnd(o.Name, storage.Retention{Mode: asked.Mode, Until: asked.Until.Add(-f.sooner)})
	}
	return nil
}

// Retention implements [storage.Locker].
func (f *feignedLock) Retention(_ context.Context, name string) (storage.Retention, error) {
	return f.end(name), nil
}

// Retain implements [storage.Locker].
func (f *feignedLock) Retain(_ context.Context, name string, r storage.Retention) error {
	if r.Until.Before(f.end(name).Until) && !f.shortens {
		return f.locked("retain", name)
	}
	f.setEnd(name, r)
	return nil
}

// Purge implements [storage.Purger].
func (f *feignedLock) Purge(ctx context.Context, name string) error {
	if f.refuses && f.end(name) != (storage.Retention{}) {
		return f.locked("purge", name)
	}
	return storage.Purge(ctx, f.deletes, name)
}

func (f *feignedLock) locked(op, name string) error {
	return &storage.Error{Op: op, Name: name, Err: storage.ErrLocked}
}
