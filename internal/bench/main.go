// Command bench measures backupd against pg_dump and pg_restore: one machine,
// one data set, one run. docs/benchmarks.md says how and publishes the result.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

type options struct {
	scale   int
	rounds  int
	json    bool
	keep    bool
	backupd string
	bin     string
	dir     string
}

func main() {
	var o options
	flag.IntVar(&o.scale, "scale", 2048, "size of the data set in MiB of table data")
	flag.IntVar(&o.rounds, "n", 1, "rounds; the median of them is reported")
	flag.BoolVar(&o.json, "json", false, "print one JSON document instead of the table")
	flag.BoolVar(&o.keep, "keep", false, "keep the working folder")
	flag.StringVar(&o.backupd, "backupd", "bin/backupd", "the program to measure; built when it is missing")
	flag.StringVar(&o.bin, "bin", ".cache/bin", "where minio and versitygw are; see make tools")
	flag.StringVar(&o.dir, "dir", os.TempDir(), "where to put the working folder: needs about six times the data set")
	flag.Parse()
	if flag.NArg() > 0 || o.scale < 1 || o.rounds < 1 {
		flag.Usage()
		os.Exit(2)
	}
	os.Exit(run(o))
}

func run(o options) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	b := &bench{options: o}
	report, err := b.measure(ctx)
	err = errors.Join(err, b.close())
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 1
	}
	if o.json {
		err = report.writeJSON(os.Stdout)
	} else {
		err = report.writeTable(os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 1
	}
	return 0
}
