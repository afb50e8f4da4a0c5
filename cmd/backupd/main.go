// Command backupd protects the business functions that run on a few databases:
// it takes recovery points often enough, keeps each one at several sites,
// restores them, and proves that it can.
package main

import (
	"context"
	"math"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/saypro/backupd/internal/engine"
)

// memoryLimit is what the Go runtime is asked to stay within: what remains of
// the 256 MiB that the process may take goes to stacks, code, and the pages of
// the catalog.
const memoryLimit = 200 << 20

func main() { os.Exit(run(os.Args[1:])) }

// run executes one command line and returns its exit status.
func run(args []string) int {
	if debug.SetMemoryLimit(-1) == math.MaxInt64 { // GOMEMLIMIT is not set
		debug.SetMemoryLimit(memoryLimit)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// The first signal asks to end, and to clear up; the second one ends.
	context.AfterFunc(ctx, stop)

	if len(args) == 1 && args[0] == engine.ColdStartCommand {
		return coldStart(ctx)
	}
	a := newApp(os.Stdin, os.Stdout, os.Stderr)
	root := newRoot(a)
	root.SetArgs(args)
	return a.conclude(args, root.ExecuteContext(ctx))
}
