package report_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"
	"pgregory.net/rapid"

	"github.com/saypro/backupd/internal/evidence"
	"github.com/saypro/backupd/internal/report"
	"github.com/saypro/backupd/internal/sheet"
	"github.com/saypro/backupd/internal/verify"
)

var update = flag.Bool("update", false, "write the golden files anew")

func period(t testing.TB, l report.Log, req report.PeriodRequest) *report.Period {
	t.Helper()
	p, err := report.ForPeriod(t.Context(), l, req)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// written is what a report writes in a form.
func written(t testing.TB, write func(w *bytes.Buffer) error) string {
	t.Helper()
	var b bytes.Buffer
	if err := write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// weekend is two days of one function with a bit of everything that a golden
// file should pin.
func weekend() *book {
	p := &plan{rnd: rand.New(rand.NewPCG(1, 2)), last: map[string]*evidence.Snapshot{}}
	promise := &evidence.Policy{
		SHA256: strings.Repeat("1a", 32), Sites: []string{"onsite", "cloud"},
		Functions: map[string]evidence.FunctionObjective{"payments": objectiveOf(2*time.Hour, time.Hour, "payments")},
	}
	p.at(at("2026-10-31 00:00:00"), func(b *book) { b.note(evidence.Record{Act: evidence.ActPolicy, By: "root", Policy: promise}) })
	p.snapshots("payments", at("2026-10-31 00:01:00"), at("2026-11-01 23:00:00"), time.Hour, func(t time.Time) evidence.Outcome {
		switch {
		case between(t, "2026-10-31 09:00:00", "2026-10-31 11:59:00"):
			return evidence.Failed
		case between(t, "2026-11-01 06:00:00", "2026-11-01 07:00:00"):
			return ""
		}
		return evidence.Done
	})
	p.days(at("2026-10-31 00:00:00"), at("2026-11-01 00:00:00"), "payments")
	p.proof("payments", "cloud", at("2026-10-31 14:30:00"), nil)
	p.proof("payments", "onsite", at("2026-11-01 14:30:00"), func(r *evidence.Record) {
		r.Outcome, r.Error, r.Proof = evidence.Failed, "provision scratch: initdb: no space left on device", nil
	})
	return p.run(at("2026-10-31 00:00:00"))
}

func weekendRequest() report.PeriodRequest {
	return report.PeriodRequest{
		From: at("2026-10-31 00:00:00"), To: at("2026-11-02 00:00:00"), Generated: at("2026-11-02 08:00:00"), Generator: "v1.0.0", Verify: verifyCommands,
	}
}

func TestJSONIsAsItWas(t *testing.T) {
	b := weekend()
	p := period(t, b.log(), weekendRequest())
	golden(t, "period.json", written(t, func(w *bytes.Buffer) error { return p.JSON(w) }))
	d, err := report.ForProof(t.Context(), b.log(), report.ProofRequest{
		Sequence: p.Proofs[0].Sequence, Generated: at("2026-11-02 08:00:00"), Generator: "v1.0.0", Verify: verifyCommands,
	})
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "proof.json", written(t, func(w *bytes.Buffer) error { return d.JSON(w) }))
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got), go test -update writes it anew:\n%s", name, diff)
	}
}

// TestSameRecordsSameBytes: whoever has the records makes the same documents.
func TestSameRecordsSameBytes(t *testing.T) {
	for _, form := range []func(*report.Period, *bytes.Buffer) error{
		func(p *report.Period, w *bytes.Buffer) error { return p.HTML(w) },
		func(p *report.Period, w *bytes.Buffer) error { return p.PDF(w) },
		func(p *report.Period, w *bytes.Buffer) error { return p.JSON(w) },
	} {
		a := written(t, func(w *bytes.Buffer) error { return form(period(t, weekend().log(), weekendRequest()), w) })
		b := written(t, func(w *bytes.Buffer) error { return form(period(t, weekend().log(), weekendRequest()), w) })
		if a != b {
			t.Errorf("%.20q… differs between two runs", a)
		}
	}
}

// text returns all that a page shows, and fails for what a page must not have.
func text(t testing.TB, page string) string {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for n := range doc.Descendants() {
		switch {
		case n.Type == html.TextNode && n.Parent.Data != "style":
			b.WriteString(n.Data + " ")
		case n.Type == html.ElementNode && slices.Contains([]string{"script", "iframe", "img", "link", "object", "form"}, n.Data):
			t.Errorf("the page has a <%s>", n.Data)
		}
		for _, a := range n.Attr {
			if strings.HasPrefix(a.Key, "on") || a.Key == "src" || a.Key == "style" || a.Key == "href" && !strings.HasPrefix(a.Val, "#") {
				t.Errorf("the page has %s=%q", a.Key, a.Val)
			}
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// TestNothingThatWentWrongIsMissing looks for each thing that went wrong in
// the autumn, in every form.
func TestNothingThatWentWrongIsMissing(t *testing.T) {
	p := period(t, autumn(t).log(), october())
	shown := text(t, written(t, func(w *bytes.Buffer) error { return p.HTML(w) }))
	printed := pdfText(t, written(t, func(w *bytes.Buffer) error { return p.PDF(w) }))
	for form, text := range map[string]string{"HTML": shown, "PDF": printed} {
		for _, want := range []string{
			"1 of 3 tables differs: payments.refunds",    // a difference
			"initdb: no space left on device",            // a proof that could not be carried out
			"2026-10-19 00:03:00Z",                       // a proof without an end
			"2026-10-21 11:25:00Z",                       // a snapshot without an end
			"no record",                                  // …
			"connect to db.internal: connection refused", // failed runs
			"i/o timeout",                                // degraded runs
			"the program ended before this did",          // cut short
			"2026-10-25 00:57:41Z",                       // silence
			"2026-10-06 02:10:00Z",                       // a violation
			"stale-point", "nowhere", "missed",           // a control that was missed
			"2026-q4-failover", "reach the person who holds the escrow", // a drill
			"a second escrow holder with a number of their own", "late", // its action
			"Not proven", "they do not prove", // always there
			"81 000 rows became 410",                                // a suspect
			"dispute with the bank", "hold", "sweep", "escrow-test", // events
			"SOC 2", "A.8.13", "CP-10", "12.10", "9.1", // frameworks
			"RPO 12m, before 15m", // a policy that changed
			"Reviewed by",
		} {
			if !strings.Contains(text, want) {
				t.Errorf("%s lacks %q", form, want)
			}
		}
	}
	if strings.Contains(shown, "complies with") && !strings.Contains(shown, "No line says that anything complies with anything") {
		t.Error("the page says that something complies")
	}
}

// TestEmptyPeriodShowsNothingGood: of what nothing is known, nothing looks good.
func TestEmptyPeriodShowsNothingGood(t *testing.T) {
	for name, b := range map[string]*book{"no records": {}, "other months": weekend()} {
		req := october()
		req.From, req.To = at("2027-03-01 00:00:00"), at("2027-04-01 00:00:00")
		p := period(t, b.log(), req)
		page := written(t, func(w *bytes.Buffer) error { return p.HTML(w) })
		if strings.Contains(page, `class="chip good"`) || strings.Contains(page, "card good") {
			t.Errorf("%s: something looks good", name)
		}
		if shown := text(t, page); !strings.Contains(shown, "no record in the period") || !strings.Contains(shown, "no evidence in this period") {
			t.Errorf("%s: the page does not say that nothing is known: %s", name, shown)
		}
		for _, m := range p.Mapping {
			if !m.None && m.Requirement == "A1.3" {
				t.Errorf("%s: %s is supported by %v", name, m.Requirement, m.Supports)
			}
		}
		written(t, func(w *bytes.Buffer) error { return p.PDF(w) })
	}
}

// TestProofOfEachKind: each proof has a report that says what it came to.
func TestProofOfEachKind(t *testing.T) {
	l := autumn(t).log()
	p := period(t, l, october())
	seen := map[report.Finding]bool{}
	for _, x := range p.Proofs {
		if seen[x.Finding] {
			continue
		}
		seen[x.Finding] = true
		for _, sequence := range []uint64{x.Sequence, *x.Intent} {
			d, err := report.ForProof(t.Context(), l, report.ProofRequest{Sequence: sequence, Generated: october().Generated, Generator: "v1.0.0", Verify: verifyCommands})
			if err != nil {
				t.Fatal(err)
			}
			shown := text(t, written(t, func(w *bytes.Buffer) error { return d.HTML(w) }))
			printed := pdfText(t, written(t, func(w *bytes.Buffer) error { return d.PDF(w) }))
			for _, text := range []string{shown, printed} {
				for _, want := range []string{string(x.Finding), fmt.Sprintf("record %d", x.Sequence), "Not proven", x.Snapshot, x.Site} {
					if !strings.Contains(text, want) {
						t.Errorf("the proof that ended %s lacks %q", x.Finding, want)
					}
				}
			}
		}
	}
	if len(seen) != 4 {
		t.Errorf("the world has proofs that ended %v only", seen)
	}
	for _, sequence := range []uint64{0, uint64(len(l.Checkpoint)) + 1<<40} {
		if _, err := report.ForProof(t.Context(), l, report.ProofRequest{Sequence: sequence}); err == nil {
			t.Errorf("record %d is no proof, and has a report", sequence)
		}
	}
}

// TestVerdictsAreDerived: what a record calls itself does not make it so.
func TestVerdictsAreDerived(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*evidence.Record)
		want   report.Finding
	}{
		"as it is":       {func(*evidence.Record) {}, report.Passed},
		"a failed check": {func(r *evidence.Record) { r.Proof.Checks[3].Status = evidence.Fail }, report.Difference},
		"a skipped check beside others": {func(r *evidence.Record) {
			r.Proof.Checks = append(r.Proof.Checks, evidence.Check{Name: "the archive", Level: "L4", Status: evidence.Skipped, Detail: "no archive yet"})
		}, report.Passed},
		"a level of skipped checks alone": {func(r *evidence.Record) {
			r.Proof.Checks[3].Status, r.Proof.Checks[3].Detail = evidence.Skipped, "no scratch"
		}, report.Inconclusive},
		"an inconclusive check":     {func(r *evidence.Record) { r.Proof.Checks[3].Status = evidence.Inconclusive }, report.Inconclusive},
		"no checks":                 {func(r *evidence.Record) { r.Proof.Checks = nil }, report.Inconclusive},
		"another digest":            {func(r *evidence.Record) { r.Proof.Tables[0].FoundDigest = "77" }, report.Difference},
		"fewer rows":                {func(r *evidence.Record) { r.Proof.Tables[0].FoundRows-- }, report.Difference},
		"a table that was not read": {func(r *evidence.Record) { r.Proof.Tables[0].FoundDigest = "" }, report.Inconclusive},
		"a lower level":             {func(r *evidence.Record) { r.Proof.Level = "L3" }, report.Inconclusive},
		"a level that is none":      {func(r *evidence.Record) { r.Proof.Requested, r.Proof.Level = "L9", "L9" }, report.Inconclusive},
		"failed":                    {func(r *evidence.Record) { r.Outcome = evidence.Failed }, report.Inconclusive},
		"cut short":                 {func(r *evidence.Record) { r.Outcome = evidence.CutShort }, report.CutShort},
	} {
		t.Run(name, func(t *testing.T) {
			p := &plan{rnd: rand.New(rand.NewPCG(1, 2)), last: map[string]*evidence.Snapshot{}}
			p.snapshots("payments", at("2026-10-02 00:00:00"), at("2026-10-02 00:01:00"), time.Hour, func(time.Time) evidence.Outcome { return evidence.Done })
			p.proof("payments", "onsite", at("2026-10-02 01:00:00"), c.change)
			l := p.run(at("2026-10-02 00:00:00")).log()
			got := period(t, l, october()).Proofs[0]
			if got.Finding != c.want || (got.Objection == "") != (c.want == report.Passed) {
				t.Errorf("found %s, objection %q, want %s", got.Finding, got.Objection, c.want)
			}
		})
	}
}

// TestSkippedChecksAreShown: a proof that passed although a check was skipped for
// a reason is told as passed, by the report of it as well, and the check as
// skipped, never as good.
func TestSkippedChecksAreShown(t *testing.T) {
	p := &plan{rnd: rand.New(rand.NewPCG(1, 2)), last: map[string]*evidence.Snapshot{}}
	p.snapshots("payments", at("2026-10-02 00:00:00"), at("2026-10-02 00:01:00"), time.Hour, func(time.Time) evidence.Outcome { return evidence.Done })
	p.proof("payments", "onsite", at("2026-10-02 01:00:00"), func(r *evidence.Record) {
		r.Proof.Level, r.Proof.Requested = "L6", "L6"
		r.Proof.Checks = append(r.Proof.Checks,
			evidence.Check{Name: "ledger sums to zero", Level: "L6", Status: evidence.Pass},
			evidence.Check{Name: "archive is complete", Level: "L6", Status: evidence.Skipped, Detail: "no archive before 2027"})
	})
	l := p.run(at("2026-10-02 00:00:00")).log()
	x := period(t, l, october())
	if got := x.Proofs[0]; got.Finding != report.Passed || got.Objection != "" || got.Problem != "" {
		t.Fatalf("found %s, objection %q, problem %q", got.Finding, got.Objection, got.Problem)
	}
	d, err := report.ForProof(t.Context(), l, report.ProofRequest{Sequence: x.Proofs[0].Sequence, Generated: october().Generated, Generator: "v1.0.0", Verify: verifyCommands})
	if err != nil {
		t.Fatal(err)
	}
	if last := d.Steps[6]; last.State != report.LevelHolds {
		t.Errorf("L6 is told as %q", last.State)
	}
	page := string(written(t, func(w *bytes.Buffer) error { return d.HTML(w) }))
	for _, want := range []string{"7 of 8", "checks passed, 1 skipped", "no archive before 2027", string(sheet.Mark(sheet.Unknown, "skipped"))} {
		if !strings.Contains(page, want) {
			t.Errorf("the report lacks %q", want)
		}
	}
}

const hostile = `<script>alert(1)</script>" onload='x' ${{.}} \u202e ` + "\u202e\x01 日本 שלום"

func TestHostileNamesAreEscaped(t *testing.T) {
	b := weekend()
	for i := range b.records {
		r := &b.records[i]
		r.By, r.Program = hostile, hostile
		if r.Function != "" {
			r.Function = hostile
		}
		if r.Error != "" {
			r.Error = hostile
		}
		if r.Policy != nil {
			r.Policy.Sites = []string{hostile, "cloud"}
			r.Policy.Functions = map[string]evidence.FunctionObjective{hostile: objectiveOf(time.Hour, time.Hour, hostile)}
		}
		if r.Proof != nil {
			r.Proof.Site, r.Proof.Snapshot, r.Proof.NotProven = hostile, hostile, []string{hostile}
			r.Proof.Phases = map[string]float64{hostile: 3}
			for j := range r.Proof.Checks {
				r.Proof.Checks[j].Name, r.Proof.Checks[j].Detail, r.Proof.Checks[j].Expected = hostile, hostile, hostile
			}
		}
	}
	l := b.log()
	l.Key, l.Checkpoint = hostile, hostile+"\n12\n"+hostile+"\n\n"+hostile
	p := period(t, l, weekendRequest())
	d, err := report.ForProof(t.Context(), l, report.ProofRequest{Sequence: p.Proofs[0].Sequence, Generator: hostile, Verify: []string{hostile}})
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range []string{
		written(t, func(w *bytes.Buffer) error { return p.HTML(w) }), written(t, func(w *bytes.Buffer) error { return d.HTML(w) }),
	} {
		if strings.Contains(page, "<script") || !strings.Contains(text(t, page), "<script>alert(1)</script>") {
			t.Error("a name is not shown as it is")
		}
	}
	for _, doc := range []string{
		written(t, func(w *bytes.Buffer) error { return p.PDF(w) }), written(t, func(w *bytes.Buffer) error { return d.PDF(w) }),
	} {
		if printed := pdfText(t, doc); !strings.Contains(printed, "<U+65E5>") || !strings.Contains(printed, "<U+05E9>") || !strings.Contains(printed, "<U+202E>") {
			t.Error("the PDF does not say what its font lacks")
		}
	}
}

// TestEveryFailureIsTold draws histories, with roll-ups of days and without,
// and holds the lists against the records themselves.
func TestEveryFailureIsTold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := &plan{rnd: rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1)), last: map[string]*evidence.Snapshot{}}
		outcomes := rapid.SliceOfN(rapid.SampledFrom([]evidence.Outcome{evidence.Done, evidence.Done, evidence.Degraded, evidence.Failed, evidence.CutShort, ""}), 1, 12).Draw(t, "outcomes")
		n := 0
		p.snapshots("payments", at("2026-10-01 00:00:10"), at("2026-10-05 00:00:00"), time.Duration(rapid.IntRange(100, 400).Draw(t, "minutes"))*time.Minute, func(time.Time) evidence.Outcome {
			n++
			return outcomes[n%len(outcomes)]
		})
		if rapid.Bool().Draw(t, "days") {
			p.days(at("2026-10-01 00:00:00"), at("2026-10-04 00:00:00"), "payments")
		}
		b := p.run(at("2026-10-01 00:00:00"))
		req := october()
		req.From = at("2026-10-01 00:00:00").Add(time.Duration(rapid.IntRange(0, 60).Draw(t, "from")) * time.Hour)
		req.To = req.From.Add(time.Duration(rapid.IntRange(1, 60).Draw(t, "hours")) * time.Hour)
		got, err := report.ForPeriod(t.Context(), b.log(), req)
		if err != nil {
			t.Fatal(err)
		}
		checkLists(t, b, req, got)
	})
}

func checkLists(t *rapid.T, b *book, req report.PeriodRequest, got *report.Period) {
	answered := map[uint64]bool{}
	var failures, open []uint64
	inside := func(r evidence.Record) bool { return !r.Time.Before(req.From) && r.Time.Before(req.To) }
	for _, r := range b.records {
		if r.Intent != nil && r.Time.Before(req.To) {
			answered[*r.Intent] = true
		}
	}
	done := 0
	for _, r := range b.records {
		switch {
		case r.Phase == evidence.Result && inside(r) && r.Outcome != evidence.Done:
			failures = append(failures, r.Sequence)
		case r.Phase == evidence.Result && inside(r):
			done++
		case r.Phase == evidence.Intent && inside(r) && !answered[r.Sequence]:
			open = append(open, r.Sequence)
		}
	}
	var gotFailures, gotOpen []uint64
	for _, f := range got.Failures {
		gotFailures = append(gotFailures, f.Sequence)
	}
	for _, u := range got.Unanswered {
		gotOpen = append(gotOpen, u.Sequence)
	}
	if diff := cmp.Diff(failures, gotFailures); diff != "" {
		t.Fatalf("failures (-records +report):\n%s", diff)
	}
	if diff := cmp.Diff(open, gotOpen); diff != "" {
		t.Fatalf("without an end (-records +report):\n%s", diff)
	}
	if len(got.Functions) > 0 && got.Functions[0].Runs.Done != done {
		t.Fatalf("%d done, the report says %+v", done, got.Functions[0].Runs)
	}
}

// TestLevelsAreThoseOfTheVerifier: one meaning each, wherever it is printed.
func TestLevelsAreThoseOfTheVerifier(t *testing.T) {
	for _, level := range verify.Levels {
		i := slices.IndexFunc(report.Levels, func(l report.Level) bool { return l.Level == level })
		if i < 0 || report.Levels[i].Meaning != verify.Meaning(level) {
			t.Errorf("%s means %q to the verifier, and something else in reports", level, verify.Meaning(level))
		}
	}
}

// TestJSONHoldsEachFailure: HTML groups, JSON does not.
func TestJSONHoldsEachFailure(t *testing.T) {
	b := autumn(t)
	p := period(t, b.log(), october())
	var doc struct {
		Failures []struct {
			Sequence uint64 `json:"sequence"`
		} `json:"failures"`
		Proofs []struct {
			Sequence uint64 `json:"sequence"`
		} `json:"proofs"`
	}
	if err := json.Unmarshal([]byte(written(t, func(w *bytes.Buffer) error { return p.JSON(w) })), &doc); err != nil {
		t.Fatal(err)
	}
	failures, proofs := 0, 0
	for _, r := range b.records {
		if r.Phase != evidence.Result || !between(r.Time, "2026-10-01 00:00:00", "2026-11-01 00:00:00") {
			continue
		}
		if r.Outcome != evidence.Done {
			failures++
		}
		if r.Act == evidence.ActProof {
			proofs++
		}
	}
	if len(doc.Failures) != failures || len(doc.Proofs) != proofs {
		t.Errorf("%d failures and %d proofs in JSON, %d and %d in the log", len(doc.Failures), len(doc.Proofs), failures, proofs)
	}
}
