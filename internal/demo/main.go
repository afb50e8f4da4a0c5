// Command demo shows backupd at work: an online marketplace with customers in
// it, a service that keeps its promises at two sites, a site that dies, a
// table dropped by mistake, the restore, and the proof. It drives the real
// program from outside, as an operator does, and needs nothing but Go and the
// programs of PostgreSQL.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/saypro/backupd/internal/clock"
)

// budget is how long all of it may take; each step has less.
const budget = 5 * time.Minute

type options struct {
	scale   int
	rate    float64
	keep    bool
	backupd string
	config  string
}

func main() {
	var o options
	flag.IntVar(&o.scale, "scale", 300, "size of the marketplace in MiB")
	flag.Float64Var(&o.rate, "rate", 40, "writes a second by its customers")
	flag.BoolVar(&o.keep, "keep", false, "keep the working folder: configuration, logs, catalog")
	flag.StringVar(&o.backupd, "backupd", "bin/backupd", "the program to show; built when it is missing")
	flag.StringVar(&o.config, "config", "configs/demo.yaml", "its configuration")
	flag.Parse()
	if flag.NArg() > 0 || o.scale < 1 || o.rate <= 0 {
		flag.Usage()
		os.Exit(2)
	}
	os.Exit(run(o))
}

// run returns the exit status: 0 only if everything held.
func run(o options) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeoutCause(ctx, budget, fmt.Errorf("the demonstration took more than %s", budget))
	defer cancel()

	p := newPrinter(os.Stdout)
	w := &world{options: o, printer: p, clock: clock.System, began: clock.System.Now()}
	err := w.play(ctx)
	interrupted := ctx.Err() != nil && errors.Is(ctx.Err(), context.Canceled)
	if err != nil {
		w.explain(err, interrupted)
	}
	stop() // a second Ctrl-C ends at once
	if closing := w.close(); closing != nil {
		p.problem("clearing up: %v", closing)
		err = errors.Join(err, closing)
	}
	switch {
	case interrupted:
		return 130
	case err != nil:
		return 1
	}
	return 0
}
