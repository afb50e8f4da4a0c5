package restore

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/crash"
	"github.com/saypro/backupd/internal/progress"
	"github.com/saypro/backupd/internal/repository"
	"github.com/saypro/backupd/internal/source/postgres"
)

// ErrDiffers marks a restore whose result is not what was captured.
var ErrDiffers = errors.New("the restored data differ from the captured")

// job is one restore, or the plan of one.
type job struct {
	*Restorer
	req    Request
	to     target
	report progress.Reporter
	phases *progress.Phases
	result Result

	info   repository.SnapshotInfo
	order  []string // of sites
	reader *repository.Reader
	falls  fallThroughs
	load   *Loader
}

// Restore restores a recovery point as the request says. When it fails or ctx
// ends, nothing that looks finished remains: a database that it made is
// dropped, one that was there before and empty keeps the mark of an unfinished
// restore, and one that was to be replaced is as it was. The Result of a
// failed restore says how far it came. Errors that only another request can
// avoid match [ErrRequest].
func (r *Restorer) Restore(ctx context.Context, req Request, report progress.Reporter) (Result, error) {
	run := catalog.Run{Kind: catalog.RunRestore, Function: req.Function, Started: r.Clock.Now()}
	k := &job{Restorer: r, req: req, report: report, phases: progress.NewPhases(r.Clock)}
	k.result = Result{Function: req.Function, Started: run.Started.UTC()}
	if err := req.check(); err != nil {
		return k.result, err
	}
	if err := r.Catalog.PutRun(&run); err != nil {
		// With a full disk, too, data is given back.
		r.Log.Error("the run of a restore could not be recorded; it goes on", "function", req.Function, "error", err)
	}
	crash.Point(crash.RestoreRecorded)
	err := k.restore(ctx)
	if postgres.NotMember(err) && !req.NoOwner {
		err = fmt.Errorf("%w; make the role that restores a member of that role, restore as superuser, "+
			"or leave owners and grants out with --no-owner", err)
	}
	if cause := ctx.Err(); err != nil && cause != nil && !errors.Is(err, cause) {
		err = fmt.Errorf("%w: %w", cause, err) // what broke, broke because of it
	}
	if err != nil {
		err = fmt.Errorf("restore of %s: %w", req.Function, err)
		k.result.Error = err.Error()
	}
	ended := r.Clock.Now()
	k.result.Phases = k.phases.Seconds()
	k.result.DurationSeconds = ended.Sub(run.Started).Seconds()
	k.result.FallThroughs = k.falls.list()
	for site, objects := range k.falls.damaged() {
		// Also after a restore that was given up: it has seen what it has seen.
		r.Repository.Suspect(context.WithoutCancel(ctx), site, "restore", objects)
	}
	k.countReads()
	run.Ended, run.Snapshot = ended, k.result.Snapshot
	if recordErr := r.record(&run, k.result, err); recordErr != nil {
		r.Log.Error("the end of a restore could not be recorded", "function", req.Function, "error", recordErr)
	}
	crash.Point(crash.RestoreEnded)
	return k.result, err
}

// record writes the end of a restore, without what the commit tells anyway.
func (r *Restorer) record(run *catalog.Run, result Result, err error) error {
	result.Tables = nil
	if err != nil {
		run.Error = err.Error()
	}
	if run.Result, err = json.Marshal(result); err != nil {
		return err
	}
	return r.Catalog.PutRun(run)
}

// choosePoint finds what to restore, and looks at where it would go: before
// anything is fetched, since an address that does not answer is the likeliest
// mistake.
func (k *job) choosePoint(ctx context.Context) (found state, err error) {
	if k.to, err = parseTarget(k.req.To); err != nil {
		return found, err
	}
	if k.info, err = k.choose(k.req); err != nil {
		return found, err
	}
	return k.look(ctx)
}

// describe reads the description of the chosen snapshot.
func (k *job) describe(ctx context.Context) error {
	snap, err := k.Repository.Snapshot(ctx, k.info.ID)
	if err != nil {
		return err
	}
	k.order = k.siteOrder(k.info, k.req.From)
	k.falls = fallThroughs{order: k.order, report: k.report, function: k.req.Function}
	if k.reader, err = k.Repository.Reader(snap, k.order, k.falls.note); err != nil {
		return err
	}
	k.load = &Loader{
		Snapshot: snap, Reader: k.reader, Jobs: k.req.Jobs, NoOwner: k.req.NoOwner,
		TempDir: k.TempDir, Phases: k.phases, Report: k.report, StallTimeout: k.StallTimeout,
	}
	if k.load.Jobs == 0 {
		k.load.Jobs = k.Jobs
	}
	if k.load.Tables, err = k.req.tableNames(); err != nil {
		return err
	}
	return k.load.Open(ctx)
}

func (k *job) restore(ctx context.Context) (err error) {
	found, err := k.choosePoint(ctx)
	k.result.Snapshot, k.result.RecoveryPoint = k.info.ID, k.info.RecoveryPoint
	k.result.To = k.to.readable
	if err == nil {
		err = k.refuse(found)
	}
	if err == nil {
		k.result.Notes, err = k.doubts()
	}
	if err == nil {
		var left []string
		left, err = k.leftovers(ctx)
		k.result.Notes = append(k.result.Notes, left...)
	}
	if err != nil {
		return err
	}
	if err = k.describe(ctx); k.load != nil {
		defer func() { err = errors.Join(err, k.load.Close()) }()
	}
	if err != nil {
		return err
	}
	k.result.LossSeconds = k.loss(k.result.Started)
	p, err := k.provide(ctx)
	if p != nil {
		defer func() {
			if err != nil {
				err = errors.Join(err, p.abandon(ctx))
			}
		}()
		k.result.Notes = append(k.result.Notes, p.notes...)
	}
	if err != nil {
		return err
	}
	crash.Point(crash.RestoreProvided)
	if err := k.fill(ctx, p); err != nil {
		return err
	}
	crash.Point(crash.RestoreUnmarked)
	if err := p.finish(ctx); err != nil {
		return err
	}
	crash.Point(crash.RestorePlaced)
	k.result.KeptDatabase = p.keptAs
	return nil
}

// fill loads the snapshot into the place and checks it, up to the mark that it
// is finished.
func (k *job) fill(ctx context.Context, p *place) (err error) {
	to, err := k.load.Connect(ctx, p.url, k.Clock, k.Log)
	if err != nil {
		return err
	}
	defer func() {
		k.result.Notes = append(k.result.Notes, to.Notes()...)
		err = errors.Join(err, to.Close(context.WithoutCancel(ctx)))
	}()
	if err := to.MarkUnfinished(ctx, fmt.Sprintf("snapshot %s of %s", k.info.ID, k.info.Function)); err != nil {
		return err
	}
	crash.Point(crash.RestoreMarked)
	loaded, err := k.load.Load(ctx, to)
	if err != nil {
		return err
	}
	k.result.Rows, k.result.BytesRaw = loaded.Rows, loaded.Bytes
	k.result.OutsideReferences = loaded.Unrestored
	k.result.Tables = k.load.tables()
	k.result.Checks = append(k.result.Checks, Check{
		Name: "rows loaded", Level: "L3", Passed: true,
		Detail: fmt.Sprintf("%d rows of %s, with the digests of the commit", loaded.Rows, tablesOf(len(k.result.Tables))),
	})
	if p.replaced {
		if k.beforeCheck != nil {
			k.beforeCheck(p.url)
		}
		if err := k.check(ctx, to); err != nil {
			return err
		}
		crash.Point(crash.RestoreChecked)
	}
	return to.MarkFinished(ctx)
}

// check compares the restored database with the captured one, before it takes
// the place of another.
func (k *job) check(ctx context.Context, to *postgres.Target) error {
	defer k.phases.Begin("validate")()
	structure, left, err := k.load.CheckStructure(ctx, to)
	k.result.Checks = append(k.result.Checks, structure...)
	k.result.Notes = append(k.result.Notes, left...)
	if err != nil {
		return err
	}
	found, err := k.load.CheckContent(ctx, to)
	if err != nil {
		return err
	}
	k.result.Checks = append(k.result.Checks, ContentChecks(found)...)
	for _, c := range k.result.Checks {
		if !c.Passed {
			return fmt.Errorf("%w: %s: %s", ErrDiffers, c.Name, c.Detail)
		}
	}
	return nil
}

// tables lists what was loaded, by name.
func (l *Loader) tables() []Table {
	var out []Table
	for _, i := range l.chosen {
		t := l.Snapshot.Tables[i]
		out = append(out, Table{Name: t.Name, Rows: t.Rows, Digest: t.Digest, Bytes: t.Bytes})
	}
	slices.SortFunc(out, func(a, b Table) int { return strings.Compare(a.Name, b.Name) })
	return out
}

func (k *job) countReads() {
	if k.reader == nil {
		return
	}
	k.result.Sites = map[string]SiteRead{}
	for site, n := range k.reader.Read() {
		k.result.Sites[site] = SiteRead{Bytes: n}
		k.result.BytesFetched += n
	}
}

// tell reports the beginning of a phase.
func (k *job) tell(phase, message string) {
	k.report.Report(progress.Event{Function: k.req.Function, Phase: phase, Message: message})
}

// shortID tells restores apart that run at the same time.
func shortID() string {
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
