package report

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/saypro/backupd/internal/evidence"
)

// The forms of a report.
const (
	FormatHTML = "html"
	FormatPDF  = "pdf"
	FormatJSON = "json"
)

// Formats are all of them.
var Formats = []string{FormatHTML, FormatPDF, FormatJSON}

// Request asks for a report: of one proof, or of a period.
type Request struct {
	// Proof is the sequence of a proof's record; nil: a period is asked for.
	Proof *uint64 `json:"proof,omitempty"`
	// From and To bound the period: From ≤ time < To.
	From time.Time `json:"from,omitzero"`
	To   time.Time `json:"to,omitzero"`
	// Function is the only one that the period's report is about; empty: all.
	Function string `json:"function,omitempty"`
	// Format is "html", "pdf" or "json".
	Format string `json:"format"`
}

// Made says what a report is about that was written.
type Made struct {
	// Report is "proof" or "period", Format as asked for.
	Report string `json:"report"`
	Format string `json:"format"`
	// From and To are the period, JudgedTo is until when anything is known.
	From     time.Time `json:"from,omitzero"`
	To       time.Time `json:"to,omitzero"`
	JudgedTo time.Time `json:"judged_to,omitzero"`
	// Verdicts say by function how the RPO fared.
	Verdicts map[string]Verdict `json:"verdicts,omitempty"`
	// Proof is the sequence of the proof's result, Finding what it came to.
	Proof   *uint64 `json:"proof,omitempty"`
	Finding Finding `json:"finding,omitempty"`
	// Proofs, NotPassed, Failures and Unanswered count what is in a period.
	Proofs     int `json:"proofs"`
	NotPassed  int `json:"proofs_not_passed"`
	Failures   int `json:"failures"`
	Unanswered int `json:"unanswered"`
	// Records is how many records the log holds that it was made from, Root the
	// root of their tree.
	Records uint64 `json:"log_size"`
	Root    string `json:"log_root"`
}

// Maker is who makes a report, and when.
type Maker struct {
	Generated time.Time
	Generator string
}

// document is a report of either kind.
type document interface {
	HTML(w io.Writer) error
	PDF(w io.Writer) error
	JSON(w io.Writer) error
}

// Write makes a report and writes it to w.
func Write(ctx context.Context, l Log, req Request, by Maker, w io.Writer) (Made, error) {
	d, made, err := document(nil), Made{}, error(nil)
	if req.Proof != nil {
		d, made, err = makeProof(ctx, l, req, by)
	} else {
		d, made, err = makePeriod(ctx, l, req, by)
	}
	if err != nil {
		return Made{}, err
	}
	made.Format = req.Format
	switch req.Format {
	case FormatHTML:
		err = d.HTML(w)
	case FormatPDF:
		err = d.PDF(w)
	case FormatJSON:
		err = d.JSON(w)
	default:
		err = fmt.Errorf("a report has no form %q: it is html, pdf or json", req.Format)
	}
	return made, err
}

func makeProof(ctx context.Context, l Log, req Request, by Maker) (document, Made, error) {
	p, err := ForProof(ctx, l, ProofRequest{Sequence: *req.Proof, Generated: by.Generated, Generator: by.Generator, Verify: howToVerify})
	if err != nil {
		return nil, Made{}, err
	}
	return p, Made{
		Report: "proof", Proof: &p.Sequence, Finding: p.Finding, Records: p.Cover.Size, Root: p.Cover.Root,
	}, nil
}

func makePeriod(ctx context.Context, l Log, req Request, by Maker) (document, Made, error) {
	if err := l.knows(req.Function); err != nil {
		return nil, Made{}, err
	}
	p, err := ForPeriod(ctx, l, PeriodRequest{
		From: req.From, To: req.To, Function: req.Function, Generated: by.Generated, Generator: by.Generator, Verify: howToVerify,
	})
	if err != nil {
		return nil, Made{}, err
	}
	made := Made{
		Report: "period", From: p.From, To: p.To, JudgedTo: p.JudgedTo, Verdicts: map[string]Verdict{},
		Proofs: len(p.Proofs), Failures: len(p.Failures), Unanswered: len(p.Unanswered), Records: p.Cover.Size, Root: p.Cover.Root,
	}
	for _, f := range p.Functions {
		made.Verdicts[f.Function] = f.Verdict
	}
	for _, x := range p.Proofs {
		if x.Finding != Passed {
			made.NotPassed++
		}
	}
	return p, made, nil
}

// howToVerify are the commands that check what a report is made from.
var howToVerify = []string{
	"backupd audit bundle -o bundle.zip     # by whoever runs backupd: all signed records in one file",
	"backupd-audit bundle.zip --key KEY     # by anybody, offline, with the verifier key below",
}

// knows returns an error that matches [ErrNotThere] when no record of the log is
// about a function.
func (l Log) knows(function string) error {
	if function == "" {
		return nil
	}
	policies, err := evidence.Policies(l, function, time.Time{})
	if err != nil {
		return err
	}
	if len(policies) > 0 {
		return nil
	}
	for _, err := range l.Find(evidence.ActSnapshot, function, time.Time{}, time.Time{}) {
		return err
	}
	known, err := l.promised()
	if err != nil {
		return err
	}
	return fmt.Errorf("%w: no policy and no snapshot of function %q is in the evidence log; there are those of %s", ErrNotThere, function, cmp.Or(list(known), "none"))
}

// promised are all functions of which a policy ever promised something.
func (l Log) promised() ([]string, error) {
	records, err := l.all(evidence.ActPolicy, "", time.Time{}, time.Time{})
	var out []string
	for _, r := range records {
		if r.Policy != nil {
			out = union(out, sortedKeys(r.Policy.Functions))
		}
	}
	slices.Sort(out)
	return out, err
}

// ErrUnsound marks a bundle that does not hold: no report is made of it.
var ErrUnsound = errors.New("the records do not hold")

// OpenBundle verifies a bundle and makes a log of it. Acts without an end, and
// verdicts that do not follow from their figures, are told in the report; the
// error of anything else that was found matches [ErrUnsound].
func OpenBundle(ctx context.Context, r io.ReaderAt, size int64, key evidence.PublicKey) (Log, error) {
	opened, err := evidence.ReadBundle(ctx, r, size, evidence.VerifyOptions{Keys: []evidence.PublicKey{key}})
	v := opened.Verification
	if v != nil {
		for _, f := range v.Findings {
			if f.Kind != evidence.FoundUnfinished && f.Kind != evidence.FoundVerdict {
				return Log{}, fmt.Errorf("%w: %s: %s; 'backupd audit verify' tells all", ErrUnsound, f.Text, f.Meaning)
			}
		}
	}
	if err != nil {
		return Log{}, err
	}
	l := FromRecords(opened.Records, string(opened.Checkpoint), key.String())
	l.First, l.Next = v.From, v.To // also of a part without a single record
	if v.From > 0 {
		l.Before, l.Begins, l.PromiseShown = opened.Earlier, opened.About.Since, v.PromiseShown
	}
	return l, nil
}
