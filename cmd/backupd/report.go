package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/saypro/backupd/cmd/backupd/internal/show"
	"github.com/saypro/backupd/internal/audit"
	"github.com/saypro/backupd/internal/engine"
	"github.com/saypro/backupd/internal/report"
)

// reported is what the command says of a report that it wrote.
type reported struct {
	// File is where it lies, Bytes how long it is.
	File   string      `json:"file"`
	Bytes  int64       `json:"bytes"`
	Report report.Made `json:"report"`
}

// reportFlags are what a report is asked for with.
type reportFlags struct {
	function, from, to, month, quarter, proof string
	format, output                            string
	bundle, key                               string
}

func newReport(a *app) *cobra.Command {
	var flags reportFlags
	cmd := &cobra.Command{
		Use:   "report",
		Short: "Write a report for people: of a period, or of one proof",
		Long: `Report draws a document from the signed records of the evidence log alone: how
well the promises were kept at every moment of a period, with each violation,
each proof and each failure; or one proof with all that it found. It says what
is not proven, and how anybody can check the records themselves.

Without a period it is about this month so far. Times are UTC; a day alone means
its begin, and --to itself is not in the period.

With --bundle and --key it needs no service and no configuration: the bundle is
verified first, with the key that the auditor was given.`,
		Example: `  backupd report --month 2026-10 -o october.html
  backupd report --quarter 2026-Q3 --function payments -o payments.pdf
  backupd report --proof 8074 -o proof.html
  backupd report --bundle bundle.zip --key evidence.pub --month 2026-10 -o october.pdf`,
		GroupID:           groupDaily,
		Args:              args(cobra.NoArgs),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			req, err := a.reportRequest(cmd, &flags)
			if err != nil {
				return err
			}
			out, err := a.writeReport(cmd.Context(), req, flags)
			return a.answerReport(out, err, flags)
		},
	}
	f := cmd.Flags()
	f.StringVar(&flags.function, "function", "", "the only `FUNCTION` that it is about (default all)")
	f.StringVar(&flags.from, "from", "", "the `TIME` at which the period begins")
	f.StringVar(&flags.to, "to", "", "the `TIME` at which it ends (default now)")
	f.StringVar(&flags.month, "month", "", "the period is this `MONTH`, 2026-10")
	f.StringVar(&flags.quarter, "quarter", "", "the period is this `QUARTER`, 2026-Q3")
	f.StringVar(&flags.proof, "proof", "", "one proof: the number of its `RECORD` in the evidence log")
	f.StringVar(&flags.format, "format", "", "`FORMAT`: html, pdf or json (default as the file is called; html on standard output)")
	f.StringVarP(&flags.output, "output", "o", "", "the `FILE` to write; - is standard output")
	f.StringVar(&flags.bundle, "bundle", "", "read the records from this `FILE`, made by 'backupd audit bundle'")
	f.StringVar(&flags.key, "key", "", "verify the bundle with this verifier key, or the one in this `FILE`")
	_ = cmd.MarkFlagFilename("bundle", "zip")
	complete(cmd, "format", report.Formats...)
	a.completeFromConfig(cmd, "function", functionNames)
	return cmd
}

// reportRequest checks the flags and makes a request of them.
func (a *app) reportRequest(cmd *cobra.Command, f *reportFlags) (report.Request, error) {
	req := report.Request{Function: f.function}
	wrong := func(format string, args ...any) (report.Request, error) {
		return req, usageError(cmd, fmt.Errorf(format, args...))
	}
	switch {
	case f.output == "":
		return wrong("report needs -o FILE, or -o - for standard output")
	case f.output == "-" && a.json:
		return wrong("with --json standard output has the answer of the command; write the report into a file")
	case (f.bundle == "") != (f.key == ""):
		return wrong("--bundle and --key belong together: a bundle is worth what the key is that it is verified with")
	case f.proof != "" && (f.from != "" || f.to != "" || f.month != "" || f.quarter != "" || f.function != ""):
		return wrong("--proof is one proof; a period or a function cannot be given with it")
	}
	var err error
	if req.Format, err = reportForm(*f); err != nil {
		return wrong("%w", err)
	}
	if req.Format == report.FormatPDF && f.output == "-" && show.IsTerminal(a.stdout) {
		return wrong("a PDF is not for a terminal; write it into a file")
	}
	if f.proof != "" {
		sequence, err := strconv.ParseUint(f.proof, 10, 64)
		if err != nil {
			return wrong("--proof %q: it is the number of a record; the report of a period lists them", f.proof)
		}
		req.Proof = &sequence
		return req, nil
	}
	if req.From, req.To, err = reportPeriod(*f, a.clock.Now().UTC()); err != nil {
		return wrong("%w", err)
	}
	return req, nil
}

// reportForm is the form that is asked for, or the one that the file is called
// by.
func reportForm(f reportFlags) (string, error) {
	if f.format != "" {
		if !slices.Contains(report.Formats, f.format) {
			return "", fmt.Errorf("--format %q: it is %s", f.format, strings.Join(report.Formats, ", "))
		}
		return f.format, nil
	}
	switch ext := strings.TrimPrefix(strings.ToLower(filepath.Ext(f.output)), "."); {
	case slices.Contains(report.Formats, ext):
		return ext, nil
	case ext == "htm" || f.output == "-":
		return report.FormatHTML, nil
	default:
		return "", fmt.Errorf("-o %s: in which form? Call the file .%s, or say it with --format", f.output, strings.Join(report.Formats, ", ."))
	}
}

// writeReport lets whoever has the records write the report.
func (a *app) writeReport(ctx context.Context, req report.Request, f reportFlags) (*reported, error) {
	if f.output == "-" {
		return a.makeReport(ctx, req, f, a.stdout)
	}
	file, err := os.CreateTemp(filepath.Dir(f.output), ".backupd-report-*")
	if err != nil {
		var path *fs.PathError
		if errors.As(err, &path) {
			err = path.Err // of a name that nobody gave
		}
		return nil, fmt.Errorf("write the report %s: make a file in %s: %w", f.output, filepath.Dir(f.output), err)
	}
	defer func() { _ = os.Remove(file.Name()) }() // gone by then, when all went well
	out, err := a.makeReport(ctx, req, f, file)
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(file.Name(), f.output)
	}
	if err != nil {
		return nil, fmt.Errorf("write the report %s: %w", f.output, err)
	}
	return out, nil
}

func (a *app) makeReport(ctx context.Context, req report.Request, f reportFlags, w io.Writer) (*reported, error) {
	out := &reported{File: f.output}
	counted := &counter{to: w}
	var err error
	if f.bundle != "" {
		key, keyErr := audit.PublicKey(f.key)
		if keyErr != nil {
			return nil, fmt.Errorf("%w: --key: %w", engine.ErrUsage, keyErr)
		}
		out.Report, err = engine.ReportBundle(ctx, f.bundle, key.String(), req, a.engineOptions(), counted)
	} else {
		err = a.using(ctx, func(ops operations) (err error) {
			out.Report, err = ops.Report(ctx, req, counted)
			return err
		})
	}
	out.Bytes = counted.n
	return out, err
}

// counter counts what goes through it.
type counter struct {
	to io.Writer
	n  int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.to.Write(p)
	c.n += int64(n)
	return n, err
}

func (a *app) answerReport(out *reported, err error, f reportFlags) error {
	return a.answer(something(out, out != nil), err, func() error {
		if out == nil || err != nil || f.output == "-" {
			return nil
		}
		_, err := fmt.Fprintln(a.stdout, reportLine(out))
		return err
	})
}

// reportLine says in a line what was written, and what of it deserves a look.
func reportLine(out *reported) string {
	m := out.Report
	line := fmt.Sprintf("%s: %s, ", out.File, show.Bytes(out.Bytes))
	if m.Proof != nil {
		return line + fmt.Sprintf("the proof of record %d: %s", *m.Proof, m.Finding)
	}
	line += fmt.Sprintf("%s to %s, %s", show.Time(m.From), show.Time(m.To), show.Plural(len(m.Verdicts), "function"))
	if len(m.Verdicts)+m.Proofs+m.Failures == 0 {
		return line + "; nothing is on record of that time"
	}
	n := map[report.Verdict]int{}
	for _, v := range m.Verdicts {
		n[v]++
	}
	for _, v := range []report.Verdict{report.Kept, report.Partly, report.Broken, report.Unknown} {
		if n[v] > 0 {
			line += fmt.Sprintf(", %d %s", n[v], v)
		}
	}
	return line + fmt.Sprintf("; %s, %d not passed; %s, %d without an end",
		show.Plural(m.Proofs, "proof"), m.NotPassed, show.Plural(m.Failures, "failure"), m.Unanswered)
}
