// Package dir keeps a site in a directory: a disk, a mounted share. Each object
// is one file of the same name, so that the site can be copied, compared and
// looked at with the tools of the system.
package dir

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/saypro/backupd/internal/clock"
	"github.com/saypro/backupd/internal/storage"
)

// Options says where the site is.
type Options struct {
	Site string // name in the configuration, for errors
	Path string // must exist: a share that is not mounted must not be filled up
	// Prefix is the folder in Path that holds the objects; may be empty.
	Prefix string
	// Traffic counts the operations on the site; nil: they are not counted.
	Traffic *storage.Traffic
}

// Store is a site in a directory. It implements [storage.Store].
type Store struct {
	site string
	path string // what must exist
	root string // path and prefix
	temp string // half-written files, on the same file system

	traffic *storage.Traffic
}

// tempDir begins with a dot, which no object's name does.
const tempDir = ".tmp"

// abandoned is the age at which a half-written file belongs to nobody any
// more: it was left by a process that died.
const abandoned = 24 * time.Hour

// Open checks the options and removes what puts that died have left. It does
// not need the directory to be there; an operation finds out and returns an
// error that matches [storage.ErrNoBucket].
func Open(o Options) (*Store, error) {
	fail := func(err error, hint string) error {
		return &storage.Error{Site: o.Site, Op: "open", Err: err, Hint: hint}
	}
	if !filepath.IsAbs(o.Path) {
		return nil, fail(storage.ErrInvalid, "path must be absolute, it is "+o.Path)
	}
	prefix := strings.Trim(o.Prefix, "/")
	if err := storage.CheckPrefix(prefix); err != nil {
		return nil, fail(err, "prefix may hold letters, digits and - _ . = + @ between slashes")
	}
	root := filepath.Join(o.Path, filepath.FromSlash(prefix))
	s := &Store{site: o.Site, path: o.Path, root: root, temp: filepath.Join(root, tempDir), traffic: o.Traffic}
	s.removeAbandoned(clock.System.Now())
	return s, nil
}

// removeAbandoned frees room only, so a failure of it is none of the site.
func (s *Store) removeAbandoned(now time.Time) {
	entries, _ := os.ReadDir(s.temp)
	for _, e := range entries {
		if info, err := e.Info(); err == nil && now.Sub(info.ModTime()) > abandoned {
			_ = os.Remove(filepath.Join(s.temp, e.Name()))
		}
	}
}

func (s *Store) file(name string) string {
	return filepath.Join(s.root, filepath.FromSlash(name))
}

// Get implements [storage.Store].
func (s *Store) Get(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	r, err := s.get(ctx, name, offset, length)
	if err != nil {
		return nil, s.fail(ctx, "get", name, err)
	}
	return r, nil
}

func (s *Store) get(ctx context.Context, name string, offset, length int64) (*reader, error) {
	if err := errors.Join(storage.CheckName(name), storage.CheckRange(offset, length), ctx.Err()); err != nil {
		return nil, err
	}
	s.traffic.Asked()
	f, info, err := openRegular(s.file(name))
	if err != nil {
		return nil, err
	}
	if length == -1 {
		length = info.Size() - offset
	}
	if length < 0 || offset+length > info.Size() {
		_ = f.Close() // only read
		return nil, storage.ErrShort
	}
	return &reader{
		s: s, ctx: ctx, name: name, f: f,
		section: s.traffic.Receiving(io.NewSectionReader(f, offset, length)), left: length,
	}, nil
}

func openRegular(path string) (*os.File, fs.FileInfo, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fs.ErrNotExist
	}
	if err != nil {
		_ = f.Close() // only read
		return nil, nil, err
	}
	return f, info, nil
}

// reader reads a range of an object.
type reader struct {
	s       *Store
	ctx     context.Context
	name    string
	f       *os.File
	section io.Reader
	left    int64
}

func (r *reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, r.s.fail(r.ctx, "get", r.name, err)
	}
	n, err := r.section.Read(p)
	r.left -= int64(n)
	switch {
	case err == io.EOF && r.left > 0:
		return n, r.s.fail(r.ctx, "get", r.name, storage.ErrShort)
	case err != nil && err != io.EOF:
		return n, r.s.fail(r.ctx, "get", r.name, err)
	}
	return n, err
}

func (r *reader) Close() error { return r.f.Close() }

// Stat implements [storage.Store].
func (s *Store) Stat(ctx context.Context, name string) (storage.Info, error) {
	if err := errors.Join(storage.CheckName(name), ctx.Err()); err != nil {
		return storage.Info{}, s.fail(ctx, "stat", name, err)
	}
	s.traffic.Asked()
	info, err := os.Stat(s.file(name))
	if err == nil && !info.Mode().IsRegular() {
		err = fs.ErrNotExist
	}
	if err != nil {
		return storage.Info{}, s.fail(ctx, "stat", name, err)
	}
	return storage.Info{Name: name, Size: info.Size()}, nil
}

// Delete implements [storage.Store]. Folders stay, because removing one could
// cross a Put that has just made sure of it.
func (s *Store) Delete(ctx context.Context, name string) error {
	if err := errors.Join(storage.CheckName(name), ctx.Err()); err != nil {
		return s.fail(ctx, "delete", name, err)
	}
	s.traffic.Deleted()
	file := s.file(name)
	err := os.Remove(file)
	if err == nil {
		err = syncDir(filepath.Dir(file))
	}
	if isMissing(err) {
		if err = s.present(); err == nil {
			return nil
		}
	}
	if err != nil {
		return s.fail(ctx, "delete", name, err)
	}
	return nil
}

// present tells whether the directory of the site is there.
func (s *Store) present() error {
	info, err := os.Stat(s.path)
	switch {
	case isMissing(err), err == nil && !info.IsDir():
		return storage.ErrNoBucket
	default:
		return err
	}
}

func isMissing(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// fail gives an error of the file system the meaning that the contract has for
// it.
func (s *Store) fail(ctx context.Context, op, name string, err error) error {
	e := &storage.Error{Site: s.site, Op: op, Name: name, Err: err}
	switch {
	case ctx.Err() != nil:
		e.Err = ctx.Err()
	case isMissing(err):
		if gone := s.present(); gone != nil {
			return s.fail(ctx, op, name, gone)
		}
		if op != "put" {
			e.Err = storage.ErrNotFound
		}
	case errors.Is(err, storage.ErrNoBucket):
		e.Hint = "make the directory " + s.path + " or mount what belongs there"
	case errors.Is(err, fs.ErrPermission):
		e.Err, e.Hint = wrap(storage.ErrDenied, err), "the user of backupd needs to read and write "+s.path
	case errors.Is(err, syscall.EROFS):
		e.Err, e.Hint = wrap(storage.ErrDenied, err), s.path+" is mounted read-only"
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		e.Hint = "free room on the file system of " + s.path
	}
	return e
}
