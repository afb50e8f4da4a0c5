package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/saypro/backupd/internal/config"
	"github.com/saypro/backupd/internal/engine"
	"github.com/saypro/backupd/internal/restore"
	"github.com/saypro/backupd/internal/server"
	"github.com/saypro/backupd/internal/snapshot"
	"github.com/saypro/backupd/internal/verify"
)

// overTheWire is what becomes of err when the service met it.
func overTheWire(err error) error {
	if err == nil {
		return nil
	}
	return server.NewFailure(err)
}

func TestExitStatusIsTheSameWithAndWithoutAService(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
	}{
		{nil, 0},
		{errors.New("disk full"), 1},
		{context.Canceled, 1},
		{context.DeadlineExceeded, 1},
		{fmt.Errorf("open: %w", engine.ErrCatalogBusy), 1},
		{fmt.Errorf("open: %w", engine.ErrNotInitialized), 1},
		{fmt.Errorf("serve: %w", server.ErrServed), 1},
		{fmt.Errorf("x: %w", engine.ErrUsage), 2},
		{fmt.Errorf("x: %w", engine.ErrConfig), 2},
		{fmt.Errorf("x: %w", restore.ErrRequest), 2},
		{fmt.Errorf("x: %w", verify.ErrRequest), 2},
		{asConfig(config.Problems{{File: "x", Line: 1, Column: 1}}), 2},
		{fmt.Errorf("x: %w", engine.ErrDegraded), 3},
		{fmt.Errorf("x: %w", engine.ErrDifference), 4},
		{errors.Join(errors.New("closing failed"), engine.ErrDifference), 4},
		{errors.Join(engine.ErrUsage, engine.ErrDegraded), 2},
	} {
		if got := exitStatus(c.err); got != c.want {
			t.Errorf("%v: status %d, want %d", c.err, got, c.want)
		}
		if got := exitStatus(overTheWire(c.err)); got != c.want {
			t.Errorf("%v through the service: status %d, want %d", c.err, got, c.want)
		}
	}
}

func TestSnapshotsEndInTheStatusOfTheWorst(t *testing.T) {
	made := snapshot.Result{Function: "a", Snapshot: "1"}
	spooled := snapshot.Result{Function: "b", Snapshot: "2", Degraded: true}
	lost := snapshot.Result{Function: "c", Error: "no database"}
	degraded := fmt.Errorf("b: %w", engine.ErrDegraded)
	for name, c := range map[string]struct {
		results []snapshot.Result
		err     error
		want    int
	}{
		"all made":                      {[]snapshot.Result{made}, nil, 0},
		"one spooled":                   {[]snapshot.Result{made, spooled}, degraded, 3},
		"one spooled, not said":         {[]snapshot.Result{made, spooled}, nil, 3},
		"one lost, not said":            {[]snapshot.Result{made, lost}, nil, 1},
		"one spooled, one lost":         {[]snapshot.Result{spooled, lost}, errors.Join(degraded, errors.New("c: no database")), 1},
		"one spooled, one lost, unsaid": {[]snapshot.Result{spooled, lost}, degraded, 1},
		"interrupted":                   {[]snapshot.Result{made}, context.Canceled, 1},
	} {
		for _, err := range []error{c.err, overTheWire(c.err)} {
			if got := exitStatus(snapshotOutcome(c.results, err)); got != c.want {
				t.Errorf("%s: status %d, want %d", name, got, c.want)
			}
		}
	}
}

func TestProofsEndInTheStatusOfTheWorst(t *testing.T) {
	passed := verify.Result{Function: "a", Passed: true, Level: "L5"}
	different := verify.Result{Function: "b", Difference: true}
	unable := verify.Result{Function: "c", Error: "no scratch"}
	for name, c := range map[string]struct {
		results []verify.Result
		err     error
		want    int
	}{
		"all passed":                     {[]verify.Result{passed}, nil, 0},
		"difference, not said":           {[]verify.Result{passed, different}, nil, 4},
		"not proven, not said":           {[]verify.Result{passed, unable}, nil, 1},
		"not proven before a difference": {[]verify.Result{unable, different}, errors.New("no scratch"), 4},
	} {
		for _, err := range []error{c.err, overTheWire(c.err)} {
			if got := exitStatus(verifyOutcome(c.results, err)); got != c.want {
				t.Errorf("%s: status %d, want %d", name, got, c.want)
			}
		}
	}
}

func TestWhatIsNotProvenIsSaidOnce(t *testing.T) {
	at := func(site string) verify.Result {
		return verify.Result{Site: site, NotProven: []string{"any site but " + site + ": nothing was read from another", "how long people take"}}
	}
	if got := notProven([]verify.Result{at("onsite"), at("cloud")}); !slices.Equal(got, []string{"how long people take"}) {
		t.Errorf("two sites: %q", got)
	}
	if got := notProven([]verify.Result{at("onsite"), at("onsite")}); len(got) != 2 {
		t.Errorf("one site: %q", got)
	}
}

func TestPasswordOfTheEnvironmentGoesWhereThereIsNone(t *testing.T) {
	for _, c := range []struct{ target, password, want string }{
		{"postgres://u@h/d", "p@ss/w", "postgres://u:p%40ss%2Fw@h/d"},
		{"postgres://u:own@h/d", "other", "postgres://u:own@h/d"},
		{"postgres://u@h/d", "", "postgres://u@h/d"},
		{"postgres://h/d", "secret", "postgres://h/d"},
		{"host=h dbname=d", "secret", "host=h dbname=d"},
		{"::", "secret", "::"},
	} {
		if got := withPassword(c.target, c.password); got != c.want {
			t.Errorf("%s becomes %s, want %s", c.target, got, c.want)
		}
	}
}
