package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"
)

// operator runs backupd, as somebody at a terminal would.
type operator struct {
	program string
	config  string
	env     []string
	printer *printer
}

// typed is a command as it would be typed into a shell.
func typed(args []string) string {
	line := "backupd"
	for _, arg := range args {
		if strings.ContainsAny(arg, " &?*;$'\"") {
			arg = "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
		}
		line += " " + arg
	}
	return line
}

// answer is what one command has said.
type answer struct {
	exit   int
	stdout []byte
	stderr string
}

// command is backupd with arguments, in a process group of its own: Ctrl-C is
// for the demonstration, which then ends what it has started.
func (o *operator) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, o.program, args...)
	cmd.Env = append(append(os.Environ(), o.env...), "BACKUPD_CONFIG="+o.config)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

// run runs a command to its end; an exit status is no error.
func (o *operator) run(ctx context.Context, args ...string) (answer, error) {
	cmd := o.command(ctx, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	a := answer{exit: cmd.ProcessState.ExitCode(), stdout: stdout.Bytes(), stderr: stderr.String()}
	if ctx.Err() != nil {
		return a, fmt.Errorf("backupd %s: %w", strings.Join(args, " "), context.Cause(ctx))
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return a, fmt.Errorf("backupd %s: %w", strings.Join(args, " "), err)
	}
	return a, nil
}

// show runs a command in the open: the command, what it prints, and its exit
// status, which must be want.
func (o *operator) show(ctx context.Context, want int, args ...string) error {
	return o.showOnly(ctx, nil, want, args...)
}

// showOnly is show with only those lines that keep accepts; nil accepts all.
func (o *operator) showOnly(ctx context.Context, keep func(line string) bool, want int, args ...string) error {
	o.printer.command(typed(args))
	a, err := o.run(ctx, args...)
	if err != nil {
		return err
	}
	out := string(a.stdout)
	if keep != nil && a.exit == want {
		out = only(out, keep)
	}
	o.printer.output(out)
	if a.exit != want {
		o.printer.output(a.stderr)
		return fmt.Errorf("backupd %s: exit status %d, expected %d", strings.Join(args, " "), a.exit, want)
	}
	if want != 0 {
		o.printer.say("exit status %d", a.exit)
	}
	return nil
}

// ask runs a command with --json, decodes its answer into v and returns the
// exit status, which must be one of wants.
func (o *operator) ask(ctx context.Context, v any, wants []int, args ...string) (int, error) {
	args = append(args, "--json")
	a, err := o.run(ctx, args...)
	if err != nil {
		return a.exit, err
	}
	allowed := false
	for _, want := range wants {
		allowed = allowed || a.exit == want
	}
	if !allowed {
		return a.exit, fmt.Errorf("backupd %s: exit status %d, expected %v\n%s", strings.Join(args, " "), a.exit, wants, firstOf(a.stderr, string(a.stdout)))
	}
	if err := json.Unmarshal(a.stdout, v); err != nil {
		return a.exit, fmt.Errorf("backupd %s: answer is not the JSON that was promised: %w", strings.Join(args, " "), err)
	}
	return a.exit, nil
}

// only returns the lines that keep accepts, with a word about the others.
func only(text string, keep func(string) bool) string {
	var kept []string
	left := 0
	for line := range strings.Lines(text) {
		if keep(line) {
			if !slices.Contains(kept, line) { // a verdict stands at the begin and at the end
				kept = append(kept, line)
			}
		} else if strings.TrimSpace(line) != "" {
			left++
		}
	}
	if left > 0 {
		kept = append(kept, fmt.Sprintf("(and %d lines of detail)", left))
	}
	return strings.Join(kept, "")
}

func firstOf(texts ...string) string {
	for _, text := range texts {
		if text = strings.TrimSpace(text); text != "" {
			return text
		}
	}
	return ""
}

// service is "backupd serve" as a child process.
type service struct {
	cmd   *exec.Cmd
	log   string
	ended chan struct{}
	err   error // how it ended; to be read after ended
}

// serve starts the service. It outlives ctx: stop ends it.
func (o *operator) serve(logFile string) (*service, error) {
	o.printer.command("backupd serve &")
	out, err := os.Create(logFile)
	if err != nil {
		return nil, err
	}
	defer func() { _ = out.Close() }() // the child has its own copy
	s := &service{cmd: o.command(context.Background(), "serve"), log: logFile, ended: make(chan struct{})}
	s.cmd.Stdout, s.cmd.Stderr = out, out
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("backupd serve: %w", err)
	}
	go func() {
		defer close(s.ended)
		s.err = s.cmd.Wait()
	}()
	return s, nil
}

// dead returns an error when the service has ended by itself.
func (s *service) dead() error {
	if s == nil {
		return nil
	}
	select {
	case <-s.ended:
		return fmt.Errorf("backupd serve has ended: %s", s.cmd.ProcessState)
	default:
		return nil
	}
}

// stop ends the service as an init system does, and returns how it ended.
func (s *service) stop(patience time.Duration) error {
	select {
	case <-s.ended:
		return fmt.Errorf("backupd serve had ended before: %s", s.cmd.ProcessState)
	default:
	}
	_ = s.cmd.Process.Signal(syscall.SIGTERM) // it may end at this moment
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	select {
	case <-s.ended:
		if s.err != nil {
			return fmt.Errorf("backupd serve after SIGTERM: %w", s.err)
		}
		return nil
	case <-ctx.Done():
	}
	_ = s.cmd.Process.Kill() // it may end at this moment
	<-s.ended
	return fmt.Errorf("backupd serve did not end within %s of SIGTERM and was killed", patience)
}
