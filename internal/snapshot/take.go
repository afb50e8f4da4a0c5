package snapshot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/config"
	"github.com/saypro/backupd/internal/crash"
	"github.com/saypro/backupd/internal/progress"
	"github.com/saypro/backupd/internal/repository"
)

// Take captures a recovery point of the function and waits until its sites
// hold it or have failed for longer than patience. Somebody else must run
// [repository.Repository.Upload] meanwhile.
//
// A run that fails before its commit, or whose ctx ends before, leaves nothing
// that could be listed. An error that matches [repository.ErrNotDurable] comes
// with a whole Result: the recovery point exists in the spool and will be
// uploaded, but fewer than MinSites sites hold it now. A Result that is
// Degraded comes without an error.
func (t *Taker) Take(ctx context.Context, fn config.Function, report progress.Reporter) (Result, error) {
	run := catalog.Run{Kind: catalog.RunSnapshot, Function: fn.Name, Started: t.Clock.Now()}
	if err := t.Catalog.PutRun(&run); err != nil {
		return Result{Function: fn.Name}, fmt.Errorf("snapshot of %s: record the run: %w", fn.Name, err)
	}
	crash.Point(crash.SnapshotRecorded)
	k := &taking{
		Taker: t, fn: fn, report: report, phases: progress.NewPhases(t.Clock),
		result: Result{Function: fn.Name, Started: run.Started.UTC()},
	}
	err := k.take(ctx)
	if err != nil {
		err = fmt.Errorf("snapshot: %w", err)
		k.result.Error = err.Error()
	}
	ended := t.Clock.Now()
	k.result.Phases = k.phases.Seconds()
	k.result.DurationSeconds = ended.Sub(run.Started).Seconds()
	run.Ended = ended
	run.Snapshot = k.result.Snapshot
	run.DurableSeconds = k.durableSeconds()
	if err := t.record(&run, k.result, err); err != nil {
		t.Log.Error("the end of a run could not be recorded", "function", fn.Name, "error", err)
	}
	crash.Point(crash.SnapshotEnded)
	return k.result, err
}

// record writes the end of a run. What the commit tells of the tables is not
// told again.
func (t *Taker) record(run *catalog.Run, result Result, err error) error {
	result.Tables = nil
	if err != nil {
		run.Error = err.Error()
	}
	if run.Result, err = json.Marshal(result); err != nil {
		return err
	}
	return t.Catalog.PutRun(run)
}

// taking is one run of Take.
type taking struct {
	*Taker
	fn     config.Function
	report progress.Reporter
	phases *progress.Phases
	result Result
}

func (k *taking) take(ctx context.Context) error {
	snap, err := k.capture(ctx)
	if err != nil {
		return err
	}
	k.result.Snapshot = snap.ID
	k.result.RecoveryPoint = snap.RecoveryPoint
	k.result.Rows = snap.Rows
	k.result.Suspect = snap.Suspect
	k.result.BytesRaw, k.result.BytesNew, k.result.BytesStored = snap.BytesRaw, snap.BytesNew, snap.BytesStored
	for _, t := range snap.Tables {
		k.result.Tables = append(k.result.Tables, Table{Name: t.Name, Rows: t.Rows, Digest: t.Digest, Bytes: t.Bytes})
	}
	slices.SortFunc(k.result.Tables, func(a, b Table) int { return strings.Compare(a.Name, b.Name) })
	return k.await(ctx)
}

// await waits for the sites and judges what they hold.
func (k *taking) await(ctx context.Context) error {
	defer k.phases.Begin("upload")()
	k.report.Report(progress.Event{Function: k.fn.Name, Phase: "upload", Done: 0, Total: k.result.BytesStored})
	states, err := k.Repository.Wait(ctx, k.result.Snapshot, repository.Patience{
		Failing: k.Patience, Enough: max(1, k.MinSites), Lag: k.Lag,
		Failed: func(site string, err error) {
			k.report.Report(progress.Event{
				Function: k.fn.Name, Phase: "upload", Site: site,
				Message: fmt.Sprintf("site %s does not take it; waiting %s at most: %v", site, k.Patience, err),
			})
		},
	})
	crash.Point(crash.SnapshotAwaited)
	k.result.Sites = map[string]SiteState{}
	durable := 0
	var missing []string
	for _, name := range slices.Sorted(maps.Keys(states)) {
		st := states[name]
		k.result.Sites[name] = SiteState{State: st.State, DurableAt: st.Durable, Error: st.Error}
		if st.State == repository.StateDurable {
			durable++
			continue
		}
		missing = append(missing, describe(name, st))
	}
	if err != nil {
		return k.wrap("waiting for the sites; snapshot "+k.result.Snapshot+" is safe in the spool and will be uploaded", err)
	}
	k.report.Report(progress.Event{Function: k.fn.Name, Phase: "upload", Done: k.result.BytesStored, Total: k.result.BytesStored})
	k.result.Degraded = len(missing) > 0
	k.result.Error = strings.Join(missing, "; ")
	if want := max(1, k.MinSites); durable < want {
		return k.wrap("waiting for the sites", fmt.Errorf("%w: %d of %d sites that must hold it do; snapshot %s is safe in the spool "+
			"and will be uploaded: %s", repository.ErrNotDurable, durable, want, k.result.Snapshot, k.result.Error))
	}
	return nil
}

func describe(site string, st repository.SiteState) string {
	if st.Error == "" {
		return fmt.Sprintf("site %s: %s", site, st.State)
	}
	return fmt.Sprintf("site %s: %s: %s", site, st.State, st.Error)
}

// durableSeconds is the time from the start of the run until the first site
// held the snapshot; 0 when none does. The sites' times have lost their
// monotonic reading, so a stepped clock is kept from showing more than the
// run itself took.
func (k *taking) durableSeconds() float64 {
	first := time.Time{}
	for _, st := range k.result.Sites {
		if st.State == StateDurable && (first.IsZero() || st.DurableAt.Before(first)) {
			first = st.DurableAt
		}
	}
	if first.IsZero() {
		return 0
	}
	return min(max(first.Sub(k.result.Started).Seconds(), 0), k.result.DurationSeconds)
}

// errNoSource is returned for a function whose source is not configured.
var errNoSource = errors.New("no such source is configured")
