package engine

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"filippo.io/age"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/config"
	"github.com/saypro/backupd/internal/evidence"
	"github.com/saypro/backupd/internal/progress"
	"github.com/saypro/backupd/internal/repository"
	"github.com/saypro/backupd/internal/selection"
	"github.com/saypro/backupd/internal/verify"
)

const (
	// coldPrefix begins the names of the folders of empty hosts.
	coldPrefix = "cold-"
	// coldFarewell is how long an empty host may take to clear up once it was
	// told to end.
	coldFarewell = 2*time.Minute + 30*time.Second
)

// coldKey is an identity that opens a site for a cold start, and whose it is.
type coldKey struct{ identity, whose string }

// coldKey returns the identity given with a request, or the one for drills, or
// the daemon's: then L7 is not proven.
func (e *Engine) coldKey(given string) (coldKey, error) {
	key := coldKey{given, verify.TheEscrows}
	path := e.cfg.Keys.DrillIdentityFile
	switch {
	case given != "":
	case path != "":
		key.whose = verify.TheDrills
	default:
		path, key.whose = e.cfg.Keys.IdentityFile, verify.TheDaemons
	}
	if given == "" {
		text, err := os.ReadFile(path)
		if err != nil {
			return key, fmt.Errorf("%w: the key of a cold start: %w", ErrConfig, err)
		}
		key.identity = string(text)
	}
	ids, err := identitiesIn(key.identity)
	if err != nil {
		return key, err
	}
	own, err := readIdentities(e.cfg.Keys.IdentityFile)
	if err != nil && !errors.Is(err, ErrNotInitialized) {
		return key, err
	}
	key.whose = whoseKey(ids, own, key.whose)
	if key.whose == verify.TheEscrows && e.cfg.Keys.DrillIdentityFile != "" {
		// Whatever file it was given in.
		drills, err := readIdentities(e.cfg.Keys.DrillIdentityFile)
		if err == nil && slices.ContainsFunc(ids, func(id age.Identity) bool {
			return slices.ContainsFunc(drills, func(d age.Identity) bool { return sameIdentity(id, d) })
		}) {
			key.whose = verify.TheDrills
		}
	}
	return key, nil
}

// warn says of a key before a cold start begins that this will not reach L7: it
// measures all the same, and takes hours perhaps.
func (k coldKey) warn(function, site string, report progress.Reporter) {
	if k.whose == verify.TheDaemons {
		report.Report(progress.Event{
			Function: function, Phase: "cold start", Site: site,
			Message: "this cannot reach L7, and fails in the end: it opens with the daemon's own key, which is lost together with this host; " + verify.GiveAnotherKey,
		})
	}
}

// escrowOpened notes, on record, that the escrow's identity opened a site in a cold
// start: what it opens there besides is tried with it, as 'key escrow-test' does. A
// cold start shows that one function comes back; a key of before may not.
func (e *Engine) escrowOpened(ctx context.Context, key coldKey, r verify.Result) {
	if key.whose != verify.TheEscrows || r.Level < "L2" || e.triedLately(key, r.Site) {
		return
	}
	err := e.keyWork(ctx, "escrow-test", func() (evidence.Key, error) {
		out, err := e.testEscrow(ctx, EscrowTestRequest{Identities: key.identity}, nil, r.Site)
		return evidence.Key{Recipients: out.Recipients, Site: r.Site}, err
	})
	if err != nil && ctx.Err() == nil {
		e.log.Error("the escrow's identity made a cold start, and does not open everything at the site", "site", r.Site, "error", err)
	}
}

// whoseKey is the daemon's when it is one of its own, whatever it is said to be.
func whoseKey(ids, own []age.Identity, said string) string {
	for _, id := range ids {
		if slices.ContainsFunc(own, func(mine age.Identity) bool { return sameIdentity(id, mine) }) {
			return verify.TheDaemons
		}
	}
	return said
}

func sameIdentity(a, b age.Identity) bool {
	x, isX := a.(*age.X25519Identity)
	y, isY := b.(*age.X25519Identity)
	return isX && isY && x.Recipient().String() == y.Recipient().String()
}

// triedLately reports whether the same identity opened all of a site within a day,
// as when every function is started cold.
func (e *Engine) triedLately(key coldKey, site string) bool {
	ids, err := identitiesIn(key.identity)
	if err != nil {
		return false
	}
	var recipients []string
	for _, id := range ids {
		recipients = append(recipients, repository.Recipient(id))
	}
	slices.Sort(recipients)
	tests, err := e.repository.EscrowTests()
	return err == nil && slices.ContainsFunc(tests, func(t repository.EscrowTest) bool {
		at := t.Sites[site]
		age := e.clock.Now().Sub(at.At)
		return slices.Equal(t.Recipients, recipients) && at.Passed && age >= 0 && age < 24*time.Hour
	})
}

// coldStart makes one cold start and puts it on record, as intent before and as
// result after.
func (e *Engine) coldStart(ctx context.Context, f config.Function, site string, key coldKey, scheduled bool, report progress.Reporter) (verify.Result, error) {
	key.warn(f.Name, site, report)
	select { // one at a time: it measures
	case e.cold <- struct{}{}:
	case <-ctx.Done():
		return verify.Result{Function: f.Name, Site: site}, ctx.Err()
	}
	defer func() { <-e.cold }()
	newest, why, err := e.pick(f, site, selection.Latest, "")
	if err == nil && newest == "" {
		err = fmt.Errorf("%w: site %s holds no recovery point of %s", ErrUsage, site, f.Name)
	}
	if err != nil {
		return verify.Result{Function: f.Name, Site: site, RequestedLevel: coldLevel, Error: err.Error()}, err
	}
	req := verify.Request{Function: f.Name, From: site, Snapshot: newest, Level: coldLevel, Selection: why}
	r, err := e.attestProof(ctx, req, func() (verify.Result, error) { return e.coldProof(ctx, f, req, key, scheduled, report) })
	e.escrowOpened(ctx, key, r)
	return r, err
}

// coldProof makes the cold start itself.
func (e *Engine) coldProof(ctx context.Context, f config.Function, req verify.Request, key coldKey, scheduled bool, report progress.Reporter) (verify.Result, error) {
	site, newest, why := req.From, req.Snapshot, req.Selection
	known, err := e.repository.Info(newest)
	if err != nil {
		return verify.Result{}, fmt.Errorf("cold start of %s from site %s: %w", f.Name, site, err)
	}
	dir, err := e.coldFolder()
	if err != nil {
		return verify.Result{}, err
	}
	record := catalog.Proof{Function: f.Name, Snapshot: newest, Site: site, Started: e.clock.Now(), Rule: why.Rule, Scheduled: scheduled, Cold: true}
	if err := e.catalog.PutProof(&record); err != nil {
		return verify.Result{}, errors.Join(fmt.Errorf("cold start of %s from site %s: record the intent: %w", f.Name, site, err), os.Remove(dir))
	}
	host := emptyHost{
		clock: e.clock, dir: dir, report: report, order: newColdOrder(e.cfg, f, site, dir, key.identity), key: key.whose,
		known: known, why: why, clear: func() error { return e.clearCold(context.WithoutCancel(ctx), dir) },
	}
	r, err := host.prove(ctx)
	record.Ended, record.Level, record.Passed, record.Difference = e.clock.Now(), r.Level, r.Passed, r.Difference
	record.Snapshot, record.Error = cmp.Or(r.Snapshot, newest), r.Unmet()
	var recordErr error
	if record.Result, recordErr = json.Marshal(r); recordErr == nil {
		recordErr = e.catalog.PutProof(&record)
	}
	return r, errors.Join(e.proofOutcome(r, err), recordErr)
}

// coldFolder makes the folder of an empty host.
func (e *Engine) coldFolder() (string, error) {
	var random [4]byte
	_, _ = rand.Read(random[:]) // never fails
	dir := filepath.Join(scratchDir(e.cfg), coldPrefix+hex.EncodeToString(random[:]))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("make an empty host: %w", err)
	}
	return dir, nil
}

// clearCold removes an empty host, and what it may have left in scratch when it
// was killed.
func (e *Engine) clearCold(ctx context.Context, dir string) error {
	ctx, cancel := context.WithTimeout(ctx, coldFarewell)
	defer cancel()
	left := &verify.Verifier{
		Repository: e.repository, Catalog: e.catalog, Scratch: e.cfg.Scratch, Clock: e.clock, Log: e.log, Dir: filepath.Join(dir, "scratch"),
	}
	if err := left.SweepScratch(ctx); err != nil {
		return fmt.Errorf("clear an empty host: %w", err) // the folder tells the next sweep
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("clear an empty host: %w", err)
	}
	return nil
}

// sweepCold removes the empty hosts of a process that was killed. They notice
// themselves that it is gone, and are given the time to end.
func (e *Engine) sweepCold(ctx context.Context) error {
	entries, err := os.ReadDir(scratchDir(e.cfg))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	var errs []error
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), coldPrefix) {
			continue
		}
		dir := filepath.Join(scratchDir(e.cfg), entry.Name())
		err := e.awaitEnd(ctx, dir)
		if err == nil {
			err = e.clearCold(ctx, dir)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// awaitEnd waits until nobody works in the folder of an empty host.
func (e *Engine) awaitEnd(ctx context.Context, dir string) error {
	const pause = 200 * time.Millisecond
	for waited := time.Duration(0); ; waited += pause {
		_, err := catalog.Peek(filepath.Join(dir, filepath.Base(catalogPath(e.cfg))), "format")
		if !errors.Is(err, catalog.ErrInUse) {
			return nil // it is not there, or nobody has it
		}
		if waited > coldFarewell {
			return fmt.Errorf("an empty host still works in %s: end it: %w", dir, err)
		}
		if err := e.clock.Sleep(ctx, pause); err != nil {
			return err
		}
	}
}
