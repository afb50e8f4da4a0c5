package repository

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/storage"
)

// Problem is one thing that is wrong with a snapshot's copy at a site.
type Problem struct {
	Object string `json:"object"`
	Detail string `json:"detail"`
}

func (p Problem) String() string { return p.Object + ": " + p.Detail }

// Checked says how much was looked at.
type Checked struct {
	Objects int   `json:"objects"`
	Bytes   int64 `json:"bytes"`
	Chunks  int64 `json:"chunks"`
}

// checkParallel is how many objects of a site are looked at at once.
const checkParallel = 4

// CheckPresent is level L0: every object that the snapshot is made of is at the
// site and has the right size.
func (r *Repository) CheckPresent(ctx context.Context, s *Snapshot, site string) (Checked, []Problem, error) {
	place, record, err := r.siteAndRecord(s, site)
	if err != nil {
		return Checked{}, nil, err
	}
	keys, err := r.keysAt(site)
	if err != nil {
		return Checked{}, nil, err
	}
	type object struct {
		name string
		size int64
	}
	objects := []object{
		{configName, int64(len(r.config))},
		{record.Commit, record.CommitSize},
	}
	for _, k := range keys {
		objects = append(objects, object{k.Name, k.Size})
	}
	for _, p := range s.Packs {
		objects = append(objects, object{catalog.PackName(p.SHA256), p.Size})
	}
	problems := make([]*Problem, len(objects))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(2 * checkParallel)
	for i, o := range objects {
		group.Go(func() error {
			info, err := place.Store.Stat(ctx, o.name)
			switch {
			case errors.Is(err, storage.ErrNotFound):
				problems[i] = &Problem{o.name, "missing"}
			case err != nil:
				return err
			case info.Size != o.size:
				problems[i] = &Problem{o.name, fmt.Sprintf("%d bytes instead of %d", info.Size, o.size)}
			}
			return nil
		})
	}
	err = group.Wait()
	return Checked{Objects: len(objects)}, compact(problems), err
}

func compact(problems []*Problem) []Problem {
	var out []Problem
	for _, p := range problems {
		if p != nil {
			out = append(out, *p)
		}
	}
	return out
}

func (r *Repository) siteAndRecord(s *Snapshot, site string) (Site, *catalog.Snapshot, error) {
	if err := r.mayCheck(); err != nil {
		return Site{}, nil, err
	}
	place, err := r.Site(site)
	if err != nil {
		return Site{}, nil, err
	}
	record, err := r.catalog.Snapshot(s.ID)
	return place, record, err
}

// Fetch is level L1: it reads every object of the snapshot from the site and
// compares its digest. The packs that are right are kept in dir, so that what
// follows need not read them again. tick is called with the bytes of each
// object.
func (r *Repository) Fetch(ctx context.Context, s *Snapshot, site, dir string, tick func(int64)) (Checked, []Problem, error) {
	place, record, err := r.siteAndRecord(s, site)
	if err != nil {
		return Checked{}, nil, err
	}
	small, err := r.keysAt(site)
	if err != nil {
		return Checked{}, nil, err
	}
	small = append(small, catalog.Object{Name: configName, SHA256: sum(r.config)},
		catalog.Object{Name: record.Commit, SHA256: record.CommitSHA256})
	began := r.clock.Now()
	done := Checked{Objects: len(small) + len(s.Packs)}
	problems := make([]*Problem, done.Objects)
	for i, o := range small {
		b, err := readObject(ctx, place, o.Name, maxCommit)
		if problems[i], err = wrongBytes(o.Name, err); err != nil {
			return done, nil, err
		}
		if problems[i] == nil && sum(b) != o.SHA256 {
			problems[i] = &Problem{o.Name, "its bytes are not those that were written"}
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(checkParallel)
	for i, p := range s.Packs {
		done.Bytes += p.Size
		group.Go(func() error {
			name := catalog.PackName(p.SHA256)
			err := fetchPack(ctx, place, name, p, filepath.Join(dir, flatten(name)))
			tick(p.Size)
			problems[len(small)+i], err = wrongBytes(name, err)
			return err
		})
	}
	if err = group.Wait(); err == nil {
		err = r.noteFetched(s, site, small, problems, began)
	}
	return done, compact(problems), err
}

// noteFetched notes which objects were read whole and are right.
func (r *Repository) noteFetched(s *Snapshot, site string, small []catalog.Object, problems []*Problem, began time.Time) error {
	var right []string
	for i, problem := range problems {
		switch {
		case problem != nil:
		case i < len(small):
			right = append(right, small[i].Name)
		default:
			right = append(right, catalog.PackName(s.Packs[i-len(small)].SHA256))
		}
	}
	if err := r.catalog.NoteRead(site, right, began); err != nil {
		return fmt.Errorf("note what was read of site %s: %w", site, err)
	}
	return nil
}

// wrongBytes turns an error that says something of the copy into a problem,
// and leaves those that only say that it could not be looked at.
func wrongBytes(name string, err error) (*Problem, error) {
	if errors.Is(err, storage.ErrNotFound) || errors.Is(err, ErrCorrupt) ||
		errors.Is(err, storage.ErrChecksum) || errors.Is(err, storage.ErrShort) {
		return &Problem{name, err.Error()}, nil
	}
	return nil, err
}

func fetchPack(ctx context.Context, site Site, name string, p PackRef, path string) (err error) {
	body, err := site.Store.Get(ctx, name, 0, -1)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, body.Close()) }()
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, file.Close())
		if err != nil {
			_ = os.Remove(path) // a wrong pack must not be taken for a right one
		}
	}()
	digest := sha256.New()
	n, err := io.Copy(io.MultiWriter(digest, file), io.LimitReader(body, maxPack))
	if err != nil {
		return err
	}
	if Digest(digest.Sum(nil)) != p.SHA256 {
		return &ObjectError{site.Name, name, fmt.Errorf("%w: %d bytes with the digest %x", ErrCorrupt, n, digest.Sum(nil))}
	}
	return nil
}

// CheckReadable is level L2: every chunk of every pack that Fetch kept in dir
// decrypts, decompresses and is the one that its name says, and every stream
// of the snapshot finds all its chunks among them.
func (r *Repository) CheckReadable(ctx context.Context, s *Snapshot, dir string, tick func(int64)) (Checked, []Problem, error) {
	if err := r.mayCheck(); err != nil {
		return Checked{}, nil, err
	}
	local, err := r.ReaderFrom(s, LocalPacks("fetched copy", dir))
	if err != nil {
		return Checked{}, nil, err
	}
	var done Checked
	var problems []Problem
	for name, stream := range streams(s) {
		for run, err := range local.Runs(ctx, stream, copyStep) {
			if err == nil {
				err = local.CopyRun(ctx, run, io.Discard)
			}
			if ctx.Err() != nil {
				return done, problems, ctx.Err()
			}
			if err != nil {
				problems = append(problems, Problem{name, err.Error()})
				break
			}
			done.Chunks += int64(len(run.refs))
			done.Bytes += run.Bytes
			tick(run.Bytes)
		}
	}
	return done, problems, nil
}

// streams yields every stream of a snapshot under a name for people.
func streams(s *Snapshot) map[string]Stream {
	out := make(map[string]Stream, len(s.Tables)+len(s.Streams))
	for _, t := range s.Tables {
		out["table "+t.Name] = t.Data
	}
	for name, stream := range s.Streams {
		out[name] = stream
	}
	return out
}

// LocalPacks returns a place that holds the packs in a directory that Fetch
// has filled.
func LocalPacks(name, dir string) Site { return Site{Name: name, Store: packDir{name, dir}} }

// packDir reads fetched packs. It is no place to write to.
type packDir struct{ name, dir string }

func (d packDir) fail(op, object string, err error) error {
	if os.IsNotExist(err) {
		err = storage.ErrNotFound
	}
	return &storage.Error{Site: d.name, Op: op, Name: object, Err: err}
}

func (d packDir) Get(_ context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	f, err := os.Open(filepath.Join(d.dir, flatten(name)))
	if err != nil {
		return nil, d.fail("get", name, err)
	}
	if length < 0 {
		length = 1<<63 - 1 - offset
	}
	return struct {
		io.Reader
		io.Closer
	}{io.NewSectionReader(f, offset, length), f}, nil
}

func (d packDir) Stat(_ context.Context, name string) (storage.Info, error) {
	info, err := os.Stat(filepath.Join(d.dir, flatten(name)))
	if err != nil {
		return storage.Info{}, d.fail("stat", name, err)
	}
	return storage.Info{Name: name, Size: info.Size()}, nil
}

func (d packDir) Put(_ context.Context, o storage.Object) error {
	return d.fail("put", o.Name, errors.ErrUnsupported)
}

func (d packDir) List(context.Context, string, string, func(storage.Info) error) error {
	return d.fail("list", "", errors.ErrUnsupported)
}

func (d packDir) Delete(_ context.Context, name string) error {
	return d.fail("delete", name, errors.ErrUnsupported)
}
