// Command backupd-audit checks an evidence bundle of backupd: offline, with the
// public key of the log and nothing of the program that wrote it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/pflag"

	"github.com/saypro/backupd/internal/audit"
)

const help = `backupd-audit checks an evidence bundle of backupd.

  backupd-audit FILE --key PUBLIC-KEY [--head FILE] [--tsa-roots FILE] [--strict] [--json]

It needs no network, no configuration and nothing of the program that wrote the
bundle. All trust comes from the key, and from checkpoints if you have any: both
must have reached you by another way than the bundle.

`

const helpEnd = `
Exit status: 0 all is in order; 1 it could not be checked; 2 wrong usage; 4 something
is wrong: each finding names the record and says what it means. Warnings are what is
in order and yet not as it was promised: silence, promises that were lowered, anchors
that are missing, acts without an end. They come first; with --strict they are 4, too.
`

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var req audit.Request
	flags := pflag.NewFlagSet("backupd-audit", pflag.ContinueOnError)
	flags.SetOutput(stderr)
	// What cannot be said on standard error has nowhere else to go.
	complain := func(err error) { _, _ = fmt.Fprintf(stderr, "backupd-audit: %v\n", err) }
	flags.Usage = func() { _, _ = fmt.Fprint(stderr, help, flags.FlagUsages(), helpEnd) }
	flags.StringArrayVar(&req.Keys, "key", nil, "a `PUBLIC-KEY` of the log that you trust, or a file with it; may be repeated")
	flags.StringArrayVar(&req.Heads, "head", nil, "a `FILE` with a checkpoint that you were given; may be repeated")
	flags.StringArrayVar(&req.TSARoots, "tsa-roots", nil, "a `FILE` with certificates of time-stamping authorities that you trust, PEM; may be repeated")
	flags.BoolVar(&req.Strict, "strict", false, "end with status 4 when there are warnings, too")
	asJSON := flags.Bool("json", false, "print one JSON document")
	err := flags.Parse(args)
	if errors.Is(err, pflag.ErrHelp) {
		return 0
	}
	if err == nil && flags.NArg() != 1 {
		err = fmt.Errorf("%w: one bundle is checked at a time, and %d were named", audit.ErrUsage, flags.NArg())
	}
	if err != nil {
		complain(err)
		return 2
	}
	req.File = flags.Arg(0)
	v, err := audit.Check(ctx, req)
	if v != nil {
		show := audit.Show
		if *asJSON {
			show = audit.ShowJSON
		}
		if showErr := show(stdout, v); showErr != nil {
			complain(errors.Join(showErr, err))
			return 1
		}
	}
	if err != nil {
		complain(err)
	}
	return audit.Status(err)
}
