package repository

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/storage"
	"github.com/saypro/backupd/internal/storage/faulty"
)

// A live backupd writes a commit again while a catalog is rebuilt from the same
// site, and the server removes the old object before it has the new one.
func TestRebuildAsksAgainForACommit(t *testing.T) {
	b := newBench(t)
	snaps, _ := b.history(t, seeded(t), 2, 1)
	cloud := b.flawed(t)["cloud"]
	defer cloud.Inject(faulty.Rule{Op: "get", Name: b.commitOf(t, snaps[0]), Times: 1, Err: storage.ErrNotFound})()
	r, out := b.rebuilt(t, b.site(t, "cloud"))
	if len(out.Damaged)+len(out.Lost) > 0 || out.Snapshots != 2 {
		t.Errorf("rebuilt: %+v", out)
	}
	if _, err := r.Snapshot(t.Context(), snaps[0].ID); err != nil {
		t.Error(err)
	}
}

// A commit that is listed and never given does not end a rebuild, and is told.
func TestRebuildTellsOfACommitThatIsNotGiven(t *testing.T) {
	b := newBench(t)
	snaps, _ := b.history(t, seeded(t), 2, 1)
	cloud := b.flawed(t)["cloud"]
	name := b.commitOf(t, snaps[0])
	defer cloud.Inject(faulty.Rule{Op: "get", Name: name, Err: storage.ErrNotFound})()
	_, out := b.rebuilt(t, b.site(t, "cloud"))
	if len(out.Damaged) != 1 || out.Damaged[0].Object != name || out.Snapshots != 1 {
		t.Errorf("rebuilt: %+v", out)
	}
}

// What a commit needs that is listed and not given is not known: nothing is
// deleted then. One that has been deleted since the listing is no problem.
func TestNothingIsSweptBesideACommitThatIsNotGiven(t *testing.T) {
	b := newBench(t)
	b.history(t, seeded(t), 2, 1)
	cloud := b.flawed(t)["cloud"]
	theirs, content := "c/2026/03/01/120023.250-e7f64098-3", []byte("a commit of somebody else")
	err := cloud.Put(t.Context(), storage.Object{Name: theirs, Size: int64(len(content)), SHA256: sum(content), Body: bytes.NewReader(content)})
	if err != nil {
		t.Fatal(err)
	}
	end := cloud.Inject(faulty.Rule{Op: "get", Name: theirs, Err: storage.ErrNotFound})
	synced, err := b.Sync(t.Context(), []string{"cloud"}, time.Minute, nil)
	if at := synced["cloud"]; err != nil || len(at.Problems) != 1 || at.Problems[0].Object != theirs {
		t.Errorf("compared: %+v (%v)", at, err)
	}
	if _, err := b.Sweep(t.Context(), SweepOptions{Grace: day}, nil); !errors.Is(err, ErrNotInStep) {
		t.Errorf("swept beside it: %v", err)
	}
	end()
	if err := cloud.Delete(t.Context(), theirs); err != nil {
		t.Fatal(err)
	}
	a := adopter{Repository: b.Repository, site: b.site(t, "cloud")}
	taken, problem, err := a.adopt(t.Context(), storage.Info{Name: theirs, Size: int64(len(content))})
	if taken || problem != nil || err != nil {
		t.Errorf("an object that is gone: %t %v %v", taken, problem, err)
	}
}

// commitOf returns the name of the object that tells of a snapshot.
func (b *bench) commitOf(t *testing.T, s *Snapshot) string {
	t.Helper()
	info, err := b.Info(s.ID)
	if err != nil {
		t.Fatal(err)
	}
	return info.Commit
}
