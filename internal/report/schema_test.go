package report_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/saypro/backupd/internal/drill"
	"github.com/saypro/backupd/internal/evidence"
	"github.com/saypro/backupd/internal/report"
	"github.com/saypro/backupd/internal/schematest"
)

const (
	schemaBase   = "https://github.com/saypro/backupd/docs/schemas/"
	periodSchema = "../../docs/schemas/report-period.v1.schema.json"
	proofSchema  = "../../docs/schemas/report-proof.v1.schema.json"
	reviewSchema = "../../docs/schemas/drill-review.v1.schema.json"
)

func deriver(t *testing.T) *schematest.Deriver {
	t.Helper()
	return schematest.New(t, map[string][]string{
		"report.Verdict":  {string(report.Kept), string(report.Partly), string(report.Broken), string(report.Unknown)},
		"report.Finding":  {string(report.Passed), string(report.Difference), string(report.Inconclusive), string(report.CutShort)},
		"evidence.Status": {string(evidence.Pass), string(evidence.Fail), string(evidence.Skipped), string(evidence.Inconclusive)},
		"evidence.Outcome": {
			string(evidence.Done), string(evidence.Degraded), string(evidence.Different), string(evidence.Failed), string(evidence.CutShort),
		},
	}, schematest.Source{Package: "report", Dir: "."}, schematest.Source{Package: "evidence", Dir: "../evidence"}, schematest.Source{Package: "drill", Dir: "../drill"})
}

// TestSchemas: what is published of the shapes is what the types are.
func TestSchemas(t *testing.T) {
	d := deriver(t)
	for _, s := range []struct {
		file, title string
		of          any
	}{
		{periodSchema, "backupd report of a period, version 1", report.Period{}},
		{proofSchema, "backupd report of a proof, version 1", report.Proof{}},
		{reviewSchema, "backupd review of an exercise, version 1", drill.Review{}},
	} {
		schematest.Published(t, s.file, d.Derive(t, s.of, schemaBase+s.file[len("../../docs/schemas/"):], s.title))
	}
}

// TestReportsMeetTheirSchemas: reports of a bad autumn, of nothing at all, of a
// future, and each proof that ended otherwise.
func TestReportsMeetTheirSchemas(t *testing.T) {
	l := autumn(t).log()
	p := period(t, l, october())
	schematest.Valid(t, periodSchema, []byte(written(t, func(w *bytes.Buffer) error { return p.JSON(w) })))
	for _, years := range []int{-5, 1} {
		req := october()
		req.From, req.To = req.From.AddDate(years, 0, 0), req.To.AddDate(years, 0, 0)
		schematest.Valid(t, periodSchema, []byte(written(t, func(w *bytes.Buffer) error { return period(t, l, req).JSON(w) })))
	}
	seen := map[report.Finding]bool{}
	for _, x := range p.Proofs {
		if seen[x.Finding] {
			continue
		}
		seen[x.Finding] = true
		d, err := report.ForProof(t.Context(), l, report.ProofRequest{Sequence: x.Sequence, Generated: october().Generated, Generator: "v1.0.0", Verify: verifyCommands})
		if err != nil {
			t.Fatal(err)
		}
		schematest.Valid(t, proofSchema, []byte(written(t, func(w *bytes.Buffer) error { return d.JSON(w) })))
	}
	if len(seen) != 4 {
		t.Errorf("proofs that ended as %v", seen)
	}
	review, err := json.Marshal(exampleReview())
	if err != nil {
		t.Fatal(err)
	}
	schematest.Valid(t, reviewSchema, review)
}
