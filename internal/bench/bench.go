package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/saypro/backupd/internal/clock"
	"github.com/saypro/backupd/internal/market"
	"github.com/saypro/backupd/internal/pgserver"
)

const source = "market"

// bench is one run: everything that it has started and measured.
type bench struct {
	options
	work   string
	server *pgserver.Instance
	pid    int // of the PostgreSQL server
	quiet  int // how many children it has without connections
	sites  []*site
	report report
}

// measure sets everything up, runs the rounds and returns the report.
func (b *bench) measure(ctx context.Context) (*report, error) {
	if err := b.prepare(ctx); err != nil {
		return nil, err
	}
	for round := range b.rounds {
		b.tell("round %d of %d", round+1, b.rounds)
		if err := b.round(ctx, round); err != nil {
			return nil, err
		}
	}
	b.report.judge()
	return &b.report, nil
}

// tell says on stderr what goes on; stdout is for the result.
func (b *bench) tell(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
}

func (b *bench) prepare(ctx context.Context) error {
	program, err := filepath.Abs(b.backupd)
	if err != nil {
		return err
	}
	b.backupd = program
	if _, err := os.Stat(program); errors.Is(err, os.ErrNotExist) {
		build := exec.CommandContext(ctx, "go", "build", "-o", program, "./cmd/backupd")
		if out, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w\n%s", program, err, out)
		}
	}
	if b.bin, err = filepath.Abs(b.bin); err != nil {
		return err
	}
	if b.work, err = os.MkdirTemp(b.dir, "backupd-bench-"); err != nil {
		return err
	}
	for _, s := range []struct{ name, program string }{{"onsite", "minio"}, {"cloud", "versitygw"}} {
		started, err := startSite(ctx, s.name, filepath.Join(b.bin, s.program), filepath.Join(b.work, s.name))
		if err != nil {
			return err
		}
		b.sites = append(b.sites, started)
	}
	return b.seed(ctx)
}

// seed starts PostgreSQL and fills it. Vacuum and a checkpoint come before the
// first measurement, as that would pay for them otherwise.
func (b *bench) seed(ctx context.Context) error {
	server, err := pgserver.Start(ctx, pgserver.Options{
		Dir: filepath.Join(b.work, "postgres"), Fast: true,
		Settings: map[string]string{"shared_buffers": "512MB", "max_wal_size": "8GB", "checkpoint_timeout": "30min"},
	})
	if err != nil {
		return err
	}
	b.server = server
	if _, err := b.execute(ctx, "postgres", "CREATE DATABASE "+source); err != nil {
		return err
	}
	b.tell("making %d MiB", b.scale)
	if err := market.Seed(ctx, server.URL(source), market.Options{Scale: b.scale}); err != nil {
		return err
	}
	if _, err := b.execute(ctx, source, "VACUUM ANALYZE"); err != nil {
		return err
	}
	if b.report.DataBytes, b.report.Rows, err = market.Size(ctx, server.URL(source)); err != nil {
		return err
	}
	b.report.describe(b.scale, b.rounds)
	if b.report.PostgreSQL, err = b.execute(ctx, source, "SHOW server_version"); err != nil {
		return err
	}
	data, err := b.execute(ctx, source, "SHOW data_directory")
	if err != nil {
		return err
	}
	pidFile, err := os.ReadFile(filepath.Join(data, "postmaster.pid"))
	if err != nil {
		return err
	}
	first, _, _ := strings.Cut(string(pidFile), "\n")
	if b.pid, err = strconv.Atoi(first); err != nil {
		return err
	}
	if err := clock.System.Sleep(ctx, 500*time.Millisecond); err != nil {
		return err
	}
	b.quiet = children(b.pid)
	return nil
}

// execute runs one statement and returns the first value of its answer.
func (b *bench) execute(ctx context.Context, database, statement string) (string, error) {
	conn, err := pgx.Connect(ctx, b.server.URL(database))
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // nothing is lost with it
	results, err := conn.PgConn().Exec(ctx, statement).ReadAll()
	if err != nil {
		return "", fmt.Errorf("%s: %w", statement, err)
	}
	if len(results) > 0 && len(results[0].Rows) > 0 {
		return string(results[0].Rows[0][0]), nil
	}
	return "", nil
}

// close ends everything that was started and removes it.
func (b *bench) close() error {
	for _, s := range b.sites {
		s.stop()
	}
	var failed []error
	if b.server != nil {
		failed = append(failed, b.server.Stop(context.Background()))
	}
	switch {
	case b.work == "":
	case b.keep:
		b.tell("kept: %s", b.work)
	default:
		failed = append(failed, os.RemoveAll(b.work))
	}
	return errors.Join(failed...)
}
