package repository

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/saypro/backupd/internal/crash"
)

// spool is the directory where objects wait until every site has them.
type spool struct {
	dir string
	max int64 // bytes; 0: no bound
	// packTarget is the size at which a pack is closed, and the room that is set
	// aside for each file that is being written.
	packTarget int64

	mu   sync.Mutex
	used int64            // bytes of finished files
	open map[string]int64 // room set aside for files that are being written
}

// openSpool makes the directory and removes what a crash left half written.
func openSpool(dir string, most, target int64) (*spool, error) {
	s := &spool{dir: dir, max: most, packTarget: cmp.Or(target, packTarget), open: map[string]int64{}}
	if err := os.RemoveAll(s.temporary()); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSpool, err)
	}
	if err := os.MkdirAll(s.temporary(), 0o700); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSpool, err)
	}
	return s, nil
}

func (s *spool) temporary() string { return filepath.Join(s.dir, "tmp") }

// path returns where an object waits. Names are flattened: the spool is small.
func (s *spool) path(name string) string { return filepath.Join(s.dir, flatten(name)) }

func flatten(name string) string {
	b := []byte(name)
	for i, c := range b {
		if c == '/' {
			b[i] = '+'
		}
	}
	return string(b)
}

func unflatten(file string) string {
	b := []byte(file)
	for i, c := range b {
		if c == '+' {
			b[i] = '/'
		}
	}
	return string(b)
}

func (s *spool) create() (*os.File, error) {
	f, err := os.CreateTemp(s.temporary(), "pack-*")
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSpool, err)
	}
	crash.Point(crash.SpoolCreated)
	s.setAside(f.Name(), s.packTarget)
	return f, nil
}

// discard drops a file that will not be finished, and with it the space that
// it takes. What cannot be removed now is at the next start.
func (s *spool) discard(f *os.File) {
	_ = f.Close() // it may be closed already
	_ = os.Remove(f.Name())
	s.setAside(f.Name(), 0)
}

// keep makes a finished file durable under the name of its object; one that
// cannot be is dropped.
func (s *spool) keep(f *os.File, name string) error {
	crash.Point(crash.SpoolWritten)
	err := f.Sync()
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		crash.Point(crash.SpoolSynced)
		err = os.Rename(f.Name(), s.path(name))
	}
	if err == nil {
		crash.Point(crash.SpoolRenamed)
		err = syncDir(s.dir)
	}
	if err != nil {
		s.discard(f)
		return fmt.Errorf("%w: %s: %w", ErrSpool, name, err)
	}
	s.setAside(f.Name(), 0)
	return s.account(name, 1)
}

// put writes a whole small object durably.
func (s *spool) put(name string, body []byte) error {
	f, err := s.create()
	if err != nil {
		return err
	}
	if _, err := f.Write(body); err != nil {
		s.discard(f)
		return fmt.Errorf("%w: %s: %w", ErrSpool, name, err)
	}
	return s.keep(f, name)
}

func (s *spool) remove(name string) error {
	err := s.account(name, -1)
	if err == nil {
		err = os.Remove(s.path(name))
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %w", ErrSpool, err)
	}
	return nil
}

// sweep removes objects that no outbox waits for: what a crash left between
// the writing of an object and its place in the catalog, or between its last
// acknowledgement and its removal.
func (s *spool) sweep(waiting func(name string) (bool, error)) error {
	files, err := os.ReadDir(s.dir)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSpool, err)
	}
	for _, f := range files {
		if f.IsDir() {
			continue
		}
		name := unflatten(f.Name())
		keep, err := waiting(name)
		if err != nil {
			return err
		}
		if keep {
			if err := s.account(name, 1); err != nil {
				return err
			}
			continue
		}
		if err := os.Remove(s.path(name)); err != nil {
			return fmt.Errorf("%w: %w", ErrSpool, err)
		}
		crash.Point(crash.SpoolSwept)
	}
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if closeErr := d.Close(); err == nil {
		err = closeErr
	}
	return err
}
