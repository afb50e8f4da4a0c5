package repository

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/saypro/backupd/internal/crash"
)

// ErrSpoolFull means that as much waits in the spool as may, and that no site
// has any of it.
var ErrSpoolFull = fmt.Errorf("%w: it is full", ErrSpool)

// roomPatience is how long a capture waits for room while sites take their
// copies without any getting free.
const roomPatience = 10 * time.Minute

// setAside notes that a file is being written that may become so long; 0 ends
// it.
func (s *spool) setAside(file string, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if bytes == 0 {
		delete(s.open, file)
		return
	}
	s.open[file] = bytes
}

// account adds the length of a finished file, or takes it off.
func (s *spool) account(name string, sign int64) error {
	info, err := os.Stat(s.path(name))
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used += sign * info.Size()
	return nil
}

// lacks returns how many bytes must go before n more fit.
func (s *spool) lacks(n int64) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.max == 0 {
		return 0
	}
	total := s.used + n
	for _, aside := range s.open {
		total += aside
	}
	return max(0, total-s.max)
}

// makeRoom returns when n more bytes fit into the spool. What a site has
// already leaves it first: the other sites can be given it from there. When
// that is not enough a capture waits for the sites that take their copies; when
// none does it fails, and nothing is dropped that no site has.
func (r *Repository) makeRoom(ctx context.Context, n int64) error {
	until := r.clock.Now().Add(roomPatience)
	for {
		change := r.uploads.change()
		if err := r.evict(r.spool.lacks(n)); err != nil {
			return err
		}
		if r.spool.lacks(n) == 0 {
			return nil
		}
		if err := r.noRoom(); err != nil || r.clock.Now().After(until) {
			return errors.Join(err, fmt.Errorf("%w: %d bytes may wait in %s", ErrSpoolFull, r.spool.max, r.spool.dir))
		}
		if err := r.pause(ctx, change); err != nil {
			return err
		}
	}
}

// noRoom says why waiting for room is of no use: every site fails.
func (r *Repository) noRoom() error {
	var why []string
	for _, site := range r.sites {
		f, failing := r.uploads.failure(site.Name)
		if !failing {
			return nil
		}
		why = append(why, fmt.Sprintf("site %s since %s: %v", site.Name, f.since.UTC().Format(time.RFC3339), f.err))
	}
	return fmt.Errorf("no site takes its copies, so nothing may leave the spool; "+
		"bring one back or raise spool.max_bytes (%s)", strings.Join(why, "; "))
}

// evict removes spooled objects that some site has, the oldest first, until so
// many bytes are free.
func (r *Repository) evict(bytes int64) error {
	if bytes <= 0 || len(r.sites) < 2 {
		return nil
	}
	files, err := r.spool.oldestFirst()
	if err != nil {
		return err
	}
	for _, f := range files {
		if bytes <= 0 {
			return nil
		}
		name := unflatten(f.Name())
		held, err := r.catalog.HeldBySome(name, r.reachable())
		if err != nil {
			return err
		}
		if !held {
			continue
		}
		if err := r.spool.remove(name); err != nil {
			return err
		}
		crash.Point(crash.SpoolEvicted)
		bytes -= f.Size()
	}
	return nil
}

// reachable returns the sites that do not fail now: a copy that only a site
// holds that is away would be out of reach.
func (r *Repository) reachable() []string {
	var out []string
	for _, site := range r.sites {
		if _, failing := r.uploads.failure(site.Name); !failing {
			out = append(out, site.Name)
		}
	}
	return out
}

// oldestFirst returns the finished files.
func (s *spool) oldestFirst() ([]fs.FileInfo, error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSpool, err)
	}
	var out []fs.FileInfo
	for _, e := range entries {
		if e.IsDir() {
			continue
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // it has left meanwhile
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrSpool, err)
		}
		out = append(out, info)
	}
	slices.SortFunc(out, func(a, b fs.FileInfo) int { return cmp.Compare(a.ModTime().UnixNano(), b.ModTime().UnixNano()) })
	return out, nil
}

// Spool tells how much waits in the spool, and how much may; 0 is no bound.
func (r *Repository) Spool() (used, most int64) {
	r.spool.mu.Lock()
	defer r.spool.mu.Unlock()
	return r.spool.used, r.spool.max
}
