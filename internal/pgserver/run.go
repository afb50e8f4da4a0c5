package pgserver

import (
	"context"
	"os/exec"
	"syscall"
	"time"
)

// Run runs a client program of PostgreSQL to its end. When ctx ends or this
// process dies the program gets SIGTERM, on which it cancels what it and its
// parallel workers have asked of the server; SIGKILL would leave these
// running.
func Run(ctx context.Context, cmd *exec.Cmd) error {
	cmd.SysProcAttr = childAttr(nil, syscall.SIGTERM)
	var err error
	onOwnThread(func() {
		if err = ctx.Err(); err != nil {
			return
		}
		if err = cmd.Start(); err != nil {
			return
		}
		ended := make(chan struct{})
		go terminate(ctx, cmd, ended)
		err = cmd.Wait()
		close(ended)
	})
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// runPatience is how long a client program may take to end politely. It tells
// the server to cancel, which takes a moment, or for ever when the network
// hangs.
const runPatience = 5 * time.Second

// terminate ends cmd when ctx ends before it: politely, then by force.
func terminate(ctx context.Context, cmd *exec.Cmd, ended <-chan struct{}) {
	select {
	case <-ended:
		return
	case <-ctx.Done():
	}
	if cmd.Process.Signal(syscall.SIGTERM) != nil {
		return // it has ended just now
	}
	patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), runPatience)
	defer cancel()
	select {
	case <-ended:
	case <-patience.Done():
		// Its workers are in its process group.
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	}
}
