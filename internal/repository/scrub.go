package repository

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/crash"
	"github.com/saypro/backupd/internal/storage"
)

// ScrubOptions say what a scrub reads.
type ScrubOptions struct {
	Sites []string // all when empty
	// Every: what was read longer ago than that is due; with 0 everything is.
	Every time.Duration
	// Budget is how many bytes are read of each site, those that were not read
	// for longest first, whether they are due or not. 0: all that is due.
	Budget int64
	All    bool // everything, whether due or not
	// Patience is how long a site may fail while what is wrong there is mended.
	Patience time.Duration
}

// Scrubbed is what a scrub did at one site.
type Scrubbed struct {
	Objects int   `json:"objects"` // read
	Bytes   int64 `json:"bytes"`
	// Bad had other bytes than they must, Missing were not there, Mended were
	// put right and read again.
	Bad     int `json:"bad"`
	Missing int `json:"missing"`
	Mended  int `json:"mended"`
	// Wrong are objects that could not be put right.
	Wrong []WrongObject `json:"wrong,omitempty"`
	// Unread is what the site holds and for how long some of it has not been
	// read.
	Unread Unread `json:"unread"`
	// Error says why not all that was to be read could be.
	Error string `json:"error,omitempty"`
}

// WrongObject is an object that a site holds wrongly, or not at all, and that
// could not be put right.
type WrongObject struct {
	Object string `json:"object"`
	Detail string `json:"detail"`
	// Lost: no site and no spool has it. Snapshots are those that need it; they
	// cannot be restored whole from the site, and when it is lost from nowhere.
	Lost      bool     `json:"lost,omitempty"`
	Snapshots []string `json:"snapshots,omitempty"`
}

// ScrubProgress tells how far a scrub of one site has come.
type ScrubProgress struct {
	Site string
	// Done of Total bytes are read. While Mending, they are objects.
	Done, Total int64
	Mending     bool
}

// Scrub reads objects of sites and compares all their bytes with what they must
// be, those that were not read for longest first. What is missing or wrong is
// queued for its site, put right by the uploads, which must run, from the spool
// or another site, and read again. A site that cannot be read is an error that
// keeps nothing from the others.
func (r *Repository) Scrub(ctx context.Context, o ScrubOptions, tick func(ScrubProgress)) (map[string]Scrubbed, error) {
	sites, err := r.choose(o.Sites)
	if err != nil {
		return nil, err
	}
	out := map[string]Scrubbed{}
	var mu sync.Mutex
	var group sync.WaitGroup
	var failed []error
	for _, site := range sites {
		group.Go(func() {
			s := r.scrubber(site.quiet(), tick)
			err := s.run(ctx, o)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				s.out.Error = err.Error()
			}
			out[site.Name] = s.out
			failed = append(failed, err)
		})
	}
	group.Wait()
	return out, errors.Join(failed...)
}

// scrubber reads objects of one site.
type scrubber struct {
	*Repository
	site Site
	tick func(ScrubProgress)

	mu       sync.Mutex
	out      Scrubbed
	good     map[time.Time][]string // read and right, not noted yet, by the second
	suspects map[string]struct{}    // found to be missing or wrong
	progress ScrubProgress
}

func (r *Repository) scrubber(site Site, tick func(ScrubProgress)) *scrubber {
	return &scrubber{
		Repository: r, site: site, tick: tick, suspects: map[string]struct{}{}, good: map[time.Time][]string{},
		progress: ScrubProgress{Site: site.Name},
	}
}

// run reads what the options ask for, sees to what is wrong, and says what was
// not read for longest then.
func (s *scrubber) run(ctx context.Context, o ScrubOptions) error {
	err := s.checkConfig(ctx)
	if err == nil {
		err = s.readAll(ctx, o)
	}
	err = errors.Join(err, s.takeUp())
	if len(s.suspects) > 0 && ctx.Err() == nil {
		err = errors.Join(err, s.settle(ctx, o.Patience))
	}
	err = errors.Join(err, s.recall())
	unread, unreadErr := s.Unread(s.site.Name)
	s.out.Unread = unread
	return errors.Join(err, unreadErr)
}

// takeUp adds to the suspects what was found to be wrong earlier and is being
// put right now: by a scrub that was cut short, or by a comparison.
func (s *scrubber) takeUp() error {
	faults, err := s.catalog.Faults(s.site.Name)
	for _, f := range faults {
		waits, waitsErr := s.catalog.Waits(s.site.Name, f.Name)
		if err = errors.Join(err, waitsErr); waits {
			s.suspects[f.Name] = struct{}{}
		}
	}
	return err
}

// recall adds what is known to be wrong at the site from earlier to the answer.
func (s *scrubber) recall() error {
	faults, err := s.catalog.Faults(s.site.Name)
	for _, f := range faults {
		named := slices.ContainsFunc(s.out.Wrong, func(w WrongObject) bool { return w.Object == f.Name })
		if !named {
			err = errors.Join(err, s.stillWrong(f.Name, f.Detail, f.Lost))
		}
	}
	return err
}

// scrubParallel is how many objects of a site are read at once.
const scrubParallel = 3

// noteStep is how many objects are read before that is noted.
const noteStep = 256

// readAll reads what the options ask for: everything in the order of the names,
// or what was not read for longest.
func (s *scrubber) readAll(ctx context.Context, o ScrubOptions) error {
	until := s.clock.Now().Add(-o.Every)
	switch {
	case o.Budget > 0:
		until = s.clock.Now()
	case o.All || o.Every == 0:
		return s.readEverything(ctx)
	}
	return s.readOldest(ctx, chosen{until: until, budget: o.Budget, faulty: true})
}

func (s *scrubber) readEverything(ctx context.Context) error {
	err := s.catalog.EachHolding(s.site.Name, func(h catalog.Holding) error {
		s.progress.Total += h.Size
		return ctx.Err()
	})
	var page []catalog.Holding
	if err == nil {
		err = s.catalog.EachHolding(s.site.Name, func(h catalog.Holding) error {
			if page = append(page, h); len(page) < noteStep {
				return nil
			}
			err := s.readThese(ctx, page)
			page = page[:0]
			return err
		})
	}
	if err != nil {
		return err
	}
	return s.readThese(ctx, page)
}

// readThese reads some objects and notes those that are right, also when it is
// cut short.
func (s *scrubber) readThese(ctx context.Context, holdings []catalog.Holding) error {
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(scrubParallel)
	for _, h := range holdings {
		group.Go(func() error { return s.read(groupCtx, h) })
	}
	err := group.Wait()
	return errors.Join(err, s.note())
}

// read reads one object. An error is one of the site; what is wrong with the
// object is put on record.
func (s *scrubber) read(ctx context.Context, h catalog.Holding) error {
	began := s.clock.Now()
	err := s.look(ctx, s.site, h.Entry)
	if errors.Is(err, ErrCorrupt) || errors.Is(err, storage.ErrNotFound) {
		err = s.look(ctx, s.site, h.Entry) // twice, before it is believed
	}
	wrong := errors.Is(err, ErrCorrupt) || errors.Is(err, storage.ErrNotFound)
	if err != nil && !wrong {
		return err
	}
	s.seen(h, began, err == nil)
	if wrong {
		return s.suspect(ctx, h.Name, err)
	}
	return nil
}

// seen counts an object that was read.
func (s *scrubber) seen(h catalog.Holding, at time.Time, good bool) {
	s.mu.Lock()
	s.out.Objects++
	s.out.Bytes += h.Size
	s.progress.Done += h.Size
	progress := s.progress
	if good {
		second := at.Truncate(time.Second)
		s.good[second] = append(s.good[second], h.Name)
	}
	s.mu.Unlock()
	s.tick(progress)
}

// suspect queues an object that is missing or wrong for the site again. One
// that is being deleted, or was forgotten meanwhile, need not be there.
func (s *scrubber) suspect(ctx context.Context, name string, why error) error {
	// A site without the repository has lost more than this object.
	if err := s.checkRepository(ctx, s.site); err != nil {
		return err
	}
	queued, err := s.catalog.Doubt(catalog.Fault{
		Site: s.site.Name, Name: name, Since: s.clock.Now().UTC(), Detail: detailOf(why), Found: "scrub",
	})
	if err == nil && !queued {
		queued, err = s.catalog.Waits(s.site.Name, name)
	}
	if err != nil || !queued {
		return err
	}
	crash.Point(crash.ScrubDoubted)
	s.log.Error("scrub: an object is missing or wrong", "site", s.site.Name, "object", name, "error", why)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.suspects[name] = struct{}{}
	s.count(why)
	s.wake()
	return nil
}

func (s *scrubber) count(why error) {
	if errors.Is(why, storage.ErrNotFound) {
		s.out.Missing++
		return
	}
	s.out.Bad++
}

func detailOf(err error) string {
	if errors.Is(err, storage.ErrNotFound) {
		return "missing"
	}
	var object *ObjectError
	if errors.As(err, &object) {
		return object.Err.Error()
	}
	return err.Error()
}

// note puts on record what was read and right.
func (s *scrubber) note() error {
	s.mu.Lock()
	good := s.good
	s.good = map[time.Time][]string{}
	s.mu.Unlock()
	for at, names := range good {
		if err := s.catalog.NoteRead(s.site.Name, names, at); err != nil {
			return fmt.Errorf("note what was read of site %s: %w", s.site.Name, err)
		}
		crash.Point(crash.ScrubNoted)
	}
	return nil
}
