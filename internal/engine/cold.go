package engine

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"filippo.io/age"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/config"
	"github.com/saypro/backupd/internal/progress"
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
	for _, id := range ids {
		if slices.ContainsFunc(own, func(mine age.Identity) bool { return sameIdentity(id, mine) }) {
			key.whose = verify.TheDaemons
		}
	}
	return key, nil
}

func sameIdentity(a, b age.Identity) bool {
	x, isX := a.(*age.X25519Identity)
	y, isY := b.(*age.X25519Identity)
	return isX && isY && x.Recipient().String() == y.Recipient().String()
}

// coldStart makes one cold start and puts it on record, as intent before and as
// result after.
func (e *Engine) coldStart(ctx context.Context, f config.Function, site string, key coldKey, scheduled bool, report progress.Reporter) (verify.Result, error) {
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
		return verify.Result{Function: f.Name, Site: site, RequestedLevel: "L7", Error: err.Error()}, err
	}
	req := verify.Request{Function: f.Name, From: site, Snapshot: newest, Level: "L7", Selection: why}
	return e.attestProof(ctx, req, func() (verify.Result, error) { return e.coldProof(ctx, f, req, key, scheduled, report) })
}

// coldProof makes the cold start itself.
func (e *Engine) coldProof(ctx context.Context, f config.Function, req verify.Request, key coldKey, scheduled bool, report progress.Reporter) (verify.Result, error) {
	site, newest, why := req.From, req.Snapshot, req.Selection
	started := e.clock.Now()
	record := catalog.Proof{Function: f.Name, Snapshot: newest, Site: site, Started: started, Rule: why.Rule, Scheduled: scheduled, Cold: true}
	if err := e.catalog.PutProof(&record); err != nil {
		return verify.Result{}, fmt.Errorf("cold start of %s from site %s: record the intent: %w", f.Name, site, err)
	}
	answer, err := e.runCold(ctx, f, site, key, report)
	ended := e.clock.Now()
	r := verify.Result{Function: f.Name, Site: site, Snapshot: newest, Started: started.UTC(), Selection: why}
	if answer.Result != nil {
		r = *answer.Result
	}
	if err != nil {
		err = fmt.Errorf("cold start of %s from site %s: %w", f.Name, site, err)
		r.Error = err.Error()
	}
	r.Started = started.UTC()
	r = verify.JudgeCold(r, verify.Cold{
		Rebuild: time.Duration(answer.RebuildSeconds * float64(time.Second)), Total: ended.Sub(started), RTO: f.RTO, Key: key.whose,
	})
	record.Ended, record.Level, record.Passed, record.Difference = ended, r.Level, r.Passed, r.Difference
	record.Snapshot, record.Error = cmp.Or(r.Snapshot, newest), r.Unmet()
	var recordErr error
	if record.Result, recordErr = json.Marshal(r); recordErr == nil {
		recordErr = e.catalog.PutProof(&record)
	}
	return r, errors.Join(e.proofOutcome(r, err), recordErr)
}

// runCold starts an empty host and waits for what comes of it. The error is that
// of a cold start that was not carried out to its end.
func (e *Engine) runCold(ctx context.Context, f config.Function, site string, key coldKey, report progress.Reporter) (answer coldAnswer, err error) {
	dir, err := e.coldFolder()
	if err != nil {
		return answer, err
	}
	defer func() { err = errors.Join(err, e.clearCold(context.WithoutCancel(ctx), dir)) }()
	order, err := json.Marshal(newColdOrder(e.cfg, f, site, dir, key.identity))
	if err != nil {
		return answer, err
	}
	cmd, err := coldCommand(ctx, dir)
	if err != nil {
		return answer, err
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		return answer, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return answer, err
	}
	var complaint tail
	cmd.Stderr = &complaint
	cmd.Cancel = in.Close // it ends by itself then, and clears up
	cmd.WaitDelay = coldFarewell
	if err := cmd.Start(); err != nil {
		return answer, fmt.Errorf("start an empty host: %w", err)
	}
	_, writeErr := in.Write(order)
	answer, readErr := readCold(out, report)
	_ = in.Close() // it may be closed already
	waitErr := cmd.Wait()
	switch {
	case ctx.Err() != nil:
		return answer, context.Cause(ctx)
	case answer.Error != "":
		return answer, errors.New(answer.Error)
	case answer.Result != nil && waitErr == nil:
		return answer, nil
	}
	return answer, fmt.Errorf("the empty host ended without an answer: %w: %s", errors.Join(waitErr, writeErr, readErr), complaint.text())
}

// coldCommand is this program as an empty host, with nothing of the environment
// but what it needs to find programs, and to reach a site as this host does.
func coldCommand(ctx context.Context, dir string) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("start an empty host: %w", err)
	}
	cmd := exec.CommandContext(ctx, self, ColdStartCommand)
	cmd.Dir = dir
	for _, entry := range os.Environ() {
		if name, _, _ := strings.Cut(entry, "="); needed(name) {
			cmd.Env = append(cmd.Env, entry)
		}
	}
	return cmd, nil
}

// needed reports whether an empty host gets a variable of the environment. Those
// of AWS are the keys of a site that names none.
func needed(name string) bool {
	switch strings.ToUpper(name) {
	case "PATH", "TMPDIR", "HOME", "USER", "LOGNAME", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "GOMEMLIMIT":
		return true
	}
	return strings.HasPrefix(name, "AWS_")
}

// readCold reads the lines of an empty host until the last.
func readCold(out io.Reader, report progress.Reporter) (answer coldAnswer, err error) {
	for lines := json.NewDecoder(out); ; {
		var line coldAnswer
		switch err := lines.Decode(&line); {
		case errors.Is(err, io.EOF):
			return answer, nil
		case err != nil:
			return answer, fmt.Errorf("read what the empty host says: %w", err)
		case line.Event != nil:
			report.Report(*line.Event)
		default:
			answer = line
		}
	}
}

// tail keeps the end of what is written to it.
type tail struct{ kept []byte }

const tailBytes = 4 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.kept = append(t.kept, p...)
	if over := len(t.kept) - tailBytes; over > 0 {
		t.kept = t.kept[over:]
	}
	return len(p), nil
}

func (t *tail) text() string { return strings.ToValidUTF8(strings.TrimSpace(string(t.kept)), "") }

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
