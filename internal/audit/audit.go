// Package audit checks an evidence bundle in a file and shows what came of it.
// It is all of backupd-audit, and imports nothing of the engine.
package audit

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/saypro/backupd/internal/evidence"
)

var (
	// ErrUsage marks a request that cannot be carried out as it is put.
	ErrUsage = errors.New("wrong usage")
	// ErrWrong marks a bundle in which something was found to be wrong.
	ErrWrong = errors.New("the evidence is not in order")
)

// maxHead bounds a file with a checkpoint.
const maxHead = 64 << 10

// Request says what to check.
type Request struct {
	File  string
	Keys  []string // public keys, as text, or files with one
	Heads []string // files with checkpoints
}

// Check checks a bundle. With an error that matches [ErrWrong] there is a
// verification, unless the file is no bundle at all.
func Check(req Request) (*evidence.Verification, error) {
	// A check makes much that lives shortly and ends soon: memory is cheaper here
	// than time.
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	var o evidence.VerifyOptions
	for _, text := range req.Keys {
		k, err := PublicKey(text)
		if err != nil {
			return nil, fmt.Errorf("%w: --key: %w", ErrUsage, err)
		}
		o.Keys = append(o.Keys, k)
	}
	if len(o.Keys) == 0 {
		return nil, fmt.Errorf("%w: --key: give the public key of the log, obtained by another way than the bundle", ErrUsage)
	}
	for _, path := range req.Heads {
		head, err := readHead(path)
		if err != nil {
			return nil, err
		}
		o.Heads = append(o.Heads, head)
	}
	f, err := os.Open(req.File)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %w", ErrUsage, err)
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: %s is not a file", ErrUsage, req.File)
	}
	v, err := evidence.Verify(f, info.Size(), o)
	switch {
	case errors.Is(err, evidence.ErrBundle), errors.Is(err, evidence.ErrEnvelope):
		return nil, fmt.Errorf("%w: %s: %w", ErrWrong, req.File, err)
	case err != nil:
		return nil, err
	case !v.OK:
		return v, fmt.Errorf("%w: %s: %d findings", ErrWrong, req.File, len(v.Findings)+v.More)
	}
	return v, nil
}

// readHead reads a checkpoint out of a file: the note alone, or a mail that has
// it in its text.
func readHead(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%w: --head: %w", ErrUsage, err)
	}
	defer func() { _ = f.Close() }() // it was only read
	text, err := io.ReadAll(io.LimitReader(f, maxHead))
	if err != nil {
		return nil, fmt.Errorf("--head: %w", err)
	}
	return evidence.FindCheckpoint(text), nil
}

// Status is the exit status of a check that ended with an error, or without.
func Status(err error) int {
	switch {
	case err == nil:
		return 0
	case errors.Is(err, ErrWrong):
		return 4
	case errors.Is(err, ErrUsage):
		return 2
	}
	return 1
}

// ShowJSON writes what came of a check as a JSON document.
func ShowJSON(w io.Writer, v *evidence.Verification) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// Show writes what came of a check for people to read.
func Show(w io.Writer, v *evidence.Verification) error {
	var b strings.Builder
	verdict := "IN ORDER"
	if !v.OK {
		verdict = fmt.Sprintf("NOT IN ORDER: %d findings", len(v.Findings)+v.More)
	}
	fmt.Fprintf(&b, "%s\n\nlog       %s\n", verdict, v.Origin)
	if v.From == v.To {
		fmt.Fprintf(&b, "records   none; the log held %d\n", v.Size)
	} else {
		fmt.Fprintf(&b, "records   %d to %d of %d\nwritten   %s to %s\n", v.From, v.To-1, v.Size, stamp(v.First), stamp(v.Last))
	}
	fmt.Fprintf(&b, "root      %s of the first %d records\n", v.Root, v.To)
	showFindings(&b, v)
	showKeys(&b, v)
	showHeads(&b, v)
	showOpen(&b, v)
	showPolicies(&b, v)
	showActs(&b, v)
	if v.OK {
		b.WriteString("\nIn order means: nothing was changed, removed or put in since it was signed, and every\n" +
			"verdict follows from its own figures. It does not mean that all went well: failures on\nrecord are among the records above.\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func showFindings(b *strings.Builder, v *evidence.Verification) {
	if len(v.Findings) > 0 {
		b.WriteString("\nfindings\n")
	}
	for _, f := range v.Findings {
		place := "the whole"
		if f.Record != nil {
			place = fmt.Sprintf("record %d", *f.Record)
		}
		fmt.Fprintf(b, "  %s, %s: %s\n      %s\n", place, f.Kind, f.Text, f.Meaning)
	}
	if v.More > 0 {
		fmt.Fprintf(b, "  and %d more\n", v.More)
	}
}

func showKeys(b *strings.Builder, v *evidence.Verification) {
	b.WriteString("\nkeys\n")
	for _, k := range v.Keys {
		trust := "trusted"
		if !k.Trusted {
			trust = "NOT TRUSTED"
		}
		fmt.Fprintf(b, "  from record %d, %s: %s (%s, %s)\n", k.Record, stamp(k.Time), k.Public, k.How, trust)
	}
}

func showHeads(b *strings.Builder, v *evidence.Verification) {
	for _, h := range v.Heads {
		fits := "fits"
		switch {
		case h.NotChecked != "":
			fits = "NOT CHECKED: " + h.NotChecked
		case !h.Fits:
			fits = "DOES NOT FIT"
		}
		fmt.Fprintf(b, "\ncheckpoint of %d records that you gave: %s\n", h.Size, fits)
	}
	if len(v.Heads) == 0 {
		b.WriteString("\nno checkpoint was given with --head: a log that was cut short, or written anew with its key, cannot be told from this\n")
	}
	for _, a := range v.Anchors {
		checked := "its root is that of the records"
		if !a.Checked {
			checked = "before this period, not compared"
		}
		fmt.Fprintf(b, "  record %d, %s: %s was given %d records (%s)\n", a.Record, stamp(a.Time), a.To, a.Size, checked)
	}
}

func showOpen(b *strings.Builder, v *evidence.Verification) {
	if len(v.Open) > 0 {
		b.WriteString("\nunder way at the end of the bundle: ask for the results in the next one\n")
	}
	for _, o := range v.Open {
		fmt.Fprintf(b, "  record %d, %s: %s %s\n", o.Record, stamp(o.Time), o.Act, o.Function)
	}
	if v.Silence.Seconds > 0 {
		fmt.Fprintf(b, "\nlongest silence %s, from %s to %s; longer than 1h10m: %d times\n",
			time.Duration(v.Silence.Seconds*float64(time.Second)).Round(time.Second), stamp(v.Silence.From), stamp(v.Silence.To), v.Silences)
	}
}

func showPolicies(b *strings.Builder, v *evidence.Verification) {
	if len(v.Policies) > 0 {
		b.WriteString("\nwhat was promised changed\n")
	}
	for _, p := range v.Policies {
		fmt.Fprintf(b, "  record %d, %s, by %s\n", p.Record, stamp(p.Time), orUnknown(p.By))
		for _, name := range slices.Sorted(maps.Keys(p.Functions)) {
			f := p.Functions[name]
			fmt.Fprintf(b, "      %s: RPO %s, RTO %s, a proof every %s\n", name, seconds(f.RPOSeconds), seconds(f.RTOSeconds), seconds(f.ProveEverySeconds))
			showTerms(b, f.Terms)
		}
	}
}

// showTerms says what of a function is not looked at.
func showTerms(b *strings.Builder, t *evidence.FunctionTerms) {
	if t == nil {
		return
	}
	if t.Suspicion.Off != "" {
		fmt.Fprintf(b, "        nothing makes a recovery point suspect: %s\n", t.Suspicion.Off)
	}
	if t.RotateSeconds == 0 {
		b.WriteString("        nothing bounds when each recovery point is proven\n")
	}
	for _, name := range slices.Sorted(maps.Keys(t.Checks)) {
		if c := t.Checks[name]; c.Skip != "" {
			fmt.Fprintf(b, "        check %s is skipped: %s\n", name, c.Skip)
		}
	}
}

func showActs(b *strings.Builder, v *evidence.Verification) {
	b.WriteString("\nrecords by act\n")
	for _, what := range slices.Sorted(maps.Keys(v.Acts)) {
		fmt.Fprintf(b, "  %7d  %s\n", v.Acts[what], what)
	}
	if v.Days > 0 || v.Skipped > 0 {
		fmt.Fprintf(b, "\n%d summaries of days derived anew; %d of days before the period were not\n", v.Days, v.Skipped)
	}
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

func seconds(s float64) string { return time.Duration(s * float64(time.Second)).String() }

func orUnknown(by string) string {
	if by == "" {
		return "somebody who is not named"
	}
	return by
}
