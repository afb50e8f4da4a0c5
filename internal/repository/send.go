package repository

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/crash"
	"github.com/saypro/backupd/internal/storage"
)

var (
	// errLost: neither the spool nor any other site has the right bytes, and
	// all of them have said so.
	errLost = errors.New("neither the spool nor any other site has it")
	// errStuck: the site holds other bytes under that name and does not let go
	// of them.
	errStuck = errors.New("the site holds other bytes under that name")
)

// stuckHint says what to do about an object that a site does not let go of.
const stuckHint = "a key that may delete mends it (sweeper_access_key), or delete the object by hand and run 'backupd sync'"

// send brings one object to a site: from the spool, or from another site when
// it has left the spool.
func (r *Repository) send(ctx context.Context, site Site, e catalog.Entry) error {
	body, err := os.Open(r.spool.path(e.Name))
	if os.IsNotExist(err) {
		return r.sendAgain(ctx, site, e)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSpool, err)
	}
	defer func() { _ = body.Close() }() // it was only read
	err = r.put(ctx, site, e, body)
	if errors.Is(err, storage.ErrChecksum) || errors.Is(err, storage.ErrInvalid) {
		r.log.Error("an object in the spool is damaged; another site's is taken", "object", e.Name, "error", err)
		return r.copyFromOther(ctx, site, e)
	}
	return err
}

// sendAgain sends an object that is no longer in the spool. It may be at the
// site from earlier: the site was away from the configuration, or the catalog
// is a rebuilt one, or somebody only feared that it was not.
func (r *Repository) sendAgain(ctx context.Context, site Site, e catalog.Entry) error {
	err := r.look(ctx, site, e)
	switch {
	case err == nil:
		return r.protect(ctx, site, e.Name)
	case errors.Is(err, storage.ErrNotFound):
		return r.copyFromOther(ctx, site, e)
	case errors.Is(err, ErrCorrupt):
		return r.mend(ctx, site, e)
	}
	return err
}

// protect gives an object that is at a site already the protection that it
// would have got if it had been written now.
func (r *Repository) protect(ctx context.Context, site Site, name string) error {
	if site.Lock == 0 {
		return nil
	}
	until := r.clock.Now().Add(site.Lock)
	err := storage.Retain(ctx, site.Store, name, storage.Retention{Mode: site.LockMode, Until: until})
	if errors.Is(err, storage.ErrLocked) {
		return nil // for longer
	}
	return err
}

// put writes an object and sees that it is there, in its full length: an answer
// that says so is not enough.
func (r *Repository) put(ctx context.Context, site Site, e catalog.Entry, body io.ReadSeeker) error {
	crash.Point(crash.UploadBegun)
	err := site.background().Put(ctx, storage.Object{Name: e.Name, Size: e.Size, SHA256: e.SHA256, Body: body})
	there := errors.Is(err, storage.ErrExists)
	if there {
		err = r.look(ctx, site, e)
	}
	switch {
	case errors.Is(err, ErrCorrupt):
		return r.mend(ctx, site, e)
	case err != nil:
		return err
	case there:
		return r.protect(ctx, site, e.Name)
	}
	crash.Point(crash.UploadPut)
	return confirm(ctx, site, e)
}

// confirm sees that the site holds an object of that length.
func confirm(ctx context.Context, site Site, e catalog.Entry) error {
	info, err := site.Store.Stat(ctx, e.Name)
	if errors.Is(err, storage.ErrNotFound) {
		// Not as an error that is final: the next attempt may do better.
		return &ObjectError{site.Name, e.Name, errors.New("the site said that it took the object and does not have it")}
	}
	if err == nil && info.Size != e.Size {
		err = &ObjectError{site.Name, e.Name, fmt.Errorf("the site said that it took %d bytes and has %d", e.Size, info.Size)}
	}
	return err
}

// mend replaces an object that a site holds wrongly. That its bytes are wrong
// has been seen twice, and the right ones are at hand, before it is deleted.
func (r *Repository) mend(ctx context.Context, site Site, e catalog.Entry) error {
	if err := r.look(ctx, site, e); !errors.Is(err, ErrCorrupt) {
		return err
	}
	if err := r.mayDelete(); err != nil {
		return &ObjectError{site.Name, e.Name, fmt.Errorf("%w: %w", errStuck, err)}
	}
	if err := r.mayReplaceEvidence(ctx, site, e); err != nil {
		return err
	}
	good, err := r.goodBytes(ctx, site, e)
	if err != nil {
		return err
	}
	if err := site.sweeper().Delete(ctx, e.Name); err != nil {
		if storage.Permanent(err) {
			err = fmt.Errorf("%w: %w; %s", errStuck, err, stuckHint)
		}
		return &ObjectError{site.Name, e.Name, err}
	}
	crash.Point(crash.MendDeleted)
	if _, err := putBody(ctx, site.background(), site.Name, e, bytes.NewReader(good)); err != nil {
		return err
	}
	crash.Point(crash.MendPut)
	r.log.Warn("a damaged object was replaced by a good copy", "site", site.Name, "object", e.Name)
	return checkSame(ctx, site, e)
}

// goodBytes returns an object from the spool or from another site.
func (r *Repository) goodBytes(ctx context.Context, site Site, e catalog.Entry) ([]byte, error) {
	if b, err := os.ReadFile(r.spool.path(e.Name)); err == nil && sum(b) == e.SHA256 {
		return b, nil
	}
	return r.fromOther(ctx, site, e)
}

// copyFromOther sends an object that has left the spool, from a site that has
// it.
func (r *Repository) copyFromOther(ctx context.Context, site Site, e catalog.Entry) error {
	b, err := r.fromOther(ctx, site, e)
	if err != nil {
		return err
	}
	return r.put(ctx, site, e, bytes.NewReader(b))
}

// fromOther reads an object from some other site. When all of them say that
// they do not have it the error matches errLost.
func (r *Repository) fromOther(ctx context.Context, site Site, e catalog.Entry) ([]byte, error) {
	if e.Kind == catalog.KindKey {
		return r.catalog.WrappedKey(e.Name) // which is why no key waits in the spool
	}
	lost := true
	var errs []error
	for _, other := range r.sites {
		if other.Name == site.Name {
			continue
		}
		b, err := r.readGood(ctx, other.quiet(), e)
		if err == nil {
			return b, nil
		}
		lost = lost && r.doesNotHave(ctx, other, err)
		errs = append(errs, err)
	}
	err := fmt.Errorf("object %s waits for site %s and is neither in the spool nor elsewhere: %w",
		e.Name, site.Name, errors.Join(append(errs, ErrUnavailable)...))
	if lost {
		err = fmt.Errorf("%w: %w", errLost, err)
	}
	return nil, err
}

// readGood reads an object of which the site has the right bytes.
func (r *Repository) readGood(ctx context.Context, site Site, e catalog.Entry) ([]byte, error) {
	b, err := readObject(ctx, site, e.Name, maxPack)
	if err != nil && !storage.Permanent(err) && !errors.Is(err, ErrCorrupt) {
		if err = r.look(ctx, site, e); err == nil {
			b, err = readObject(ctx, site, e.Name, maxPack)
		}
	}
	if err == nil && sum(b) != e.SHA256 {
		err = &ObjectError{site.Name, e.Name, ErrCorrupt}
	}
	return b, err
}

// doesNotHave reports whether an error means that a site does not have the
// right bytes, and not only that it cannot be asked now. A site without the
// repository says nothing about its objects.
func (r *Repository) doesNotHave(ctx context.Context, site Site, err error) bool {
	if !errors.Is(err, storage.ErrNotFound) && !errors.Is(err, ErrCorrupt) && !errors.Is(err, storage.ErrShort) {
		return false
	}
	return r.checkRepository(ctx, site) == nil
}

// putBody writes an object; one that is there already must be the same.
func putBody(ctx context.Context, store storage.Store, site string, e catalog.Entry, body io.ReadSeeker) (there bool, err error) {
	err = store.Put(ctx, storage.Object{Name: e.Name, Size: e.Size, SHA256: e.SHA256, Body: body})
	if !errors.Is(err, storage.ErrExists) {
		return false, err
	}
	return true, checkSame(ctx, Site{Name: site, Store: store}, e)
}

// lookTries is how often an object is read in vain before it counts as one that
// cannot be read; each of them includes the retries of the store.
const lookTries = 3

// look reads an object of a site and compares its digest, as checkSame does. One
// that cannot be read, try after try, while the site gives its repo.json each
// time, counts as corrupt: that is how some servers tell of a rotten disk.
func (r *Repository) look(ctx context.Context, site Site, e catalog.Entry) error {
	return r.insist(ctx, site, e.Name, func() error { return checkSame(ctx, site, e) })
}

// insist reads an object of a site. The error matches ErrCorrupt when it is
// wrong, and when it cannot be read although others can.
func (r *Repository) insist(ctx context.Context, site Site, name string, read func() error) (err error) {
	for range lookTries {
		err = read()
		switch {
		case err == nil, ctx.Err() != nil, errors.Is(err, ErrCorrupt):
			return err
		case errors.Is(err, storage.ErrShort), errors.Is(err, storage.ErrChecksum):
			return &ObjectError{site.Name, name, fmt.Errorf("%w: %w", ErrCorrupt, err)}
		case storage.Permanent(err):
			return err
		}
		if other := r.checkRepository(ctx, site.quiet()); other != nil {
			return errors.Join(err, other)
		}
	}
	return &ObjectError{site.Name, name, fmt.Errorf("%w: it cannot be read, and others can: %w", ErrCorrupt, err)}
}

// checkSame reads an object of a site and compares its digest.
func checkSame(ctx context.Context, site Site, e catalog.Entry) error {
	there, err := site.background().Get(ctx, e.Name, 0, -1)
	if err != nil {
		return err
	}
	digest := sha256.New()
	n, err := io.Copy(digest, io.LimitReader(there, e.Size+1))
	if closeErr := there.Close(); err == nil {
		err = closeErr
	}
	if errors.Is(err, storage.ErrShort) || errors.Is(err, storage.ErrChecksum) {
		err = fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	if err != nil {
		return &ObjectError{site.Name, e.Name, err}
	}
	if n != e.Size || Digest(digest.Sum(nil)) != e.SHA256 {
		return &ObjectError{site.Name, e.Name, fmt.Errorf("%w: it has other bytes than it must", ErrCorrupt)}
	}
	return nil
}

// putObject writes a small object that no outbox knows.
func putObject(ctx context.Context, site Site, name string, body []byte) error {
	_, err := putBody(ctx, site.Store, site.Name, catalog.Entry{
		Kind: catalog.KindKey, Name: name, Size: int64(len(body)), SHA256: sum(body),
	}, bytes.NewReader(body))
	return err
}
