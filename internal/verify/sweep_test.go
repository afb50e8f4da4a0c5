package verify

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/saypro/backupd/internal/clock"
	"github.com/saypro/backupd/internal/config"
	"github.com/saypro/backupd/internal/progress"
	"github.com/saypro/backupd/internal/testenv"
)

// crash makes what a proof makes up to a scratch database and leaves it as a
// crash would.
func (f *fixture) crash(t *testing.T) *proof {
	t.Helper()
	ctx := t.Context()
	p := &proof{
		Verifier: f.Verifier, Repository: f.Verifier.Repository, req: Request{Function: "payments", From: "onsite"}, phases: progress.NewPhases(f.Clock),
	}
	err := p.prepare(ctx)
	if err == nil {
		p.place, err = p.workplace()
	}
	if err == nil {
		_, err = p.intact(ctx)
	}
	if err == nil {
		err = p.open(ctx)
	}
	if err == nil {
		err = p.provision(ctx)
	}
	if err == nil {
		err = p.to.Close(ctx)
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestSweepRemovesScratchDatabasesOfACrash(t *testing.T) {
	f := newFixture(t, small(t))
	other := "scratch of repository 00, elsewhere, /other"
	f.db.Exec(t, "CREATE DATABASE "+databasePrefix+"foreign")
	defer f.db.Exec(t, "DROP DATABASE "+databasePrefix+"foreign")
	f.db.Exec(t, "COMMENT ON DATABASE "+databasePrefix+"foreign IS 'backupd: unfinished restore: "+other+"'")

	for name, prepare := range map[string]func(p *proof){
		"with the folder":    func(*proof) {},
		"without the folder": func(p *proof) { _ = os.RemoveAll(p.place.dir) },
		"before the mark": func(p *proof) {
			f.db.Exec(t, "COMMENT ON DATABASE "+p.place.database+" IS NULL")
		},
	} {
		t.Run(name, func(t *testing.T) {
			crashed := f.crash(t)
			prepare(crashed)
			if n := len(f.scratchDatabases(t)); n != 2 {
				t.Fatalf("%d scratch databases before the sweep", n)
			}
			next := &Verifier{Repository: f.Verifier.Repository, Scratch: f.Scratch, Dir: f.Dir, Clock: f.Clock, Log: f.Verifier.Log}
			if err := next.SweepScratch(t.Context()); err != nil {
				t.Fatal(err)
			}
			if names := f.scratchDatabases(t); len(names) != 1 || !strings.HasSuffix(names[0][0], "foreign") {
				t.Errorf("after the sweep: %v", names)
			}
			if left, err := os.ReadDir(f.Dir); err != nil || len(left) > 0 {
				t.Errorf("left in the scratch folder: %v %v", left, err)
			}
		})
	}
}

func TestSweepLeavesRunningProofsAlone(t *testing.T) {
	f := newFixture(t, small(t))
	for _, kind := range []string{kindDatabase, "instance"} {
		f.Scratch.Kind = kind
		f.before = func(_ *proof, level string) {
			if err := f.SweepScratch(t.Context()); err != nil {
				t.Errorf("%s: %v", level, err)
			}
		}
		if r := f.prove(t, ""); !r.Passed {
			t.Errorf("%s: %s", kind, failures(r))
		}
	}
}

// crashHelper tells this test binary to prove something and hang in the middle.
const crashHelper = "BACKUPD_TEST_PROOF_TO_BE_KILLED"

func TestSweepRemovesThrowawayServersOfAKilledProcess(t *testing.T) {
	if os.Getenv(crashHelper) != "" {
		hangInAProof(t)
		return
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), crashHelper+"=1")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	dir := ""
	for lines := bufio.NewScanner(out); dir == "" && lines.Scan(); {
		dir, _ = strings.CutPrefix(lines.Text(), "scratch in ")
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed, as it must be
	if dir == "" {
		t.Fatal("the helper did not come to its proof")
	}
	defer os.RemoveAll(filepath.Dir(dir))
	if places, err := os.ReadDir(dir); err != nil || len(places) != 2 {
		t.Fatalf("left by the killed process: %v %v", places, err)
	}
	v := &Verifier{Dir: dir, Scratch: config.Scratch{Kind: "instance"}, Clock: clock.System}
	if err := v.SweepScratch(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("after the sweep: %v %v", left, err)
	}
}

// hangInAProof is what the helper process does until it is killed.
func hangInAProof(t *testing.T) {
	db := testenv.PrivatePostgres(t, nil)
	db.Exec(t, "CREATE TABLE t AS SELECT g FROM generate_series(1, 100) g")
	f := newFixture(t, db)
	f.Scratch = config.Scratch{Kind: "instance"}
	f.before = func(_ *proof, level string) {
		if level == "L5" {
			fmt.Println("scratch in " + f.Dir)
			select {}
		}
	}
	f.prove(t, "")
}
