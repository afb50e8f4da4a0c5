package dir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/saypro/backupd/internal/storage"
)

// Put implements [storage.Store]. The object appears under its name at once
// and whole, after its bytes and before its name are on the disk.
func (s *Store) Put(ctx context.Context, obj storage.Object) error {
	if err := s.put(ctx, obj); err != nil {
		return s.fail(ctx, "put", obj.Name, err)
	}
	return nil
}

func (s *Store) put(ctx context.Context, obj storage.Object) error {
	body, err := storage.NewBody(obj)
	if err != nil {
		return err
	}
	if err := errors.Join(ctx.Err(), s.present(), obj.Retention.Check()); err != nil {
		return err
	}
	if obj.Retention != (storage.Retention{}) {
		return fmt.Errorf("%w: a directory cannot protect objects from deletion", storage.ErrUnsupported)
	}
	s.traffic.Wrote()
	final := s.file(obj.Name)
	if _, err := os.Lstat(final); err == nil {
		return storage.ErrExists
	}
	for _, folder := range []string{s.temp, filepath.Dir(final)} {
		if err := makeDir(folder, s.path); err != nil {
			return err
		}
	}
	temp, err := s.write(ctx, s.traffic.Sending(body))
	if err != nil {
		return err
	}
	// Once the name is given the temporary one is only a second link, and one
	// that stays is removed when the site is opened.
	defer func() { _ = os.Remove(temp) }()
	if err := publish(temp, final); err != nil {
		return err
	}
	return syncDir(filepath.Dir(final))
}

// write stores the body under a temporary name, safe against a loss of power.
func (s *Store) write(ctx context.Context, body io.Reader) (name string, err error) {
	f, err := os.CreateTemp(s.temp, "put-*")
	if err != nil {
		return "", err
	}
	defer func() {
		err = errors.Join(err, f.Close())
		if err != nil {
			_ = os.Remove(f.Name()) // or later, when the site is opened
		}
	}()
	// CreateTemp allows the owner only; an object is readable as the umask
	// lets any new file be.
	if err := f.Chmod(0o640); err != nil {
		return "", err
	}
	if _, err := io.Copy(f, &guarded{ctx: ctx, r: body}); err != nil {
		return "", err
	}
	return f.Name(), f.Sync()
}

// guarded ends reading when its context does.
type guarded struct {
	ctx context.Context
	r   io.Reader
}

func (g *guarded) Read(p []byte) (int, error) {
	if err := g.ctx.Err(); err != nil {
		return 0, err
	}
	return g.r.Read(p)
}

// publish gives the file its final name unless that is taken, in which case
// the error matches [storage.ErrExists]. Both link and rename-without-
// overwrite are atomic; some file systems have only one of them.
func publish(temp, final string) error {
	err := os.Link(temp, final)
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOTSUP) || errors.Is(err, syscall.ENOSYS) {
		err = renameNew(temp, final)
	}
	switch {
	case errors.Is(err, fs.ErrExist):
		return storage.ErrExists
	case errors.Is(err, errors.ErrUnsupported):
		return fmt.Errorf("%w: neither link nor rename without overwriting", storage.ErrUnsupported)
	}
	return err
}

// makeDir makes the folder and what is missing above it, up to root, and sees
// to it that the new names survive a loss of power.
func makeDir(folder, root string) error {
	if info, err := os.Stat(folder); err == nil && info.IsDir() {
		return nil
	}
	if folder != root {
		if err := makeDir(filepath.Dir(folder), root); err != nil {
			return err
		}
	}
	if err := os.Mkdir(folder, 0o750); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(filepath.Dir(folder))
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	err = d.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		return nil // shares that have no notion of it
	}
	return err
}

func wrap(sentinel, err error) error {
	return fmt.Errorf("%w: %w", sentinel, err)
}
