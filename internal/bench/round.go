package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"filippo.io/age"

	"github.com/saypro/backupd/internal/clock"
	"github.com/saypro/backupd/internal/market"
	"github.com/saypro/backupd/internal/pgserver"
)

// What is measured, in this order. The order is the same in every round: each
// finds the data set in the cache of the operating system.
const (
	dumpFast    = "pg_dump -Fd -j2 -Z1, local folder"
	dumpDefault = "pg_dump -Fd -j2, local folder"
	first       = "backupd snapshot, first, both sites"
	unchanged   = "backupd snapshot, unchanged, both sites"
	reload      = "pg_restore -j2, from that folder"
	restore     = "backupd restore, all functions"
)

// jobs is how many connections everything measured may use.
const jobs = 2

func (b *bench) round(ctx context.Context, n int) error {
	dir := filepath.Join(b.work, fmt.Sprintf("round-%d", n))
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	for _, step := range []func(context.Context, string) error{b.dumps, b.snapshots, b.restores} {
		if err := step(ctx, dir); err != nil {
			return err
		}
	}
	return os.RemoveAll(dir)
}

// record measures a command and what the servers do for it.
func (b *bench) record(ctx context.Context, name string, stored func() (int64, error), cmd *exec.Cmd) ([]byte, error) {
	// No command pays for the writes of the one before it.
	if _, err := b.execute(ctx, "postgres", "CHECKPOINT"); err != nil {
		return nil, err
	}
	if err := b.settle(ctx); err != nil {
		return nil, err
	}
	before, err := b.processors()
	if err != nil {
		return nil, err
	}
	c, out, err := spend(ctx, cmd)
	if err != nil {
		return nil, err
	}
	if err := b.settle(ctx); err != nil {
		return nil, err
	}
	after, err := b.processors()
	if err != nil {
		return nil, err
	}
	c.ServerCPU, c.SiteCPU = after[0]-before[0], after[1]-before[1]
	bytes := int64(0)
	if stored != nil {
		if bytes, err = stored(); err != nil {
			return nil, err
		}
	}
	b.report.add(name, c, bytes)
	b.tell("  %-42s %6.1f s", name, c.Wall)
	return out, nil
}

// settle waits until the server has seen the last connection off: the
// processor time of a child counts only when it has been waited for.
func (b *bench) settle(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for children(b.pid) > b.quiet {
		if err := clock.System.Sleep(ctx, 20*time.Millisecond); err != nil {
			return fmt.Errorf("connections that do not end: %w", err)
		}
	}
	return nil
}

// processors returns the processor time that PostgreSQL and the sites have
// used so far.
func (b *bench) processors() ([2]float64, error) {
	var total [2]float64
	var err error
	if total[0], err = processor(b.pid); err != nil {
		return total, err
	}
	for _, s := range b.sites {
		t, err := processor(s.process.Pid)
		if err != nil {
			return total, err
		}
		total[1] += t
	}
	return total, nil
}

func (b *bench) dumps(ctx context.Context, dir string) error {
	program, err := pgserver.Binary("pg_dump")
	if err != nil {
		return err
	}
	url := b.server.URL(source)
	for _, d := range []struct {
		name, folder string
		args         []string
	}{
		{dumpFast, "fast", []string{"-Z1"}},
		{dumpDefault, "default", nil},
	} {
		folder := filepath.Join(dir, d.folder)
		args := append([]string{"-Fd", "-j" + strconv.Itoa(jobs), "-f", folder, "-d", url}, d.args...)
		cmd := exec.CommandContext(ctx, program, args...)
		if _, err := b.record(ctx, d.name, func() (int64, error) { return diskUsage(folder) }, cmd); err != nil {
			return err
		}
	}
	return os.RemoveAll(filepath.Join(dir, "default"))
}

// configure writes the configuration of a repository of its own for the round.
func (b *bench) configure(dir string) (string, error) {
	escrow, err := age.GenerateX25519Identity()
	if err != nil {
		return "", err
	}
	var text strings.Builder
	p := func(format string, args ...any) { _, _ = fmt.Fprintf(&text, format+"\n", args...) } // memory takes it
	p("version: 1")
	p("data_dir: %s", filepath.Join(dir, "backupd"))
	p("min_sites: 2")
	p("keys: {identity_file: %s, recipients: [%s]}", filepath.Join(dir, "identity.txt"), escrow.Recipient())
	p("sites:")
	for i, kind := range []string{"minio", "s3"} {
		s := b.sites[i]
		p("  %s: {kind: %s, endpoint: %q, region: us-east-1, bucket: %s, prefix: %s, access_key: %s, secret_key: \"${BENCH_SECRET}\"}",
			s.name, kind, s.endpoint(), bucket, filepath.Base(dir), accessKey)
	}
	p("sources:")
	p("  market: {kind: postgres, url: \"${BENCH_URL}\", connections: %d}", jobs)
	p("functions:")
	for _, schema := range market.Schemas {
		p("  %s: {source: market, schemas: [%s], rpo: 1h, rto: 1h}", schema, schema)
	}
	p("scratch: {kind: instance}")
	file := filepath.Join(dir, "backupd.yaml")
	return file, os.WriteFile(file, []byte(text.String()), 0o600)
}

func (b *bench) program(ctx context.Context, config string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, b.backupd, append([]string{"--config", config}, args...)...)
	cmd.Env = append(os.Environ(), "BENCH_SECRET="+secretKey, "BENCH_URL="+b.server.URL(source))
	return cmd
}

func (b *bench) snapshots(ctx context.Context, dir string) error {
	config, err := b.configure(dir)
	if err != nil {
		return err
	}
	if _, _, err := spend(ctx, b.program(ctx, config, "init")); err != nil {
		return err
	}
	held := int64(0)
	for _, name := range []string{first, unchanged} {
		// The cloud site keeps objects as plain files: what is there was
		// stored, whatever anybody says about it.
		stored := func() (int64, error) {
			now, err := diskUsage(filepath.Join(b.sites[1].data, bucket, filepath.Base(dir)))
			grown := now - held
			held = now
			return grown, err
		}
		out, err := b.record(ctx, name, stored, b.program(ctx, config, "snapshot", "--json"))
		if err != nil {
			return err
		}
		results, err := b.durable(out)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		for _, r := range results {
			b.report.phases(name, r.Phases)
		}
	}
	return nil
}

// taken is what the benchmark reads of the answer to a snapshot.
type taken struct {
	Function string             `json:"function"`
	Rows     int64              `json:"rows"`
	Phases   map[string]float64 `json:"phases"`
	Sites    map[string]struct {
		State string `json:"state"`
	} `json:"sites"`
}

// durable checks that a snapshot did what is compared with a dump.
func (b *bench) durable(out []byte) ([]taken, error) {
	var results []taken
	if err := json.Unmarshal(out, &results); err != nil {
		return nil, err
	}
	rows := int64(0)
	for _, r := range results {
		rows += r.Rows
		for _, s := range b.sites {
			if state := r.Sites[s.name].State; state != "durable" {
				return nil, fmt.Errorf("%s is %q at %s", r.Function, state, s.name)
			}
		}
	}
	if len(results) != len(market.Schemas) || rows < b.report.Rows {
		return nil, fmt.Errorf("%d functions with %d rows captured, the data set has %d", len(results), rows, b.report.Rows)
	}
	return results, nil
}

func (b *bench) restores(ctx context.Context, dir string) error {
	program, err := pgserver.Binary("pg_restore")
	if err != nil {
		return err
	}
	if _, err := b.execute(ctx, "postgres", "CREATE DATABASE reloaded"); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, program, "-j"+strconv.Itoa(jobs), "--exit-on-error", "-d", b.server.URL("reloaded"), filepath.Join(dir, "fast"))
	if _, err := b.record(ctx, reload, nil, cmd); err != nil {
		return err
	}
	if _, err := b.execute(ctx, "postgres", "DROP DATABASE reloaded"); err != nil {
		return err
	}
	b.report.begin(restore)
	for _, schema := range market.Schemas {
		name := "restored_" + schema
		if _, err := b.execute(ctx, "postgres", "CREATE DATABASE "+name); err != nil {
			return err
		}
		cmd := b.program(ctx, filepath.Join(dir, "backupd.yaml"), "restore", schema, "--to", b.server.URL(name), "--json")
		out, err := b.record(ctx, restore, nil, cmd)
		if err != nil {
			return err
		}
		var result taken
		if err := json.Unmarshal(out, &result); err != nil {
			return err
		}
		b.report.phases(restore, result.Phases)
		if _, err := b.execute(ctx, "postgres", "DROP DATABASE "+name); err != nil {
			return err
		}
	}
	return nil
}
