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

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/crash"
	"github.com/saypro/backupd/internal/storage"
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
		if err := r.evict(ctx, r.spool.lacks(n)); err != nil {
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
func (r *Repository) evict(ctx context.Context, bytes int64) error {
	if bytes <= 0 || len(r.sites) < 2 {
		return nil
	}
	files, err := r.spool.oldestFirst()
	if err != nil {
		return err
	}
	sites := r.reachable()
	for _, f := range files {
		if bytes <= 0 {
			return nil
		}
		name := unflatten(f.Name())
		held, err := r.held(ctx, &sites, name, f.Size())
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

// heldPatience is how long a capture that needs room waits for a site to say
// that it has an object.
const heldPatience = 5 * time.Second

// held reports whether one of the sites has acknowledged an object and has it
// still: what leaves the spool now may be nowhere else. Sites that do not answer
// are taken out of the list.
func (r *Repository) held(ctx context.Context, sites *[]Site, name string, size int64) (bool, error) {
	for _, site := range slices.Clone(*sites) {
		acknowledged, err := r.catalog.HeldBySome(name, []string{site.Name})
		if err != nil {
			return false, err
		}
		if !acknowledged {
			continue
		}
		info, err := statWithin(ctx, site, name, heldPatience)
		switch {
		case err == nil && info.Size == size:
			return true, nil
		case err == nil, errors.Is(err, storage.ErrNotFound):
			_, err := r.catalog.Doubt(catalog.Fault{
				Site: site.Name, Name: name, Since: r.clock.Now().UTC(), Detail: "missing or of another length", Found: "room",
			})
			if err != nil {
				return false, err
			}
			r.wake()
		default:
			*sites = slices.DeleteFunc(*sites, func(s Site) bool { return s.Name == site.Name })
		}
	}
	return false, ctx.Err()
}

// statWithin asks for an object, and does not wait for a site that does not even
// notice the end of ctx.
func statWithin(ctx context.Context, site Site, name string, patience time.Duration) (storage.Info, error) {
	bounded, cancel := context.WithTimeout(ctx, patience)
	type got struct {
		info storage.Info
		err  error
	}
	answer := make(chan got, 1)
	go func() {
		defer cancel()
		info, err := site.Store.Stat(bounded, name)
		answer <- got{info, err}
	}()
	select {
	case g := <-answer:
		return g.info, g.err
	case <-bounded.Done():
		return storage.Info{}, &ObjectError{site.Name, name, bounded.Err()}
	}
}

// reachable returns the sites that do not fail now: a copy that only a site
// holds that is away would be out of reach.
func (r *Repository) reachable() []Site {
	var out []Site
	for _, site := range r.sites {
		if _, failing := r.uploads.failure(site.Name); !failing {
			out = append(out, site)
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
