package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/saypro/backupd/internal/pgserver"
	"github.com/saypro/backupd/internal/progress"
)

// Schema writes the definitions of everything in the scope to w, as pg_dump
// made them under the snapshot: an archive in the custom format for
// pg_restore. Archives of unchanged definitions by the same pg_dump are equal
// byte for byte.
func (c *Capture) Schema(ctx context.Context, w io.Writer) error {
	return c.do(ctx, "dumping the schema", func(ctx context.Context) error {
		switch {
		case c.sel.Whole():
			return c.dump(ctx, w)
		case len(c.sel.Tables) == 0:
			return c.dump(ctx, w, options("--schema=", c.sel.schemaNames)...)
		default:
			return c.dumpTables(ctx, w)
		}
	})
}

// dump runs pg_dump with the options that say what it dumps.
func (c *Capture) dump(ctx context.Context, w io.Writer, what ...string) error {
	program, err := dumpProgram(c.point)
	if err != nil {
		return err
	}
	env, err := clientEnvironment(c.source.opts.URL, applicationName(c.sel.Function))
	if err != nil {
		return err
	}
	header := &headerWriter{w: w}
	stderr := &tail{most: 8 << 10}
	err = c.source.runWatched(ctx, program, func(cmd *exec.Cmd) {
		cmd.Args = append(cmd.Args, append(c.dumpArguments(), what...)...)
		cmd.Env = env
		cmd.Stdout, cmd.Stderr = header, stderr
	})
	if err != nil {
		return dumpError(header.err, err, stderr.String())
	}
	if text := stderr.String(); text != "" {
		c.source.opts.Log.WarnContext(ctx, "pg_dump has something to say",
			"source", c.source.opts.Name, "function", c.sel.Function, "text", text)
	}
	return header.flush()
}

// runWatched runs a program, up to the moment when it does not wake up any
// more: it waits for an answer that does not come. Where that cannot be told
// only the age of the snapshot bounds it.
func (s *Source) runWatched(ctx context.Context, program string, prepare func(*exec.Cmd)) error {
	var pid atomic.Int64
	pulse := func() (int64, bool) {
		n, ok := pgserver.Wakeups(int(pid.Load()))
		return n, !ok
	}
	err := s.dog().Watch(ctx, filepath.Base(program), pulse, func(ctx context.Context) error {
		cmd := exec.CommandContext(ctx, program)
		cmd.Dir = "/"
		cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
		cmd.WaitDelay = 5 * time.Second
		prepare(cmd)
		if err := cmd.Start(); err != nil {
			return err
		}
		pid.Store(int64(cmd.Process.Pid))
		return cmd.Wait()
	})
	var stalled *progress.StalledError
	if errors.As(err, &stalled) {
		stalled.Moved = 0 // they were no bytes
	}
	return hung(err)
}

// dumpError tells why pg_dump failed, with its own words.
func dumpError(writing, running error, text string) error {
	if writing != nil {
		return fmt.Errorf("handing on the archive: %w", writing)
	}
	if text == "" {
		return fmt.Errorf("pg_dump: %w", running)
	}
	return fmt.Errorf("pg_dump: %w: %s", running, text)
}

// dumpProgram finds a pg_dump that can read the server.
func dumpProgram(point Point) (string, error) {
	server := point.ServerVersionNum / 10000
	program, err := pgserver.Binary("pg_dump")
	if errors.Is(err, exec.ErrNotFound) {
		return "", fmt.Errorf("%w: install postgresql-client-%d or newer", err, server)
	}
	if err != nil {
		return "", err
	}
	major, err := pgserver.Major(program)
	if err != nil {
		return "", err
	}
	if major < server {
		return "", fmt.Errorf("%s is of version %d and cannot read a server of version %d: install postgresql-client-%[3]d or newer",
			program, major, server)
	}
	return program, nil
}

// dumpArguments are those of pg_dump for every scope. Where the database is
// comes in its environment.
func (c *Capture) dumpArguments() []string {
	args := []string{
		"--format=custom", "--schema-only", "--no-password", "--strict-names", "--compress=0",
		"--snapshot=" + c.snapshot.name,
		fmt.Sprintf("--lock-wait-timeout=%d", c.source.opts.LockTimeout.Milliseconds()),
	}
	if c.point.Encoding == "SQL_ASCII" {
		return append(args, "--encoding=SQL_ASCII")
	}
	return append(args, "--encoding=UTF8")
}

// options writes an option of pg_dump for each name.
func options(option string, names []string) []string {
	args := make([]string, len(names))
	for i, name := range names {
		args[i] = option + dumpPattern(name)
	}
	return args
}

// tableOptions writes an option of pg_dump for each relation.
func tableOptions(option string, relations []relation) []string {
	args := make([]string, len(relations))
	for i, r := range relations {
		args[i] = option + dumpPattern(r.Schema) + "." + dumpPattern(r.Name)
	}
	return args
}

// dumpPattern writes a name so that pg_dump takes it as it is: in quotes no
// character stands for others.
func dumpPattern(name string) string {
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}

// tail keeps the last bytes written to it.
type tail struct {
	most int
	text []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.text = append(t.text, p...)
	if over := len(t.text) - t.most; over > 0 {
		t.text = append(t.text[:0], t.text[over:]...)
	}
	return len(p), nil
}

func (t *tail) String() string { return string(bytes.TrimSpace(t.text)) }
