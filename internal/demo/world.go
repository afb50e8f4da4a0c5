package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"filippo.io/age"

	"github.com/saypro/backupd/internal/clock"
	"github.com/saypro/backupd/internal/demo/s3site"
	"github.com/saypro/backupd/internal/market"
	"github.com/saypro/backupd/internal/pgserver"
)

const (
	database = "market"   // the live database
	restored = "restored" // the one that comes back
	bucket   = "backups"
)

var functions = []string{"accounts", "catalog", "payments"}

// world is everything that the demonstration has started.
type world struct {
	options
	*printer
	clock clock.Clock
	began time.Time

	dir      string // the working folder
	server   *pgserver.Instance
	sites    map[string]*s3site.Site
	traffic  *market.Traffic
	operator *operator
	service  *service

	measured measured
}

// prepare makes the working folder and finds or builds the program.
func (w *world) prepare(ctx context.Context) error {
	for _, program := range []string{"postgres", "pg_dump", "pg_restore"} {
		if _, err := pgserver.Binary(program); err != nil {
			return fmt.Errorf("%w\nOn Debian: apt-get install postgresql", err)
		}
	}
	dir, err := os.MkdirTemp("", "backupd-demo-")
	if err != nil {
		return err
	}
	w.dir = dir
	config, err := filepath.Abs(w.config)
	if err != nil {
		return err
	}
	program, err := filepath.Abs(w.backupd)
	if err != nil {
		return err
	}
	if _, err := os.Stat(program); errors.Is(err, os.ErrNotExist) {
		w.say("building %s …", w.backupd)
		build := exec.CommandContext(ctx, "go", "build", "-o", program, "./cmd/backupd")
		if out, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w\n%s", w.backupd, err, out)
		}
	}
	w.operator = &operator{program: program, config: config, printer: w.printer}
	return nil
}

// environment is what configs/demo.yaml takes from the environment.
func (w *world) environment() ([]string, error) {
	escrow, err := age.GenerateX25519Identity()
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(w.dir, "escrow.txt"), []byte(escrow.String()+"\n"), 0o600); err != nil {
		return nil, err
	}
	return []string{
		"DEMO_DIR=" + w.dir,
		"DEMO_SOURCE_URL=" + w.server.URL(database),
		"DEMO_ONSITE_ENDPOINT=" + w.sites["onsite"].Endpoint(),
		"DEMO_CLOUD_ENDPOINT=" + w.sites["cloud"].Endpoint(),
		"DEMO_ACCESS_KEY=demo",
		"DEMO_SECRET_KEY=demo-secret",
		"DEMO_ESCROW_RECIPIENT=" + escrow.Recipient().String(),
	}, nil
}

func (w *world) serviceLog() string { return filepath.Join(w.dir, "serve.log") }

// close ends and removes everything, in the order opposite to its start.
func (w *world) close() error {
	var failed []error
	if w.service != nil {
		failed = append(failed, w.service.stop(20*time.Second))
	}
	if w.traffic != nil {
		_, err := w.traffic.Stop()
		failed = append(failed, err)
	}
	for _, site := range w.sites {
		failed = append(failed, site.Close())
	}
	if w.server != nil {
		failed = append(failed, w.server.Stop(context.Background()))
	}
	switch {
	case w.dir == "":
	case w.keep:
		w.say("kept: %s", w.dir)
	default:
		failed = append(failed, os.RemoveAll(w.dir))
	}
	return errors.Join(failed...)
}

// explain tells what went wrong and where to look.
func (w *world) explain(err error, interrupted bool) {
	w.write("")
	if interrupted {
		w.say("interrupted; clearing up")
		return
	}
	for i, line := range strings.Split(err.Error(), "\n") {
		if i == 0 {
			w.problem("step %d failed: %s", w.step, line)
			continue
		}
		w.say("  %s", line)
	}
	if w.dir == "" {
		return
	}
	log, err := w.saveLog()
	if err != nil {
		return // the service was not started yet
	}
	w.say("The log of the service: %s", log)
	w.say("To look around after a failure: go run ./internal/demo -keep")
}

// saveLog puts the log of the service where it outlives the working folder:
// the one thing that a failure leaves behind.
func (w *world) saveLog() (string, error) {
	from, err := os.Open(w.serviceLog())
	if err != nil {
		return "", err
	}
	defer func() { _ = from.Close() }() // only read
	if w.keep {
		return w.serviceLog(), nil
	}
	to, err := os.CreateTemp("", "backupd-demo-failed-*.log")
	if err != nil {
		return "", err
	}
	_, err = io.Copy(to, from)
	return to.Name(), errors.Join(err, to.Close())
}

// until asks again and again whether something has come about, for at most
// patience, and fails at once when the service has died.
func (w *world) until(ctx context.Context, patience time.Duration, what string, done func(context.Context) (bool, string, error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("not within %s", patience))
	defer cancel()
	began := w.clock.Now()
	state := ""
	for {
		ok, now, err := done(ctx)
		if now != "" {
			state = now
		}
		switch {
		case ctx.Err() != nil:
			return fmt.Errorf("waiting for %s: %w; last seen: %s", what, context.Cause(ctx), firstOf(state, "nothing"))
		case err != nil:
			return fmt.Errorf("waiting for %s: %w", what, err)
		case ok:
			return nil
		}
		if err := w.service.dead(); err != nil {
			return fmt.Errorf("waiting for %s: %w", what, err)
		}
		w.waiting(what, state, w.clock.Now().Sub(began))
		if err := w.clock.Sleep(ctx, 300*time.Millisecond); err != nil && ctx.Err() == nil {
			return err
		}
	}
}
