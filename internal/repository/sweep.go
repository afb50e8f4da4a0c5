package repository

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/crash"
	"github.com/saypro/backupd/internal/storage"
)

var (
	// ErrFloor means that a snapshot must stay whatever the rules say: it is the
	// last good or the last proven one of its function.
	ErrFloor = errors.New("must not be deleted")
	// ErrNotInStep means that a site is away or lacks something, so that nothing
	// may be deleted anywhere.
	ErrNotInStep = errors.New("not every site is in step")
)

// orphanAge is how long the packs of a capture that failed are kept for the
// next one, which finds in them what it need not store again.
const orphanAge = 7 * 24 * time.Hour / timeScale

// Condemn marks snapshots as no longer needed, each with the reason. They stay
// where they are, and can be restored and spared ([Repository.Hold]), until a
// sweep deletes them. The last good and the last proven snapshot of a function
// are refused with [ErrFloor]; one that is held is left out.
func (r *Repository) Condemn(ctx context.Context, snapshots map[string]string) error {
	if err := r.mayDelete(); err != nil {
		return err
	}
	if len(snapshots) == 0 {
		return nil
	}
	if err := r.checkFloors(snapshots, func(string) bool { return true }); err != nil {
		return err
	}
	return r.condemnSnapshots(ctx, snapshots)
}

func (r *Repository) condemnSnapshots(ctx context.Context, snapshots map[string]string) error {
	m := &mark{Condemn: &condemnMark{Snapshots: snapshots}}
	return r.addMark(ctx, m, func(o catalog.Object) error {
		return r.catalog.Condemn(catalog.Doomed{Snapshots: snapshots}, m.Time, o, r.siteNames())
	})
}

// checkFloors refuses what no policy may ask for, as far as the floors count.
func (r *Repository) checkFloors(snapshots map[string]string, counts func(why string) bool) error {
	seen := map[string]bool{}
	for id := range snapshots {
		s, err := r.catalog.Snapshot(id)
		if err != nil {
			return err
		}
		if seen[s.Function] {
			continue
		}
		seen[s.Function] = true
		floors, err := r.Floors(s.Function)
		if err != nil {
			return err
		}
		for floor, why := range floors {
			if _, doomed := snapshots[floor]; doomed && counts(why) {
				return fmt.Errorf("snapshot %s of %s %w: it is the %s", floor, s.Function, ErrFloor, why)
			}
		}
	}
	return nil
}

// lastGood is what the newest good snapshot of a function is.
const lastGood = "last good one"

// Floors returns the snapshots of a function that must stay whatever is asked
// for, and what each of them is: the "last good one", the "last proven one",
// and while there is a doubt the "last clean one".
func (r *Repository) Floors(function string) (map[string]string, error) {
	out := map[string]string{}
	good, ok, err := r.Newest(function, func(s SnapshotInfo) bool { return s.Holders() > 0 && s.Condemned.IsZero() })
	if err != nil {
		return nil, err
	}
	if ok {
		out[good.ID] = lastGood
	}
	doubt, err := r.Doubt(function)
	if err != nil {
		return nil, err
	}
	if doubt.Clean != nil {
		out[doubt.Clean.ID] = "last clean one"
	}
	var failed error
	err = r.catalog.Proofs(func(p *catalog.Proof) bool {
		if p.Function != function || !p.Passed {
			return true
		}
		var s *catalog.Snapshot
		s, failed = r.catalog.Snapshot(p.Snapshot)
		if errors.Is(failed, catalog.ErrNotFound) {
			failed = nil
			return true // it is gone, and with it what was proven
		}
		var lost bool
		if failed == nil {
			lost, failed = r.givenUpAsLost(s)
		}
		if lost || failed != nil {
			return failed == nil // as good as gone
		}
		out[p.Snapshot] = "last proven one"
		return false
	})
	return out, errors.Join(err, failed)
}

// SweepOptions say how far a sweep goes.
type SweepOptions struct {
	// Grace is how long what nobody needs stays. It must be longer than any
	// capture: one that runs refers to packs that it found when it began.
	Grace time.Duration
	// MaxRewrite is how many bytes of packs that are mostly dead are written
	// anew at most; 0 rewrites nothing.
	MaxRewrite int64
	// DryRun tells what would be done and does nothing.
	DryRun bool
}

// Amount counts objects and their bytes.
type Amount struct {
	Objects int   `json:"objects"`
	Bytes   int64 `json:"bytes"`
}

func (a *Amount) add(bytes int64) {
	a.Objects++
	a.Bytes += bytes
}

// Plus returns both together.
func (a Amount) Plus(more Amount) Amount {
	return Amount{Objects: a.Objects + more.Objects, Bytes: a.Bytes + more.Bytes}
}

// Swept is what a sweep did.
type Swept struct {
	DryRun bool `json:"dry_run"`
	// Condemned are packs and replaced commits that nobody needs since now.
	Condemned Amount `json:"condemned"`
	// Commits and Packs are what was deleted, at every site.
	Commits Amount `json:"deleted_commits"`
	Packs   Amount `json:"deleted_packs"`
	// Strays are packs that nobody knew at the site that held them.
	Strays Amount `json:"deleted_strays"`
	// Rewritten are packs of which little is still needed; Moved is that little,
	// written anew. They go at a later sweep.
	Rewritten Amount `json:"rewritten"`
	Moved     Amount `json:"moved"`
	// Locked objects could go if no site protected them; the last of them is
	// free at LockedUntil.
	Locked      int       `json:"locked"`
	LockedUntil time.Time `json:"locked_until,omitzero"`
}

// Sweep deletes what nobody needs, in two phases that may be days apart: what
// was condemned before Grace, and is not needed after all, is deleted at every
// site, snapshots before what they are made of; then what is not needed now is
// condemned. Nothing is deleted while a site is away or lacks anything: the
// error matches [ErrNotInStep] then. A sweep that is cut short is finished by
// the next.
func (r *Repository) Sweep(ctx context.Context, o SweepOptions, tick func(phase string, done, total int64)) (Swept, error) {
	if tick == nil {
		tick = func(string, int64, int64) {}
	}
	s := sweeper{Repository: r, o: o, tick: tick, now: r.clock.Now()}
	s.out.DryRun = o.DryRun
	if err := r.mayDelete(); err != nil {
		return s.out, err
	}
	if o.Grace <= 0 {
		return s.out, errors.New("a sweep without a time of grace would delete what a running capture refers to")
	}
	s.o.Grace /= timeScale
	r.upkeep.Lock()
	defer r.endUpkeep()
	do := s.run
	if o.DryRun {
		do = s.tell
	}
	err := do(ctx)
	return s.out, err
}

type sweeper struct {
	*Repository
	o    SweepOptions
	tick func(phase string, done, total int64)
	now  time.Time
	out  Swept
}

func (s *sweeper) run(ctx context.Context) error {
	if err := s.lookAtSites(ctx); err != nil {
		return err
	}
	if err := s.restateMarks(ctx); err != nil {
		return err
	}
	if err := s.spareFloors(ctx); err != nil {
		return err
	}
	if err := s.delete(ctx); err != nil {
		return err
	}
	if err := s.deleteStrays(ctx); err != nil {
		return err
	}
	if err := s.condemn(ctx); err != nil {
		return err
	}
	return s.rewrite(ctx)
}

// lookAtSites makes sure that every site holds all that it must, and knows
// nothing that the catalog does not know: a snapshot that somebody else wrote
// may need what is about to be deleted.
func (s *sweeper) lookAtSites(ctx context.Context) error {
	for i, site := range s.sites {
		s.tick("compare", int64(i), int64(len(s.sites)))
		if err := s.checkRepository(ctx, site); err != nil {
			return fmt.Errorf("%w: %w", ErrNotInStep, err)
		}
		found, err := s.compareLocked(ctx, site)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrNotInStep, err)
		}
		for _, p := range found.Problems {
			if strings.HasPrefix(p.Object, evidencePrefix) {
				continue // it needs nothing
			}
			return fmt.Errorf("%w: site %s holds what cannot be understood, and what that needs is not known: %s; "+
				"when no site has it right, delete it there by hand", ErrNotInStep, site.Name, p)
		}
	}
	if err := s.checkAlone(s.o.Grace); err != nil {
		return err
	}
	for _, site := range s.sites {
		backlog, err := s.catalog.Backlog(site.Name)
		if err != nil {
			return err
		}
		faults, err := s.catalog.Faults(site.Name)
		if err != nil {
			return err
		}
		// What no site has comes back from none.
		faults = slices.DeleteFunc(faults, func(f catalog.Fault) bool { return f.Lost })
		if backlog.Objects > 0 || len(faults) > 0 {
			return fmt.Errorf("%w: %d objects wait for site %s and %d are missing or wrong there; run 'backupd sync' and look at 'backupd sites'",
				ErrNotInStep, backlog.Objects, site.Name, len(faults))
		}
	}
	return nil
}

// delete is the second phase for what was condemned long enough ago: commits
// first, at every site, and only then what no commit names any more. So each
// snapshot that a site still claims can be restored from it at any moment.
func (s *sweeper) delete(ctx context.Context) error {
	before := s.now.Add(-s.o.Grace)
	doom, err := s.catalog.DeleteCommits(before, s.now)
	if err != nil {
		return err
	}
	s.locked(doom)
	crash.Point(crash.SweepCommitsDoomed)
	var names []string
	for _, o := range doom.Commits {
		names = append(names, o.Name)
	}
	gone, err := s.deleteEverywhere(ctx, "delete commits", names)
	if err != nil {
		return err
	}
	for _, o := range doom.Commits {
		if gone[o.Name] {
			s.out.Commits.add(o.Size)
		}
	}
	crash.Point(crash.SweepCommitsGone)
	if err := s.catalog.ForgetObjects(slices.Collect(maps.Keys(gone))); err != nil {
		return err
	}
	return s.deletePacks(ctx, before)
}

func (s *sweeper) deletePacks(ctx context.Context, before time.Time) error {
	doom, err := s.catalog.DeletePacks(before, s.now)
	if err != nil {
		return err
	}
	s.locked(doom)
	crash.Point(crash.SweepPacksDoomed)
	var names []string
	for _, p := range doom.Packs {
		names = append(names, catalog.PackName(p.SHA256))
	}
	slices.Sort(names)
	gone, err := s.deleteEverywhere(ctx, "delete packs", names)
	if err != nil {
		return err
	}
	for n, p := range doom.Packs {
		if !gone[catalog.PackName(p.SHA256)] {
			delete(doom.Packs, n)
			continue
		}
		s.out.Packs.add(p.Size)
	}
	crash.Point(crash.SweepPacksGone)
	return s.catalog.ForgetPacks(doom.Packs)
}

// deleteStrays deletes what a site has held for long and nobody knows: packs of
// which no site has a commit. Those that another host has just sent are younger.
func (s *sweeper) deleteStrays(ctx context.Context) error {
	for _, site := range s.sites {
		names, err := s.catalog.Strays(site.Name, s.now.Add(-max(orphanAge, s.o.Grace)))
		if err != nil {
			return err
		}
		for i, name := range names {
			s.tick("delete what nobody knows", int64(i), int64(len(names)))
			if err := s.purge(ctx, site, name); errors.Is(err, storage.ErrLocked) {
				s.stays(ctx, site, name)
				continue
			} else if err != nil {
				return err
			}
			s.out.Strays.add(0)
		}
	}
	return nil
}

func (s *sweeper) locked(d catalog.Doom) {
	s.out.Locked += d.Locked
	if d.Until.After(s.out.LockedUntil) {
		s.out.LockedUntil = d.Until
	}
}

// deleteEverywhere deletes objects at all sites, and in the spool if they are
// there, and returns those that are gone. One that a site protects for longer
// than was known stays, and the next sweep tries again.
func (s *sweeper) deleteEverywhere(ctx context.Context, phase string, names []string) (gone map[string]bool, err error) {
	gone = map[string]bool{}
	for i, name := range names {
		s.tick(phase, int64(i), int64(len(names)))
		gone[name] = true
		for _, site := range s.sites {
			err := s.purge(ctx, site, name)
			if errors.Is(err, storage.ErrLocked) {
				s.stays(ctx, site, name)
				delete(gone, name)
				continue
			}
			if err != nil {
				return gone, err
			}
			crash.Point(crash.SweepDeleted)
		}
		if err := s.spool.remove(name); err != nil {
			return gone, err
		}
	}
	return gone, nil
}

// stays notes that a site does not let go of an object, and until when.
func (s *sweeper) stays(ctx context.Context, site Site, name string) {
	s.out.Locked++
	if there, err := storage.RetentionOf(ctx, site.Store, name); err == nil && there.Until.After(s.out.LockedUntil) {
		s.out.LockedUntil = there.Until
	}
}

// purge deletes an object for good.
func (s *sweeper) purge(ctx context.Context, site Site, name string) error {
	err := storage.Purge(ctx, site.sweeper(), name)
	if errors.Is(err, storage.ErrNotFound) {
		return nil
	}
	if errors.Is(err, storage.ErrDenied) {
		err = fmt.Errorf("%w; the sweep needs a key that may delete: sweeper_access_key of the site", err)
	}
	return err
}

// condemn is the first phase: packs that no kept snapshot needs, and commits
// that another has replaced.
func (s *sweeper) condemn(ctx context.Context) error {
	replaced, err := s.catalog.Switch(s.siteNames())
	if err != nil {
		return err
	}
	crash.Point(crash.SweepSwitched)
	doomed := catalog.Doomed{Commits: replaced}
	m := &mark{Condemn: &condemnMark{Commits: replaced}}
	packs, err := s.unneeded(replaced)
	if err != nil {
		return err
	}
	for _, p := range packs {
		doomed.Packs = append(doomed.Packs, p.Ordinal)
		m.Condemn.Packs = append(m.Condemn.Packs, p.SHA256)
		s.out.Condemned.add(p.Size)
	}
	if len(doomed.Commits)+len(doomed.Packs) == 0 {
		return nil
	}
	return s.addMark(ctx, m, func(o catalog.Object) error {
		crash.Point(crash.SweepMarked)
		return s.catalog.Condemn(doomed, m.Time, o, s.siteNames())
	})
}

// unneeded returns the packs to condemn: not those of captures that run, nor
// those of captures that failed lately.
func (s *sweeper) unneeded(going []string) ([]catalog.Unneeded, error) {
	all, err := s.catalog.Unneeded(going)
	if err != nil {
		return nil, err
	}
	var out []catalog.Unneeded
	for _, p := range all {
		// Of what waits nowhere and was never acknowledged nobody here has made
		// use: it is lost, or was found by a rebuild.
		old := s.now.Sub(p.Since) >= max(orphanAge, s.o.Grace)
		if !p.Orphan || old && !p.Waiting {
			out = append(out, p)
		}
	}
	return out, nil
}

// tell works out what a sweep would do.
func (s *sweeper) tell(ctx context.Context) error {
	spared, err := s.floorsCondemned()
	if err != nil {
		return err
	}
	doom, err := s.catalog.Doomed(s.now.Add(-s.o.Grace), s.now)
	if err != nil {
		return err
	}
	s.locked(doom)
	for _, o := range doom.Commits {
		if !slices.Contains(spared, o.Snapshot) {
			s.out.Commits.add(o.Size)
		}
	}
	for _, p := range doom.Packs {
		s.out.Packs.add(p.Size)
	}
	packs, err := s.unneeded(nil)
	if err != nil {
		return err
	}
	for _, p := range packs {
		s.out.Condemned.add(p.Size)
	}
	return s.rewrite(ctx)
}
