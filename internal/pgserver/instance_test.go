package pgserver

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// TestMain lets the test binary be the process that owns an instance and is
// killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv("BACKUPD_TEST_OWN_INSTANCE"); dir != "" {
		i, err := Start(context.Background(), Options{Dir: dir, Fast: true})
		if err != nil {
			_, _ = fmt.Fprintln(os.Stdout, "failed:", err)
			os.Exit(1)
		}
		_, _ = fmt.Fprintln(os.Stdout, i.URL("postgres"))
		time.Sleep(time.Hour)
	}
	os.Exit(m.Run())
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// reachableTemp is a folder that the user of the servers can reach; that of
// t.TempDir is not when we are root.
func reachableTemp(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "pgs")
	must(t, err)
	t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	must(t, os.Chmod(dir, 0o711))
	return dir
}

func start(t *testing.T, dir string) *Instance {
	t.Helper()
	i, err := Start(context.Background(), Options{Dir: dir, Fast: true, Settings: map[string]string{"work_mem": "7MB", "synchronous_commit": "on"}})
	must(t, err)
	t.Cleanup(func() { must(t, i.Stop(context.Background())) })
	return i
}

func ask(t *testing.T, url, sql string) string {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), url)
	must(t, err)
	defer conn.Close(context.Background())
	var answer string
	must(t, conn.QueryRow(context.Background(), sql).Scan(&answer))
	return answer
}

func gone(t *testing.T, path string) {
	t.Helper()
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there (error %v)", path, err)
	}
}

func TestInstanceLivesAndLeavesNothing(t *testing.T) {
	parent := reachableTemp(t)
	i := start(t, filepath.Join(parent, "one"))
	if got := ask(t, i.URL("postgres"), "SELECT current_user || current_setting('work_mem') || current_setting('listen_addresses') || current_setting('fsync')"); got != "postgres7MBoff" {
		t.Errorf("settings %s", got)
	}
	for _, dir := range []string{i.place.Data, i.place.Socket} {
		info, err := os.Stat(dir)
		must(t, err)
		if info.Mode().Perm() != 0o700 {
			t.Errorf("%s has mode %v: others can enter", dir, info.Mode())
		}
		if uid := info.Sys().(*syscall.Stat_t).Uid; uid == 0 {
			t.Errorf("%s belongs to root", dir)
		}
	}
	_, err := Start(context.Background(), Options{Dir: filepath.Join(parent, "one")})
	if err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("a second instance in the same folder: error %v", err)
	}
	// Living instances are not swept.
	must(t, Sweep(context.Background(), parent))
	ask(t, i.URL("postgres"), "SELECT 'alive'")
	i.Kill()
	must(t, i.Start(context.Background()))
	ask(t, i.URL("template1"), "SELECT 'alive'")
	must(t, i.Stop(context.Background()))
	must(t, i.Stop(context.Background()))
	gone(t, i.place.Dir)
}

func TestInstanceInFoldersThatDoNotSuit(t *testing.T) {
	parent := reachableTemp(t)
	t.Run("long", func(t *testing.T) {
		i := start(t, filepath.Join(parent, strings.Repeat("x", 100)))
		ask(t, i.URL("postgres"), "SELECT 'alive'")
		must(t, i.Stop(context.Background()))
		gone(t, i.place.Socket)
		gone(t, i.place.Dir)
	})
	t.Run("closed", func(t *testing.T) {
		closed := filepath.Join(parent, "closed")
		must(t, os.Mkdir(closed, 0o700))
		i := start(t, filepath.Join(closed, "one"))
		ask(t, i.URL("postgres"), "SELECT 'alive'")
		if moved := i.place.Base != i.place.Dir; moved != (os.Geteuid() == 0) {
			t.Errorf("the cluster is in %s", i.place.Base)
		}
		must(t, i.Stop(context.Background()))
		gone(t, i.place.Base)
		gone(t, i.place.Dir)
	})
}

func TestStartTellsWhyAndLeavesNothing(t *testing.T) {
	dir := filepath.Join(reachableTemp(t), "one")
	_, err := Start(context.Background(), Options{Dir: dir, Settings: map[string]string{"no_such_setting": "1"}})
	if err == nil || !strings.Contains(err.Error(), "no_such_setting") {
		t.Errorf("error %v", err)
	}
	gone(t, dir)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err = Start(ctx, Options{Dir: dir}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
	gone(t, dir)
}

// TestInstanceOfKilledOwner kills the process that owns an instance: the
// server must end by itself and the sweep remove the rest.
func TestInstanceOfKilledOwner(t *testing.T) {
	parent := reachableTemp(t)
	dir := filepath.Join(parent, "orphan")
	owner := exec.Command(os.Args[0])
	owner.Env = append(os.Environ(), "BACKUPD_TEST_OWN_INSTANCE="+dir)
	out, err := owner.StdoutPipe()
	must(t, err)
	must(t, owner.Start())
	url, err := bufio.NewReader(out).ReadString('\n')
	must(t, err)
	url = strings.TrimSpace(url)
	ask(t, url, "SELECT 'alive'")
	pid, err := postmasterPID(filepath.Join(dir, "data"))
	must(t, err)
	must(t, owner.Process.Kill())
	_ = owner.Wait() // killed
	deadline := time.Now().Add(10 * time.Second)
	for isPostmaster(pid, filepath.Join(dir, "data")) {
		if time.Now().After(deadline) {
			t.Fatal("the server outlives its owner")
		}
		time.Sleep(10 * time.Millisecond)
	}
	must(t, Sweep(context.Background(), parent))
	gone(t, dir)
}

// remark rewrites the marker of an instance.
func remark(t *testing.T, i *Instance, change func(*place)) {
	t.Helper()
	p := i.place
	change(&p)
	text, err := json.Marshal(p)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(i.place.Dir, markerName), text, 0o600))
}

func TestSweepEndsRunningOrphans(t *testing.T) {
	parent := reachableTemp(t)
	i := start(t, filepath.Join(parent, "one"))
	// As if the number of the owner had gone to another process since.
	remark(t, i, func(p *place) { p.Owner.Start = "long ago" })
	must(t, Sweep(context.Background(), parent))
	gone(t, i.place.Dir)
	if _, err := pgx.Connect(context.Background(), i.URL("postgres")); err == nil {
		t.Error("the server still answers")
	}
}

// The power goes, or a kill comes, while the marker is being written.
func TestSweepRemovesHalfMarkers(t *testing.T) {
	parent := reachableTemp(t)
	half := func(name, text string, age time.Duration) string {
		dir := filepath.Join(parent, name)
		must(t, os.Mkdir(dir, 0o700))
		marker := filepath.Join(dir, markerName+newSuffix)
		must(t, os.WriteFile(marker, []byte(text), 0o600))
		at := time.Now().Add(-age)
		must(t, os.Chtimes(marker, at, at))
		return dir
	}
	whole, err := json.Marshal(place{
		Dir: filepath.Join(parent, "whole"), Base: filepath.Join(parent, "whole"),
		Data: filepath.Join(parent, "whole", "data"), Socket: filepath.Join(parent, "whole", "socket"),
		Owner: owner{PID: os.Getpid(), Start: "long ago"},
	})
	must(t, err)
	old := half("old", `{"dir": "`, 2*time.Minute)
	fresh := half("fresh", "", 0)
	left := half("whole", string(whole), 0)
	must(t, Sweep(context.Background(), parent))
	gone(t, old)
	gone(t, left)
	if _, err := os.Stat(fresh); err != nil {
		t.Errorf("one that somebody may be writing: %v", err)
	}
}

func TestSweepTouchesNothingElse(t *testing.T) {
	parent := reachableTemp(t)
	must(t, Sweep(context.Background(), filepath.Join(parent, "missing")))
	i := start(t, filepath.Join(parent, "one"))
	other := filepath.Join(parent, "precious")
	must(t, os.Mkdir(other, 0o700))
	for _, change := range []func(*place){
		func(p *place) { p.Base = other },
		func(p *place) { p.Data = other },
		func(p *place) { p.Socket = other },
		func(p *place) { p.Dir = other },
	} {
		remark(t, i, func(p *place) { p.Owner.Start = "long ago"; change(p) })
		if err := Sweep(context.Background(), parent); err == nil || !strings.Contains(err.Error(), "by hand") {
			t.Errorf("error %v", err)
		}
	}
	if _, err := os.Stat(other); err != nil {
		t.Error(err)
	}
	ask(t, i.URL("postgres"), "SELECT 'alive'")

	// A process that is no server on this data is left alone.
	must(t, i.Stop(context.Background()))
	data := filepath.Join(parent, "data")
	must(t, os.Mkdir(data, 0o700))
	must(t, os.WriteFile(filepath.Join(data, "postmaster.pid"), fmt.Appendf(nil, "%d\n", os.Getpid()), 0o600))
	must(t, endOrphan(context.Background(), data))
}

func TestBinary(t *testing.T) {
	path, err := Binary("pg_dump")
	must(t, err)
	if major, err := Major(path); err != nil || major < 12 {
		t.Errorf("%s is of version %d (error %v)", path, major, err)
	}
	if _, err := Binary("no_such_program"); !errors.Is(err, exec.ErrNotFound) || !strings.Contains(err.Error(), "install") {
		t.Errorf("error %v", err)
	}
	for text, want := range map[string]int{"/usr/lib/postgresql/9/bin": 9, "PostgreSQL 17.2 (Debian)": 17, "/opt/bin": 0} {
		if got := majorIn(text); got != want {
			t.Errorf("%s: %d, want %d", text, got, want)
		}
	}
}

// TestRunEndsPolitely checks that a cancelled program gets SIGTERM, on which
// pg_restore cancels what its workers do.
func TestRunEndsPolitely(t *testing.T) {
	said := filepath.Join(t.TempDir(), "said")
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.Command("/bin/sh", "-c", `trap 'echo term > "$1"; exit 1' TERM; echo ready > "$1.ready"; while :; do sleep 0.05; done`, "sh", said)
	go func() {
		for range 500 {
			if _, err := os.Stat(said + ".ready"); err == nil {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		cancel()
	}()
	if err := Run(ctx, cmd); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
	if text, err := os.ReadFile(said); err != nil || string(text) != "term\n" {
		t.Errorf("the program got no SIGTERM: %q, error %v", text, err)
	}
	if err := Run(context.Background(), exec.Command("/bin/false")); err == nil {
		t.Error("no error of a program that failed")
	}
}
