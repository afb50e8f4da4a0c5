package soak

import (
	"slices"
	"testing"

	"github.com/saypro/backupd/internal/crash"
	"github.com/saypro/backupd/internal/testenv"
)

// Where each kind of work is killed. Together they are all the points there
// are.
var (
	snapshotPoints = []crash.Name{
		crash.CompareListed, // the first thing with a site that was never compared
		crash.SnapshotRecorded, crash.SnapshotLocked, crash.SnapshotPart, crash.SnapshotRead, crash.SnapshotReleased,
		crash.SnapshotCommitted, crash.SnapshotAwaited, crash.SnapshotEnded,
		crash.PackBegun, crash.PackSealed, crash.PackClosed, crash.PackKept, crash.PackQueued,
		// What a kill at one leaves in the spool, the next start sweeps.
		crash.CommitReady, crash.CommitNumbered, crash.CommitKept, crash.SpoolSwept, crash.CommitQueued,
		crash.SpoolCreated, crash.SpoolWritten, crash.SpoolSynced, crash.SpoolRenamed, crash.SpoolFreed,
		crash.UploadBegun, crash.UploadPut, crash.UploadSent, crash.UploadAcknowledged,
	}
	upkeepPoints  = []crash.Name{crash.MendDeleted, crash.MendPut, crash.SpoolEvicted}
	keyPoints     = []crash.Name{crash.KeyQueued, crash.KeyTaken}
	scrubPoints   = []crash.Name{crash.ScrubDoubted, crash.ScrubNoted}
	markPoints    = []crash.Name{crash.MarkKept, crash.MarkQueued}
	comparePoints = []crash.Name{crash.CompareAdopted, crash.CompareDoubted}
	initPoints    = []crash.Name{crash.InitReset, crash.InitKey, crash.InitConfig}
	restorePoints = []crash.Name{
		crash.RestoreRecorded, crash.RestoreFetched, crash.RestoreProvided, crash.RestoreMarked, crash.RestorePreData,
		crash.RestoreStretch, crash.RestoreRows, crash.RestoreSequences, crash.RestoreIndexed, crash.RestoreChecked,
		crash.RestoreUnmarked, crash.RestoreRenaming, crash.RestorePlaced, crash.RestoreEnded,
	}
	proofPoints = []crash.Name{
		crash.ProofIntended, crash.ProofPlaced, crash.ProofProvisioned, crash.ProofCleared,
	}
	// What is needed of a pack of which most is dead moves once, so these come
	// first.
	sweepPoints = []crash.Name{
		crash.SweepMoved, crash.SweepStaged, crash.SweepCommitsDoomed, crash.SweepDeleted, crash.SweepCommitsGone,
		crash.SweepPacksDoomed, crash.SweepPacksGone, crash.SweepSwitched, crash.SweepMarked,
	}
	rebuildPoints = []crash.Name{
		crash.RebuildPack, crash.RebuildPacks, crash.RebuildCommit, crash.RebuildQueued, crash.RebuildKnown, crash.RebuildTaken,
	}
)

func TestEveryPointIsTried(t *testing.T) {
	t.Parallel()
	tried := slices.Concat(snapshotPoints, upkeepPoints, keyPoints, scrubPoints, markPoints, comparePoints, initPoints, restorePoints, proofPoints, rebuildPoints, sweepPoints)
	all := crash.Points()
	slices.Sort(tried)
	slices.Sort(all)
	if !slices.Equal(tried, all) {
		t.Errorf("tried are %q\nthere are %q", tried, all)
	}
}

// killAt calls the program, which must kill itself at the point.
func (w *world) killAt(point crash.Name, args ...string) {
	w.t.Helper()
	w.tally.count(w.tally.operations, args[0])
	o := w.run(string(point), args...)
	if args[0] == "snapshot" {
		w.note(o)
	}
	if !o.killed || o.point != string(point) {
		w.t.Errorf("it did not come by %s: %s", point, o)
		return
	}
	w.tally.count(w.tally.kills, o.point)
}

// killSoon calls the program until it comes by the point, where that does not
// happen every time.
func (w *world) killSoon(point crash.Name, args ...string) {
	w.t.Helper()
	for range 20 {
		w.tally.count(w.tally.operations, args[0])
		o := w.run(string(point), args...)
		if args[0] == "snapshot" {
			w.note(o)
		}
		if o.killed {
			w.tally.count(w.tally.kills, o.point)
			return
		}
	}
	w.t.Errorf("it never came by %s", point)
}

func TestSnapshotKilledAtEveryPoint(t *testing.T) {
	t.Parallel()
	w := newWorld(t, testenv.Postgres(t), testenv.Sites(t), newTally())
	w.startTraffic(seed(t))
	w.start()
	for _, point := range snapshotPoints {
		w.killAt(point, "snapshot", "--json")
		w.check()
	}
	w.settle()
	w.rebuild()
}

// What a proof was doing when it was killed is cleared up by the next start,
// and the intent that has no result is never taken for a good one.
func TestProofKilledAtEveryPoint(t *testing.T) {
	t.Parallel()
	w := newWorld(t, testenv.Postgres(t), testenv.Sites(t), newTally())
	w.startTraffic(seed(t))
	w.start()
	w.settle()
	for _, point := range append(slices.Clone(proofPoints), crash.RestoreRows) {
		w.killAt(point, "verify", "orders", "--from", "cloud", "--level", "L5")
		w.check()
	}
	w.must("", "verify", "orders", "--from", "cloud", "--level", "L5")
	w.settle()
}

// A rebuild that was killed is begun again, and nobody takes half a catalog for
// a whole one.
func TestRebuildKilledAtEveryPoint(t *testing.T) {
	t.Parallel()
	w := newWorld(t, testenv.Postgres(t), testenv.Sites(t), newTally())
	w.startTraffic(seed(t))
	w.start()
	w.settle()
	w.settle()
	lost := w.data
	for i, point := range rebuildPoints {
		w.data = w.path("data-" + string(point))
		w.configure()
		from := w.sites[i%2].Name
		w.killAt(point, "catalog", "rebuild", "--from", from)
		whole := point == crash.RebuildKnown || point == crash.RebuildTaken // but for its evidence
		if o := w.run("", "snapshots", "--json"); o.code == 0 && !whole {
			w.violation("half a catalog passes for a whole one after %s: %s", point, o)
		}
		w.must("", "catalog", "rebuild", "--from", from)
		w.settle()
	}
	w.data = lost
}
