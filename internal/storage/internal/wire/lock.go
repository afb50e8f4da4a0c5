package wire

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/saypro/backupd/internal/storage"
)

// Until returns the time as S3 keeps it, in whole seconds, rounded up so that
// nothing is protected for less than was asked for.
func Until(t time.Time) time.Time {
	whole := t.UTC().Truncate(time.Second)
	if whole.Before(t) {
		whole = whole.Add(time.Second)
	}
	return whole
}

// ModeName returns the name of a mode in S3.
func ModeName(m storage.LockMode) string { return strings.ToUpper(string(m)) }

// NewRetention is what a site says about a retention.
func NewRetention(mode string, until *time.Time) storage.Retention {
	if mode == "" || until == nil {
		return storage.Retention{}
	}
	return storage.Retention{Mode: storage.LockMode(strings.ToLower(mode)), Until: until.UTC()}
}

// ObjectLock implements [storage.LockProber].
func (s *Site) ObjectLock(ctx context.Context) (bool, error) {
	locks, err := s.client.ObjectLock(ctx)
	if answer, _ := s.client.Answer(err); answer.Code == "ObjectLockConfigurationNotFoundError" {
		return false, nil
	}
	return locks, s.fail(ctx, "probe", "", err)
}

// Retain implements [storage.Locker].
func (s *Site) Retain(ctx context.Context, name string, r storage.Retention) error {
	err := errors.Join(storage.CheckName(name), r.Check())
	if err == nil && r == (storage.Retention{}) {
		err = storage.ErrInvalid
	}
	if err == nil {
		err = s.client.Retain(ctx, s.keys.Key(name), r)
	}
	return s.failLocked(ctx, "retain", name, err)
}

// Retention implements [storage.Locker].
func (s *Site) Retention(ctx context.Context, name string) (storage.Retention, error) {
	err := storage.CheckName(name)
	var r storage.Retention
	if err == nil {
		r, err = s.client.Retention(ctx, s.keys.Key(name))
	}
	if answer, _ := s.client.Answer(err); answer.Code == "NoSuchObjectLockConfiguration" {
		return storage.Retention{}, nil
	}
	return r, s.fail(ctx, "retention", name, err)
}

// Purge implements [storage.Purger].
func (s *Site) Purge(ctx context.Context, name string) error {
	err := storage.CheckName(name)
	if err == nil {
		err = s.purge(ctx, s.keys.Key(name))
	}
	if err = s.failLocked(ctx, "purge", name, err); errors.Is(err, storage.ErrNotFound) {
		return nil
	}
	return err
}

// purge removes the versions one by one, each by its name: a removal without
// one would succeed where a lock forbids it, and only hide the object. The
// oldest goes first, since what is written once has its bytes there: when it
// is refused, nothing has changed. The marks of deletions go last, or what they
// hide would come back.
func (s *Site) purge(ctx context.Context, key string) error {
	var versions, marks []string
	err := s.client.Versions(ctx, key, func(v Version) error {
		switch {
		case v.Key != key: // a longer one: ours comes first
			return errEnough
		case v.Marker:
			marks = append(marks, v.ID)
		default:
			versions = append(versions, v.ID)
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return err
	}
	slices.Reverse(versions)
	for _, id := range append(versions, marks...) {
		if err := s.client.Delete(ctx, key, id); err != nil {
			return err
		}
	}
	return nil
}

// failLocked is fail for what a retention can forbid; the hint says until when
// that is, if the site tells.
func (s *Site) failLocked(ctx context.Context, op, name string, err error) error {
	err = s.fail(ctx, op, name, err)
	var e *storage.Error
	if !errors.Is(err, storage.ErrLocked) || !errors.As(err, &e) {
		return err
	}
	if r, unknown := s.client.Retention(ctx, s.keys.Key(name)); unknown == nil && r != (storage.Retention{}) {
		e.Hint = string(r.Mode) + " retention until " + r.Until.UTC().Format(time.RFC3339)
	}
	return err
}
