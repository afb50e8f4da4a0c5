package dir

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/saypro/backupd/internal/storage"
)

// List implements [storage.Store].
func (s *Store) List(ctx context.Context, prefix, after string, fn func(storage.Info) error) error {
	if err := errors.Join(storage.CheckPrefix(prefix), ctx.Err(), s.present()); err != nil {
		return s.fail(ctx, "list", prefix, err)
	}
	s.traffic.Wrote()
	l := listing{prefix: prefix, after: after, fn: fn}
	err := l.folder(ctx, s.root, "")
	if err == nil || l.stopped != nil {
		return l.stopped
	}
	return s.fail(ctx, "list", prefix, err)
}

type listing struct {
	prefix, after string
	fn            func(storage.Info) error
	stopped       error // by fn
}

// folder lists what is below one folder, whose name is empty or ends in a
// slash. Sorting folders by their name with the slash gives the order of the
// whole names: "a-b" comes before "a/b" although "a" comes before "a-b".
func (l *listing) folder(ctx context.Context, path, name string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	entries, err := os.ReadDir(path)
	if isMissing(err) {
		return nil
	}
	if err != nil {
		return err
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		switch {
		case strings.HasPrefix(e.Name(), "."):
		case e.IsDir():
			names = append(names, name+e.Name()+"/")
		case e.Type().IsRegular():
			names = append(names, name+e.Name())
		}
	}
	slices.Sort(names)
	for _, n := range names {
		if err := l.entry(ctx, path, n); err != nil {
			return err
		}
	}
	return nil
}

func (l *listing) entry(ctx context.Context, path, name string) error {
	child := filepath.Join(path, filepath.Base(name))
	if strings.HasSuffix(name, "/") {
		if !l.mayHold(name) {
			return nil
		}
		return l.folder(ctx, child, name)
	}
	if !strings.HasPrefix(name, l.prefix) || name <= l.after {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	info, err := os.Lstat(child)
	if isMissing(err) {
		return nil
	}
	if err != nil {
		return err
	}
	l.stopped = l.fn(storage.Info{Name: name, Size: info.Size()})
	return l.stopped
}

// mayHold tells whether a folder can hold any of the names that are wanted.
func (l *listing) mayHold(folder string) bool {
	if !strings.HasPrefix(folder, l.prefix) && !strings.HasPrefix(l.prefix, folder) {
		return false
	}
	return folder > l.after || strings.HasPrefix(l.after, folder)
}
