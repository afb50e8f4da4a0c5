// Package e2e drives the real program from outside, with a real PostgreSQL and
// two real object stores, through good days and bad ones.
package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/saypro/backupd/internal/testenv"
)

var build struct {
	once sync.Once
	dir  string
	err  error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if build.dir != "" {
		_ = os.RemoveAll(build.dir)
	}
	os.Exit(code)
}

// program builds backupd once and returns its path.
func program(t *testing.T) string {
	t.Helper()
	build.once.Do(func() {
		if build.dir, build.err = os.MkdirTemp("", "backupd-e2e-"); build.err != nil {
			return
		}
		out, err := exec.Command("go", "build", "-o", filepath.Join(build.dir, "backupd"), "../../cmd/backupd").CombinedOutput()
		if err != nil {
			build.err = fmt.Errorf("%w: %s", err, out)
		}
	})
	if build.err != nil {
		t.Fatal(build.err)
	}
	return filepath.Join(build.dir, "backupd")
}

// world is one installation: a database, two sites, a configuration.
type world struct {
	t      *testing.T
	bin    string
	dir    string // data directory, keys and configuration
	config string
	pg     *testenv.PG
	sites  *testenv.SitePair
	onsite endpoint
	cloud  endpoint
	source string // URL of the database
	escrow string // recipient of the escrow

	escrowIdentity string // what is in the safe
	rpo            string
	extra          string // further keys of the function
	more           string // further sections
}

// endpoint is where the configuration sends a site.
type endpoint struct{ url, bucket, prefix, access, secret string }

func newWorld(t *testing.T, pg *testenv.PG, sites *testenv.SitePair) *world {
	t.Helper()
	w := &world{t: t, bin: program(t), dir: t.TempDir(), pg: pg, sites: sites, source: pg.URL(), rpo: "30s"}
	w.onsite = endpointOf(sites.Onsite)
	w.cloud = endpointOf(sites.Cloud)
	w.config = filepath.Join(w.dir, "backupd.yaml")
	escrow, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	w.escrow, w.escrowIdentity = escrow.Recipient().String(), escrow.String()
	w.write()
	w.must(0, "init")
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the data directory was %s", w.dir)
		}
	})
	return w
}

// useEscrow makes the escrow's identity this host's, as after its loss; the lost
// one's recipient takes the place of the escrow's.
func (w *world) useEscrow() {
	w.t.Helper()
	path := filepath.Join(w.dir, "identity.txt")
	text, err := os.ReadFile(path)
	if err != nil {
		w.t.Fatal(err)
	}
	own, err := age.ParseIdentities(bytes.NewReader(text))
	if err != nil {
		w.t.Fatal(err)
	}
	w.escrow = own[0].(*age.X25519Identity).Recipient().String()
	if err := os.WriteFile(path, []byte(w.escrowIdentity+"\n"), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

func endpointOf(s *testenv.Site) endpoint {
	c := s.Config(s.Prefix())
	return endpoint{c.Endpoint, c.Bucket, c.Prefix, c.AccessKey, c.SecretKey.Reveal()}
}

// write writes the configuration as the world stands now.
func (w *world) write() {
	w.t.Helper()
	site := func(kind string, e endpoint) string {
		return fmt.Sprintf("{kind: %s, endpoint: %q, region: us-east-1, bucket: %s, prefix: %s, access_key: %q, secret_key: %q}",
			kind, e.url, e.bucket, e.prefix, e.access, e.secret)
	}
	text := fmt.Sprintf(`version: 1
data_dir: %s
drills: {controls_every: never}
keys: {identity_file: %s, recipients: [%s]}
sites:
  onsite: %s
  cloud:  %s
sources:
  market: {kind: postgres, url: %q, connections: 3, lock_timeout: 500ms, max_snapshot_age: 10m}
functions:
  payments: {source: market, schemas: [payments], rpo: %s, rto: 1h, priority: 1%s}
%s`, filepath.Join(w.dir, "data"), filepath.Join(w.dir, "identity.txt"), w.escrow,
		site("minio", w.onsite), site("s3", w.cloud), w.source, w.rpo, w.extra, w.more)
	if err := os.WriteFile(w.config, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// outcome is what one call of the program did.
type outcome struct {
	args           []string
	stdout, stderr string
	code           int
}

func (o outcome) String() string {
	return fmt.Sprintf("backupd %s: exit %d\n--- stdout\n%s--- stderr\n%s", strings.Join(o.args, " "), o.code, o.stdout, o.stderr)
}

func (w *world) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, w.bin, append([]string{"--config", w.config}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// run calls the program and waits for it.
func (w *world) run(args ...string) outcome {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := w.command(ctx, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		w.t.Fatal(err)
	}
	return outcome{args, stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// must calls the program and fails the test when it exits with another status.
func (w *world) must(code int, args ...string) outcome {
	w.t.Helper()
	o := w.run(args...)
	if o.code != code {
		w.t.Fatalf("exit %d was wanted: %s", code, o)
	}
	return o
}

// fails calls the program, which must exit with code and name all of what.
func (w *world) fails(code int, args []string, what ...string) {
	w.t.Helper()
	o := w.must(code, args...)
	for _, s := range what {
		if !strings.Contains(o.stdout+o.stderr, s) {
			w.t.Errorf("%q is not named by %s", s, o)
		}
	}
}

// answer calls the program with --json and decodes what it says.
func answer[T any](w *world, code int, args ...string) T {
	w.t.Helper()
	o := w.must(code, append(args, "--json")...)
	var v T
	dec := json.NewDecoder(strings.NewReader(o.stdout))
	if err := dec.Decode(&v); err != nil {
		w.t.Fatalf("%v in %s", err, o)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		w.t.Fatalf("more than one document in %s", o)
	}
	return v
}

// daemon is a running service.
type daemon struct {
	cmd *exec.Cmd
	log *bytes.Buffer
	end chan error
}

func (w *world) serve() *daemon {
	w.t.Helper()
	d := &daemon{cmd: w.command(context.Background(), "serve"), log: &bytes.Buffer{}, end: make(chan error, 1)}
	d.cmd.Stderr, d.cmd.Stdout = d.log, d.log
	if err := d.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	go func() { d.end <- d.cmd.Wait() }()
	w.t.Cleanup(func() { d.kill() })
	socket := filepath.Join(w.dir, "data", "backupd.sock")
	w.eventually("the service to listen", func() bool {
		_, err := os.Stat(socket)
		return err == nil
	})
	return d
}

// kill ends the service as a crash would.
func (d *daemon) kill() {
	if d.cmd.ProcessState != nil {
		return
	}
	_ = d.cmd.Process.Kill()
	d.end <- <-d.end
}

// stop asks the service to end and returns its exit status.
func (d *daemon) stop(t *testing.T) int {
	t.Helper()
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-d.end:
		d.end <- err
	case <-time.After(30 * time.Second):
		t.Fatalf("the service did not end within 30 s of SIGTERM: %s", d.log)
	}
	return d.cmd.ProcessState.ExitCode()
}

func (w *world) eventually(what string, ok func() bool) {
	w.t.Helper()
	for end := time.Now().Add(60 * time.Second); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatalf("waited 60 s for %s", what)
		}
	}
}

// The parts of the program's answers that these tests look at.
type (
	snapshotsAnswer []struct {
		Function string
		Snapshot string
		Sites    map[string]struct{ State string }
	}
	statusAnswer struct {
		Serving   bool
		Degraded  bool
		Functions []struct {
			Function string
			Reasons  []string
		}
	}
)
