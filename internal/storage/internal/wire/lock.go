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
	return s.retain(ctx, name, r, false)
}

// RetainBypassing implements [storage.Bypasser].
func (s *Site) RetainBypassing(ctx context.Context, name string, r storage.Retention) error {
	return s.retain(ctx, name, r, true)
}

func (s *Site) retain(ctx context.Context, name string, r storage.Retention, bypass bool) error {
	err := errors.Join(storage.CheckName(name), r.Check())
	if err == nil && r == (storage.Retention{}) {
		err = storage.ErrInvalid
	}
	if err == nil {
		err = s.client.Retain(ctx, s.keys.Key(name), r, bypass)
	}
	return s.refused(ctx, "retain", name, "", err)
}

// Retention implements [storage.Locker].
func (s *Site) Retention(ctx context.Context, name string) (storage.Retention, error) {
	err := storage.CheckName(name)
	var r storage.Retention
	if err == nil {
		r, err = s.client.Retention(ctx, s.keys.Key(name), "")
	}
	switch answer, _ := s.client.Answer(err); answer.Code {
	case "NoSuchObjectLockConfiguration":
		return storage.Retention{}, nil
	case "MethodNotAllowed": // of the mark of a deletion
		err = storage.ErrNotFound
	}
	return r, s.fail(ctx, "retention", name, err)
}

// Purge implements [storage.Purger].
func (s *Site) Purge(ctx context.Context, name string) error {
	if err := storage.CheckName(name); err != nil {
		return s.fail(ctx, "purge", name, err)
	}
	ids, err := s.versions(ctx, s.keys.Key(name))
	if err = s.fail(ctx, "purge", name, err); errors.Is(err, storage.ErrUnsupported) {
		return s.Delete(ctx, name) // a service that knows no versions keeps none
	}
	if err != nil {
		return err
	}
	for _, id := range ids {
		err := s.refused(ctx, "purge", name, id, s.remove(ctx, s.keys.Key(name), id))
		if err != nil && !errors.Is(err, storage.ErrNotFound) {
			return err
		}
	}
	return nil
}

// versions returns those of one object in the order in which they have to go.
// The oldest is first, since what is written once has its bytes there: when
// its removal is refused, nothing has changed. The marks of deletions are
// last, or what they hide would come back.
func (s *Site) versions(ctx context.Context, key string) ([]string, error) {
	var ids, marks []string
	err := s.client.Versions(ctx, key, func(v Version) error {
		switch {
		case v.Key != key: // a longer one: ours comes first
			return errEnough
		case v.Marker:
			marks = append(marks, v.ID)
		default:
			ids = append(ids, v.ID)
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	slices.Reverse(ids)
	return append(ids, marks...), err
}

// unversioned is what stands for the version where a bucket keeps none.
const unversioned = "null"

// remove removes one version by its name. Without the name, the removal would
// succeed where a lock forbids it, and only hide the object.
func (s *Site) remove(ctx context.Context, key, id string) error {
	err := s.client.Delete(ctx, key, id)
	if answer, _ := s.client.Answer(err); answer.Code == "InvalidArgument" && id == unversioned {
		return s.client.Delete(ctx, key, "") // versitygw has no name for it
	}
	return err
}

// refused is fail for what a retention can forbid; the hint says until when
// that is, if the site tells.
func (s *Site) refused(ctx context.Context, op, name, version string, err error) error {
	err = s.fail(ctx, op, name, err)
	var e *storage.Error
	if !errors.Is(err, storage.ErrLocked) || !errors.As(err, &e) {
		return err
	}
	if version == unversioned {
		version = ""
	}
	r, unknown := s.client.Retention(ctx, s.keys.Key(name), version)
	if unknown == nil && r != (storage.Retention{}) {
		e.Hint = string(r.Mode) + " retention until " + r.Until.UTC().Format(time.RFC3339)
	}
	return err
}
