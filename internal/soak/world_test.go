package soak

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/testenv"
)

// world is one installation: a database that changes all the time, two sites,
// a data directory, and those who watch the sites.
type world struct {
	t      *testing.T
	bin    string
	dir    string // keys and configuration
	data   string // data directory
	ident  string // file of the identity
	keep   string // rules of the functions
	spool  string // its bound; the program divides it by a number of its own
	pg     *testenv.PG
	books  []*book
	sites  []*site
	tally  *tally
	escrow *age.X25519Identity

	promised map[string]*promise // what the program has said of a snapshot, by id
	given    map[string]bool     // snapshots and commits that marks have given up
	holds    map[string]bool     // snapshots that are held
	caught   *[]string           // where violations go that a test wants; nil: they fail it
}

// site is a place for copies, behind a link that can be cut, or a folder.
type site struct {
	*testenv.Site
	folder  string
	prefix  string
	link    *testenv.Link
	secret  string // the one in the configuration
	auditor *auditor
}

// promise is what the program has said of a snapshot: from then on it must be
// so.
type promise struct {
	function string
	durable  map[string]bool // sites that it must be at
}

func newWorld(t *testing.T, pg *testenv.PG, pair *testenv.SitePair, tl *tally) *world {
	t.Helper()
	w := &world{t: t, bin: program(t), dir: t.TempDir(), pg: pg, tally: tl, promised: map[string]*promise{}, given: map[string]bool{}, holds: map[string]bool{}}
	w.data, w.ident, w.spool = w.path("data"), w.path("identity.txt"), "32GiB"
	var err error
	if w.escrow, err = age.GenerateX25519Identity(); err != nil {
		t.Fatal(err)
	}
	for _, s := range []*testenv.Site{pair.Onsite, pair.Cloud} {
		link := testenv.Proxy(t, strings.TrimPrefix(s.Endpoint, "http://"))
		w.sites = append(w.sites, &site{Site: s, prefix: s.Prefix(), link: link, secret: s.SecretKey})
	}
	for _, f := range []string{"orders", "stock"} {
		w.books = append(w.books, makeBook(t, pg, f))
	}
	w.configure()
	return w
}

// start makes the repository, and the auditors that watch it.
func (w *world) start() {
	w.t.Helper()
	w.must("", "init")
	w.watch()
}

func (w *world) watch() {
	w.t.Helper()
	for _, s := range w.sites {
		s.auditor = newAuditor(w, s)
	}
}

func (w *world) book(function string) *book {
	for _, b := range w.books {
		if b.function == function {
			return b
		}
	}
	w.t.Fatalf("there is no function %q", function)
	return nil
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

// configure writes the configuration as the world stands now.
func (w *world) configure() { w.configureFor(w.path("backupd.yaml"), w.data) }

func (w *world) configureFor(file, data string) {
	w.t.Helper()
	var text strings.Builder
	fmt.Fprintf(&text, "version: 1\ndata_dir: %s\nspool: {max_bytes: %s}\nsweep: {grace: 1h}\ndrills: {controls_every: never}\nkeys: {identity_file: %s, recipients: [%s]}\nsites:\n",
		data, w.spool, w.ident, w.escrow.Recipient())
	for _, s := range w.sites {
		if s.folder != "" {
			fmt.Fprintf(&text, "  %s: {kind: dir, path: %s}\n", s.Name, s.folder)
			continue
		}
		fmt.Fprintf(&text, "  %s: {kind: %s, endpoint: %q, region: us-east-1, bucket: %s, prefix: %s, access_key: %q, secret_key: %q}\n",
			s.Name, s.Kind, s.link.URL(), s.Bucket, s.prefix, s.AccessKey, s.secret)
	}
	fmt.Fprintf(&text, "sources:\n  market: {kind: postgres, url: %q, connections: 3, max_snapshot_age: 10m}\nfunctions:\n", w.pg.URL())
	for _, b := range w.books {
		fmt.Fprintf(&text, "  %s: {source: market, schemas: [%s], rpo: 10s, rto: 1h, suspect: {off: its rows come and go at random}%s}\n", b.function, b.function, w.keep)
	}
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// refuse makes the named sites refuse the program, and the others take it.
func (w *world) refuse(names ...string) {
	w.t.Helper()
	for _, s := range w.sites {
		if s.secret = s.SecretKey; slices.Contains(names, s.Name) {
			s.secret = "not-the-secret-of-this-site"
		}
	}
	w.configure()
}

// outcome is how one call of the program ended.
type outcome struct {
	args           []string
	stdout, stderr string
	code           int
	killed         bool
	point          string // at which it killed itself
}

func (o outcome) String() string {
	return fmt.Sprintf("backupd %s: exit %d, killed %t %s\n--- stdout\n%s--- stderr\n%s",
		strings.Join(o.args, " "), o.code, o.killed, o.point, o.stdout, o.stderr)
}

// call is the program while it runs.
type call struct {
	w      *world
	cmd    *exec.Cmd
	args   []string
	stdout bytes.Buffer
	stderr bytes.Buffer
	done   chan struct{}
}

// callEnds is when a call that has not ended hangs.
const callEnds = 90 * time.Second

func (w *world) begin(crash string, args ...string) *call {
	w.t.Helper()
	c := &call{w: w, args: args, done: make(chan struct{})}
	if len(args) == 0 || args[0] != "--config" {
		args = append([]string{"--config", w.path("backupd.yaml")}, args...)
	}
	c.cmd = exec.Command(w.bin, args...)
	c.cmd.Stdout, c.cmd.Stderr = &c.stdout, &c.stderr
	c.cmd.Env = append(os.Environ(), "BACKUPD_CRASH="+crash)
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := c.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	go func() {
		defer close(c.done)
		_ = c.cmd.Wait() // how it ended is looked at later
	}()
	w.t.Cleanup(c.kill)
	return c
}

// kill ends the call as a crash would. What it had started itself lives on.
func (c *call) kill() {
	_ = c.cmd.Process.Kill() // it may have ended by itself
	<-c.done
}

// over reports whether the call ends within that time.
func (c *call) over(within time.Duration) bool {
	select {
	case <-c.done:
		return true
	case <-time.After(within):
		return false
	}
}

// end waits for the call.
func (c *call) end() outcome {
	c.w.t.Helper()
	if !c.over(callEnds) {
		_ = c.cmd.Process.Signal(syscall.SIGQUIT) // says where it hangs
		c.over(5 * time.Second)
		c.kill()
		c.w.t.Fatalf("it hangs: %s", c.outcome())
	}
	return c.outcome()
}

func (c *call) outcome() outcome {
	status, _ := c.cmd.ProcessState.Sys().(syscall.WaitStatus)
	o := outcome{args: c.args, stdout: c.stdout.String(), stderr: c.stderr.String(), code: c.cmd.ProcessState.ExitCode()}
	o.killed = status.Signaled() && status.Signal() == syscall.SIGKILL
	if _, after, ok := strings.Cut(o.stderr, "crash: "); ok {
		o.point, _, _ = strings.Cut(after, "\n")
	}
	return o
}

func (w *world) run(crash string, args ...string) outcome {
	w.t.Helper()
	began := time.Now()
	o := w.begin(crash, args...).end()
	if os.Getenv("SOAK_TIMES") != "" {
		w.t.Logf("%s %s: %s", crash, strings.Join(args, " "), time.Since(began).Round(time.Millisecond))
	}
	return o
}

// must calls the program, which must do what it is asked.
func (w *world) must(crash string, args ...string) outcome {
	w.t.Helper()
	o := w.run(crash, args...)
	if o.code != 0 {
		w.t.Fatalf("status 0 was wanted: %s", o)
	}
	return o
}

// snapshotsText is what the program says of snapshots.
type snapshotsText []struct {
	Function      string
	Snapshot      string
	RecoveryPoint time.Time `json:"recovery_point"`
	Sites         map[string]struct{ State string }
}

// note remembers what a call of snapshot has promised.
func (w *world) note(o outcome) snapshotsText {
	w.t.Helper()
	if o.stdout == "" {
		return nil
	}
	var results snapshotsText
	if json.Unmarshal([]byte(o.stdout), &results) != nil {
		var failure struct{ Result snapshotsText }
		if err := json.Unmarshal([]byte(o.stdout), &failure); err != nil {
			w.t.Fatalf("%v: %s", err, o)
		}
		results = failure.Result
	}
	for _, r := range results {
		if r.Snapshot == "" {
			continue
		}
		p := &promise{function: r.Function, durable: map[string]bool{}}
		w.promised[r.Snapshot] = p
		for name, s := range r.Sites {
			p.durable[name] = s.State == "durable"
		}
		w.tally.promised++
	}
	return results
}

// openCatalog opens a copy of the catalog of an instance that does not run; nil
// when there is none or it does not open, which is a violation.
func (w *world) openCatalog() *catalog.Catalog {
	w.t.Helper()
	b, err := os.ReadFile(filepath.Join(w.data, "catalog.db"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	to := filepath.Join(w.t.TempDir(), "catalog.db")
	if err == nil {
		err = os.WriteFile(to, b, 0o600)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	c, err := catalog.Open(to)
	if err != nil {
		w.violation("the catalog does not open: %v", err)
	}
	_ = os.Remove(to) // it is open
	return c
}

// catalogIsWhole checks the catalog of an instance that does not run.
func (w *world) catalogIsWhole() {
	w.t.Helper()
	c := w.openCatalog()
	if c == nil {
		return
	}
	defer c.Close()
	if err := c.Verify(); err != nil {
		w.violation("the catalog is not whole: %v", err)
	}
}

// violation reports that something does not hold which must, and keeps all of
// it for a look.
func (w *world) violation(format string, args ...any) {
	w.t.Helper()
	if w.caught != nil {
		*w.caught = append(*w.caught, fmt.Sprintf(format, args...))
		return
	}
	w.tally.violations++
	w.t.Errorf(format, args...)
	if w.tally.violations > 1 {
		return
	}
	kept, err := os.MkdirTemp("", "backupd-soak-broken-")
	for _, dir := range []string{w.dir, w.data} {
		if err == nil {
			err = exec.Command("cp", "-a", dir, kept).Run()
		}
	}
	w.t.Logf("the data directory as it was then is in %s (%v)", kept, err)
}
