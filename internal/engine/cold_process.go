package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/saypro/backupd/internal/clock"
	"github.com/saypro/backupd/internal/progress"
	"github.com/saypro/backupd/internal/repository"
	"github.com/saypro/backupd/internal/verify"
)

// emptyHost is a process that knows nothing but an order, and what becomes of it.
type emptyHost struct {
	clock  clock.Clock
	dir    string // its folder, which is empty
	order  coldOrder
	key    string // whose it is
	known  repository.SnapshotInfo
	why    verify.Selection
	report progress.Reporter
	clear  func() error // what it may have left

	// In negative controls: what is run in its place, and what it is given of an
	// environment besides what it needs.
	program []string
	environ []string
}

// prove has the empty host restore and prove, and judges what comes of it. The
// error is that of a cold start that was not carried out to its end.
func (h *emptyHost) prove(ctx context.Context) (verify.Result, error) {
	f, site := h.order.Function, h.order.Site.Name
	started := h.clock.Now()
	answer, err := h.run(ctx)
	err = errors.Join(err, h.clear())
	ended := h.clock.Now()
	r := verify.Result{Function: f.Name, Site: site, Snapshot: h.known.ID, Started: started.UTC(), Selection: h.why}
	if answer.Result != nil {
		r = *answer.Result
		// An empty host chose, and knows of no proof: how many there were is known here.
		r.Selection.Proven = min(h.why.Proven, r.Selection.Population)
	}
	if err == nil && (r.Function != f.Name || r.Site != site) {
		err = fmt.Errorf("the empty host answers for function %q and site %q", r.Function, r.Site)
	}
	if err != nil {
		err = fmt.Errorf("cold start of %s from site %s: %w", f.Name, site, err)
		r.Error = err.Error()
	}
	r.Started = started.UTC()
	return verify.JudgeCold(r, verify.Cold{
		Rebuild: time.Duration(answer.RebuildSeconds * float64(time.Second)), Total: ended.Sub(started), RTO: f.RTO, Key: h.key,
		Known: h.known.ID, KnownTime: h.known.RecoveryPoint, Lost: answer.Lost,
	}), err
}

// run starts an empty host and waits for what comes of it.
func (h *emptyHost) run(ctx context.Context) (answer coldAnswer, err error) {
	order, err := json.Marshal(h.order)
	if err != nil {
		return answer, err
	}
	cmd, err := h.command(ctx)
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
	answer, readErr := readCold(out, h.report)
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
	return answer, noAnswer(errors.Join(waitErr, writeErr, readErr), complaint.text())
}

// noAnswer says that a process ended without a report, with whatever status.
func noAnswer(why error, complaint string) error {
	const text = "the empty host ended without an answer"
	switch {
	case why == nil && complaint == "":
		return errors.New(text + ", and with exit status 0")
	case why == nil:
		return fmt.Errorf("%s, and with exit status 0: %s", text, complaint)
	default:
		return fmt.Errorf("%s: %w: %s", text, why, complaint)
	}
}

// command is this program as an empty host, with nothing of the environment but
// what it needs to find programs, and to reach a site as this host does.
func (h *emptyHost) command(ctx context.Context) (*exec.Cmd, error) {
	program := h.program
	if program == nil {
		self, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("start an empty host: %w", err)
		}
		program = []string{self, ColdStartCommand}
	}
	cmd := exec.CommandContext(ctx, program[0], program[1:]...)
	cmd.Dir = h.dir
	cmd.Env = slices.DeleteFunc(os.Environ(), unneeded)
	cmd.Env = append(cmd.Env, h.environ...)
	return cmd, nil
}

// unneeded reports whether an empty host is not given a variable of the
// environment. Those of AWS are the keys of a site that names none.
func unneeded(entry string) bool {
	name, _, _ := strings.Cut(entry, "=")
	switch name = strings.ToUpper(name); name {
	case "PATH", "TMPDIR", "HOME", "USER", "LOGNAME", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "GOMEMLIMIT":
		return false
	}
	return !strings.HasPrefix(name, "AWS_")
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
