// Package audit checks an evidence bundle in a file and shows what came of it.
// It is all of backupd-audit, and imports nothing of the engine.
package audit

import (
	"context"
	"crypto/x509"
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
	"github.com/saypro/backupd/internal/rfc3161"
)

var (
	// ErrUsage marks a request that cannot be carried out as it is put.
	ErrUsage = errors.New("wrong usage")
	// ErrWrong marks a bundle in which something was found to be wrong.
	ErrWrong = errors.New("the evidence is not in order")
)

// maxMemory is how much of it a check takes before it rather takes time: what it
// must remember of ten million records fits in half of it.
const maxMemory = 2 << 30

// maxHead bounds a file with a checkpoint.
const maxHead = 64 << 10

// Request says what to check.
type Request struct {
	File  string
	Keys  []string // public keys, as text, or files with one
	Heads []string // files with checkpoints
	// TSARoots are files with the certificates, PEM, of the time-stamping
	// authorities that are trusted.
	TSARoots []string
	// Strict takes warnings for findings.
	Strict bool
}

// Check checks a bundle. With an error that matches [ErrWrong] there is a
// verification, unless the file is no bundle at all.
func Check(ctx context.Context, req Request) (*evidence.Verification, error) {
	// A check makes much that lives shortly and ends soon: memory is cheaper here
	// than time.
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(min(debug.SetMemoryLimit(-1), maxMemory)))
	var o evidence.VerifyOptions
	var err error
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
	if o.Stampers, err = stampers(req.TSARoots); err != nil {
		return nil, err
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
	v, err := evidence.Verify(ctx, f, info.Size(), o)
	switch {
	case errors.Is(err, evidence.ErrBundle), errors.Is(err, evidence.ErrEnvelope):
		return nil, fmt.Errorf("%w: %s: %w", ErrWrong, req.File, err)
	case err != nil:
		return nil, err
	case !v.OK:
		return v, fmt.Errorf("%w: %s: %s", ErrWrong, req.File, counted(v))
	case req.Strict && len(v.Warnings) > 0:
		return v, fmt.Errorf("%w: %s: %s, and --strict takes them for findings", ErrWrong, req.File, counted(v))
	}
	return v, nil
}

// stampers reads the roots of time-stamping authorities; nil when none is trusted.
func stampers(files []string) (*x509.CertPool, error) {
	var all []byte
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("%w: --tsa-roots: %w", ErrUsage, err)
		}
		if _, err := rfc3161.Roots(text); err != nil {
			return nil, fmt.Errorf("%w: --tsa-roots: %s: %w", ErrUsage, path, err)
		}
		all = append(append(all, text...), '\n')
	}
	if len(files) == 0 {
		return nil, nil //nolint:nilnil // none is
	}
	return rfc3161.Roots(all)
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
	var b page
	b.say("%s\n", verdict(v))
	showWarnings(&b, v)
	b.say("\nlog       %s\n", v.Origin)
	if !v.Since.IsZero() || !v.Until.IsZero() {
		b.say("period    %s to %s\n", orOpen(v.Since), orOpen(v.Until))
	}
	if v.From == v.To {
		b.say("records   none; the log held %d\n", v.Size)
	} else {
		b.say("records   %d to %d of %d\nwritten   %s to %s\n", v.From, v.To-1, v.Size, stamp(v.First), stamp(v.Last))
	}
	b.say("root      %s of the first %d records\n", v.Root, v.To)
	showFindings(&b, v)
	showKeys(&b, v)
	showHeads(&b, v)
	showSilence(&b, v)
	showPolicies(&b, v)
	showActs(&b, v)
	if v.OK {
		b.WriteString("\nIn order means: nothing was changed, removed or put in since it was signed, and every\n" +
			"verdict follows from its own figures. It does not mean that all went well: failures on\nrecord are among the records above.\n")
	}
	b.say("\n%s\n", verdict(v))
	_, err := io.WriteString(w, b.String())
	return err
}

// verdict is the first line and the last.
func verdict(v *evidence.Verification) string {
	switch {
	case !v.OK:
		return "NOT IN ORDER: " + counted(v)
	case len(v.Warnings) > 0:
		return "IN ORDER, with " + counted(v)
	}
	return "IN ORDER"
}

// counted says how many findings and warnings there are.
func counted(v *evidence.Verification) string {
	many := func(n int, what string) string {
		if n == 1 {
			return "1 " + what
		}
		return fmt.Sprintf("%d %ss", n, what)
	}
	warnings := many(len(v.Warnings)+v.MoreWarnings, "warning")
	switch {
	case v.OK:
		return warnings
	case len(v.Warnings) == 0:
		return many(len(v.Findings)+v.More, "finding")
	}
	return many(len(v.Findings)+v.More, "finding") + " and " + warnings
}

// showWarnings comes first: what did not happen leaves nothing else to stumble
// over.
func showWarnings(b *page, v *evidence.Verification) {
	for _, section := range []struct {
		kind  evidence.WarningKind
		title string
	}{
		{evidence.WarnUnchecked, "NOT CHECKED: checkpoints that you gave"},
		{evidence.WarnUnpromised, "NOT SHOWN: what was promised when the period begins"},
		{evidence.WarnSilence, "SILENCE: nothing was recorded"},
		{evidence.WarnLowered, "LOWERED: less was promised than before"},
		{evidence.WarnUnanchored, "NOT ANCHORED: for longer than was promised"},
		{evidence.WarnTaken, "TAKEN OVER: the log goes on from what a site kept"},
		{evidence.WarnUnmade, "UNMADE: proven or held, and never made on record"},
		{evidence.WarnUntimed, "UNTIMED: nothing was written when it happened"},
		{evidence.WarnShort, "SHORT: it ends before the period does"},
		{evidence.WarnOpen, "OPEN: not ended by the end of the bundle"},
	} {
		title := "\n" + section.title + "\n"
		for _, w := range v.Warnings {
			if w.Kind != section.kind {
				continue
			}
			place := ""
			if w.Record != nil {
				place = fmt.Sprintf("record %d: ", *w.Record)
			}
			b.WriteString(title)
			b.say("  %s%s\n      %s\n", place, w.Text, w.Meaning)
			for _, missed := range w.Missed {
				b.say("      missed: %s\n", missed)
			}
			title = ""
		}
	}
	if v.MoreWarnings > 0 {
		b.say("  and %d more warnings\n", v.MoreWarnings)
	}
}

func showFindings(b *page, v *evidence.Verification) {
	if len(v.Findings) > 0 {
		b.WriteString("\nfindings\n")
	}
	for _, f := range v.Findings {
		place := "the whole"
		if f.Record != nil {
			place = fmt.Sprintf("record %d", *f.Record)
		}
		b.say("  %s, %s: %s\n      %s\n", place, f.Kind, f.Text, f.Meaning)
	}
	if v.More > 0 {
		b.say("  and %d more\n", v.More)
	}
}

func showKeys(b *page, v *evidence.Verification) {
	b.WriteString("\nkeys\n")
	for _, k := range v.Keys {
		trust := "trusted"
		if !k.Trusted {
			trust = "NOT TRUSTED"
		}
		b.say("  from record %d, %s: %s (%s, %s)\n", k.Record, stamp(k.Time), k.Public, k.How, trust)
	}
}

func showHeads(b *page, v *evidence.Verification) {
	for _, h := range v.Heads {
		fits := "fits"
		switch {
		case h.NotChecked != "":
			fits = "NOT CHECKED: " + h.NotChecked
		case !h.Fits:
			fits = "DOES NOT FIT"
		}
		b.say("\ncheckpoint of %d records that you gave: %s\n", h.Size, fits)
	}
	if len(v.Heads) == 0 {
		b.WriteString("\nno checkpoint was given with --head: a log that was cut short, or written anew with its key, cannot be told from this\n")
	}
	for _, a := range v.Anchors {
		checked := "its root is that of the records"
		if !a.Checked {
			checked = "before this period, not compared"
		}
		did := "was given"
		if strings.HasPrefix(a.To, evidence.AnchorSite+" ") {
			did = "holds"
		}
		b.say("  record %d, %s: %s %s %d records (%s)\n", a.Record, stamp(a.Time), a.To, did, a.Size, checked)
		if shows := a.Anchored(); shows != "" {
			b.say("      %s\n", shows)
		}
	}
}

func showSilence(b *page, v *evidence.Verification) {
	if v.Silence.Seconds > 0 {
		b.say("\nlongest silence %s, from %s to %s; longer than 1h10m: %d times\n",
			time.Duration(v.Silence.Seconds*float64(time.Second)).Round(time.Second), stamp(v.Silence.From), stamp(v.Silence.To), v.Silences)
	}
}

func showPolicies(b *page, v *evidence.Verification) {
	if len(v.Policies) > 0 {
		b.WriteString("\nwhat was promised changed\n")
	}
	for _, p := range v.Policies {
		b.say("  record %d, %s, by %s\n", p.Record, stamp(p.Time), orUnknown(p.By))
		for _, name := range slices.Sorted(maps.Keys(p.Functions)) {
			f := p.Functions[name]
			b.say("      %s: RPO %s, RTO %s, a proof every %s\n", name, seconds(f.RPOSeconds), seconds(f.RTOSeconds), seconds(f.ProveEverySeconds))
			showTerms(b, f.Terms)
		}
		for _, to := range slices.Sorted(maps.Keys(p.Anchors)) {
			b.say("      %s: an anchor every %s\n", to, seconds(p.Anchors[to]))
		}
	}
}

// showTerms says what of a function is not looked at.
func showTerms(b *page, t *evidence.FunctionTerms) {
	if t == nil {
		return
	}
	if t.Suspicion.Off != "" {
		b.say("        nothing makes a recovery point suspect: %s\n", t.Suspicion.Off)
	}
	if t.RotateSeconds == 0 {
		b.WriteString("        nothing bounds when each recovery point is proven\n")
	}
	for _, name := range slices.Sorted(maps.Keys(t.Checks)) {
		if c := t.Checks[name]; c.Skip != "" {
			b.say("        check %s is skipped: %s\n", name, c.Skip)
		}
	}
}

func showActs(b *page, v *evidence.Verification) {
	b.WriteString("\nrecords by act\n")
	for _, what := range slices.Sorted(maps.Keys(v.Acts)) {
		b.say("  %7d  %s\n", v.Acts[what], what)
	}
	if v.Days > 0 || v.Skipped > 0 {
		b.say("\n%d summaries of days derived anew; %d of days before the period were not\n", v.Days, v.Skipped)
	}
}

func orOpen(t time.Time) string {
	if t.IsZero() {
		return "(open)"
	}
	return stamp(t)
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// seconds writes a duration, one that is too long for any as the longest there is.
func seconds(s float64) string {
	const most = float64(1 << 62)
	return time.Duration(min(max(s*float64(time.Second), -most), most)).String()
}

func orUnknown(by string) string {
	if by == "" {
		return "somebody who is not named"
	}
	return by
}
