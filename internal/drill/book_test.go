package drill_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/clock"
	"github.com/saypro/backupd/internal/drill"
	"github.com/saypro/backupd/internal/evidence"
)

var update = flag.Bool("update", false, "write the golden files anew")

var start = time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC)

// desk is a book in a real log, on a disk.
type desk struct {
	*drill.Book
	log   *evidence.Log
	clock *clock.Fake
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	cat, err := catalog.Open(filepath.Join(t.TempDir(), "catalog.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cat.Close() })
	signer, err := evidence.NewSigner("github.com/saypro/backupd/log/0123abcd")
	if err != nil {
		t.Fatal(err)
	}
	c := clock.NewFake(start)
	log, err := evidence.Open(evidence.Options{Store: cat, Signer: signer, Clock: c, Program: "test"})
	if err != nil {
		t.Fatal(err)
	}
	return &desk{&drill.Book{Log: log, Clock: c}, log, c}
}

func scenario(t *testing.T, text string) *drill.Scenario {
	t.Helper()
	s, err := drill.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func shipped(t *testing.T, name string) *drill.Scenario {
	t.Helper()
	raw, err := drill.ShippedFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return scenario(t, string(raw))
}

// begin begins an exercise at a table.
func (d *desk) begin(t *testing.T, s *drill.Scenario) *drill.Exercise {
	t.Helper()
	x, err := d.Begin(s, "", s.Plan("", nil), []string{"lead: N. N."}, "tester")
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func answers(t *testing.T, text string) *drill.Answers {
	t.Helper()
	a, err := drill.ParseAnswers([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (d *desk) record(t *testing.T, name, text string) *drill.Exercise {
	t.Helper()
	x, err := d.Record(name, answers(t, text), "tester")
	if err != nil {
		t.Fatal(err)
	}
	return x
}

const full = `scenario: leak
participants: ["lead: A. Lead"]
injects:
  drip: {answer: a bucket, verdict: met}
  pour: {answer: two buckets, verdict: met}
messages:
  all: {after: 4m, note: by telephone}
`

func TestTabletop(t *testing.T) {
	d := newDesk(t)
	x := d.begin(t, scenario(t, good))
	if x.ID != "leak-2026-11-25" || x.State != drill.StateOpen || len(x.Steps) != 3 {
		t.Fatalf("begun: %+v", x)
	}
	open, err := d.log.Unfinished()
	if err != nil || len(open) != 1 || open[0].Act != evidence.ActDrill {
		t.Fatalf("intents without a result: %v, %v", open, err)
	}
	d.clock.Advance(time.Hour)
	x = d.record(t, "leak", full)
	if x.State != drill.StatePassed || x.Result == nil || len(x.Reasons) > 0 || x.Participants[0] != "lead: A. Lead" {
		t.Fatalf("answered: %+v", x)
	}
	if open, _ := d.log.Unfinished(); len(open) != 0 {
		t.Errorf("still open: %v", open)
	}
	if _, err := d.Record("leak", answers(t, full), ""); !errors.Is(err, drill.ErrAnswers) || !strings.Contains(err.Error(), "answered already") {
		t.Errorf("answers were changed afterwards: %v", err)
	}
	if second := d.begin(t, scenario(t, good)); second.ID != "leak-2026-11-25-2" {
		t.Errorf("the second of a day is %s", second.ID)
	}
}

func TestTabletopIsNotPassedBy(t *testing.T) {
	for _, c := range []struct{ what, old, new, state, reason string }{
		{"a missed inject", "two buckets, verdict: met", "nothing, verdict: missed", drill.StateMissed, "inject pour"},
		{"half an answer", "two buckets, verdict: met", "one, verdict: partly", drill.StateMissed, "partly met"},
		{"a late message", "after: 4m", "after: 6m", drill.StateMissed, "1m late"},
		{"no message", "after: 4m", "after: never", drill.StateMissed, "did not go out"},
		{"an answer that nobody judged", "two buckets, verdict: met", "two buckets", drill.StateInconclusive, "nobody compared"},
		{"no answer", "  pour: {answer: two buckets, verdict: met}\n", "", drill.StateInconclusive, "not answered"},
	} {
		d := newDesk(t)
		d.begin(t, scenario(t, good))
		text := strings.Replace(full, c.old, c.new, 1)
		if text == full {
			t.Fatalf("%s: nothing was replaced", c.what)
		}
		x := d.record(t, "leak", text)
		if x.State != c.state || !strings.Contains(strings.Join(x.Reasons, "; "), c.reason) {
			t.Errorf("%s: %s, %v; want %s for %q", c.what, x.State, x.Reasons, c.state, c.reason)
		}
	}
}

func TestTabletopOutlivesTheProgram(t *testing.T) {
	d := newDesk(t)
	x := d.begin(t, scenario(t, good))
	if cut, err := d.log.EndUnfinished(); err != nil || len(cut) != 0 {
		t.Fatalf("cut short: %v, %v", cut, err)
	}
	// Even if it was: it is answered under an intent of its own.
	cut := evidence.Record{Act: evidence.ActDrill, Outcome: evidence.CutShort, Error: "the program ended before this did"}
	if err := d.log.End(x.Intent, cut); err != nil {
		t.Fatal(err)
	}
	if x, err := d.Exercise("leak"); err != nil || x.State != drill.StateOpen {
		t.Fatalf("cut short: %+v, %v", x, err)
	}
	if x := d.record(t, "leak", full); x.State != drill.StatePassed {
		t.Errorf("answered after that: %+v", x)
	}
}

func TestExerciseThatWasCutShortIsInconclusive(t *testing.T) {
	d := newDesk(t)
	s := shipped(t, "full-scale")
	x, err := d.Begin(s, "cloud", s.Plan("cloud", []drill.Target{{"payments", 300, 3600}}), nil, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Record(x.ID, answers(t, "observations: [{kind: gap, text: x}]"), ""); !errors.Is(err, drill.ErrRequest) {
		t.Errorf("recorded of one that runs: %v", err)
	}
	if cut, err := d.log.EndUnfinished(); err != nil || len(cut) != 1 {
		t.Fatalf("cut short: %v, %v", cut, err)
	}
	if x, err = d.Exercise(x.ID); err != nil || x.State != drill.StateInconclusive || x.Outcome != evidence.CutShort {
		t.Errorf("%+v, %v", x, err)
	}
}

func TestAnswersAreStrict(t *testing.T) {
	d := newDesk(t)
	d.begin(t, scenario(t, good))
	for _, c := range []struct{ text, says string }{
		{"", "empty"},
		{"{}", "nothing in them"},
		{"injekts: {}", "injekts"},
		{"scenario: fire\n" + strings.SplitN(full, "\n", 2)[1], "are of scenario fire"},
		{"injects: {drop: {answer: x, verdict: met}}", `"drop"`},
		{"injects: {drip: {answer: x, verdict: good}}", `"good"`},
		{"injects: {drip: {verdict: met}}", "without an answer"},
		{"messages: {all: {after: soon}}", `"soon"`},
		{"messages: {all: {note: x}}", "after what time"},
		{"observations: [{kind: luck, text: x}]", `"luck"`},
		{"actions: [{text: x, owner: y, test: z, due: tomorrow}]", `"tomorrow"`},
		{"actions: [{text: x, owner: y, test: z, due: 2026-11-24}]", "over"},
		{"actions: [{text: x, test: z, due: 2026-12-24}]", "owner"},
		{"actions: [{text: x, owner: y, due: 2026-12-24}]", "test"},
	} {
		a, err := drill.ParseAnswers([]byte(c.text))
		if err == nil {
			_, err = d.Record("leak", a, "")
		}
		if !errors.Is(err, drill.ErrAnswers) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%q: %v, want %q named", c.text, err, c.says)
		}
	}
	if x, err := d.Exercise("leak"); err != nil || x.State != drill.StateOpen {
		t.Errorf("wrong answers left %+v, %v", x, err)
	}
	if _, err := d.Exercise("fire"); !errors.Is(err, drill.ErrRequest) {
		t.Errorf("an exercise that never was: %v", err)
	}
}

func TestActions(t *testing.T) {
	d := newDesk(t)
	early := d.result(t, proof("payments", "cloud", "L5", "L5"))
	d.begin(t, scenario(t, good))
	x := d.record(t, "leak", full+"actions: [{text: buy buckets, owner: lead, due: 2026-11-30, test: a proof}]\n")
	if len(x.Actions) != 1 || x.Actions[0].ID != "a1" || x.Actions[0].State != drill.ActionOpen {
		t.Fatalf("%+v", x.Actions)
	}
	x = d.record(t, "leak", "actions: [{text: buy more, owner: lead, due: 2026-12-31, test: a proof}]\n")
	if len(x.Actions) != 2 || x.Actions[1].ID != "a2" || x.State != drill.StatePassed {
		t.Fatalf("%+v", x)
	}
	lower := proof("payments", "cloud", "L5", "L2")
	lower.Outcome, lower.Proof.Passed = evidence.Different, false
	red := evidence.Record{Act: evidence.ActControls, Outcome: evidence.Done, Controls: &evidence.Controls{Faults: []evidence.Fault{{ID: "flip", Red: false}}}}
	note, err := d.log.Note(evidence.Record{Act: evidence.ActAlive, Alive: &evidence.Alive{SinceSequence: 1}})
	if err != nil {
		t.Fatal(err)
	}
	sweep := evidence.Record{Act: evidence.ActDeletion, Outcome: evidence.Done, Deletion: &evidence.Deletion{Kind: "sweep"}}
	for _, c := range []struct {
		what     string
		sequence uint64
		is       error
		says     string
	}{
		{"a proof before it", early, drill.ErrRefused, "not later"},
		{"a proof that failed", d.result(t, lower), drill.ErrRefused, "did not pass"},
		{"controls with a miss", d.result(t, red), drill.ErrRefused, "missed the fault flip"},
		{"an event", note, drill.ErrRefused, "no result"},
		{"a sweep", d.result(t, sweep), drill.ErrRefused, "tests nothing"},
		{"the exercise itself", *x.Result, drill.ErrRefused, "not later"},
		{"no record", 4711, drill.ErrRequest, "no record 4711"},
	} {
		if _, err := d.Close("leak", "a1", c.sequence, ""); !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("closed by %s: %v, want %q", c.what, err, c.says)
		}
	}
	if _, err := d.Close("leak", "a9", early, ""); !errors.Is(err, drill.ErrRequest) {
		t.Errorf("an action that is none: %v", err)
	}
	by := d.result(t, proof("payments", "cloud", "L5", "L5"))
	if x, err = d.Close("leak", "a1", by, "tester"); err != nil || x.Actions[0].State != drill.ActionClosed || *x.Actions[0].Closed != by {
		t.Fatalf("%+v, %v", x, err)
	}
	if _, err := d.Close("leak", "a1", by, ""); !errors.Is(err, drill.ErrRequest) {
		t.Errorf("closed twice: %v", err)
	}
	d.clock.Advance(60 * 24 * time.Hour)
	all, err := d.Exercises()
	if err != nil {
		t.Fatal(err)
	}
	if w := drill.Warnings(all); len(w) != 1 || !strings.Contains(w[0], "a2") || !strings.Contains(w[0], "late") {
		t.Errorf("warnings: %q", w)
	}
}

func TestActionIsLateAfterItsDay(t *testing.T) {
	d := newDesk(t)
	d.begin(t, scenario(t, good))
	d.record(t, "leak", "actions: [{text: x, owner: y, due: 2026-11-25, test: z}]\n")
	for _, want := range []string{drill.ActionOpen, drill.ActionLate} {
		x, err := d.Exercise("leak")
		if err != nil || x.Actions[0].State != want {
			t.Errorf("at %s: %+v, %v; want %s", d.clock.Now(), x, err, want)
		}
		d.clock.Advance(15 * time.Hour) // to the first moment of the next day
	}
}

// result writes the intent and the result of an act and returns the sequence of
// the result.
func (d *desk) result(t *testing.T, r evidence.Record) uint64 {
	t.Helper()
	begun := r
	begun.Outcome, begun.Error = "", ""
	seq, err := d.log.Begin(begun)
	if err != nil {
		t.Fatal(err)
	}
	d.clock.Advance(time.Minute)
	if err := d.log.End(seq, r); err != nil {
		t.Fatal(err)
	}
	return d.log.Size() - 1
}

func proof(function, site, asked, reached string) evidence.Record {
	return evidence.Record{Act: evidence.ActProof, Function: function, Outcome: evidence.Done, Proof: &evidence.Proof{
		Snapshot: "3f9c2ab1", RecoveryPoint: start.Add(-3 * time.Minute), Site: site, Requested: asked, Level: reached, Passed: true,
		Selection: evidence.Selection{Rule: "latest", Population: 1}, Seconds: 60, BytesRaw: 1 << 20,
	}}
}

// golden compares with a file of testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got; -update writes it anew):\n%s", name, diff)
	}
}

func TestTemplateCanBeFilledIn(t *testing.T) {
	all, err := drill.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		text := string(s.Template())
		empty := answers(t, text)
		steps, err := empty.Apply(s.Plan("", nil))
		if err != nil || len(steps) > 0 || empty.Scenario != s.Name {
			t.Errorf("%s: as it is: %v, %v", s.Name, steps, err)
		}
		filled := strings.NewReplacer(`answer: ""`, "answer: yes", `verdict: ""`, "verdict: met", `after: ""`, "after: 1m", `took: ""`, "took: 1m").Replace(text)
		plan := s.Plan("", nil)
		steps, err = answers(t, filled).Apply(plan)
		if err != nil {
			t.Errorf("%s: filled in: %v", s.Name, err)
		}
		for _, step := range steps {
			if step.Status != evidence.Pass {
				t.Errorf("%s: %+v", s.Name, step)
			}
		}
		if s.Kind == drill.Tabletop && len(steps) != len(plan) {
			t.Errorf("%s: %d of %d steps can be answered", s.Name, len(steps), len(plan))
		}
	}
	golden(t, "template.yaml", shipped(t, "catalog-lost").Template())
}

func TestReviewOfATable(t *testing.T) {
	d := newDesk(t)
	d.result(t, proof("payments", "cloud", "L5", "L5"))
	d.begin(t, scenario(t, good))
	d.clock.Advance(30 * time.Minute)
	d.record(t, "leak", strings.Replace(full, "two buckets, verdict: met", `"a | b <script>", verdict: missed`, 1)+
		"observations: [{kind: strength, text: the lead led}, {kind: gap, text: no bucket}]\n"+
		"actions: [{text: buy buckets, owner: lead, due: 2026-11-30, test: a proof from cloud}, {text: mop, owner: all, due: 2026-11-26, test: the next exercise}]\n")
	d.clock.Advance(48 * time.Hour)
	by := d.result(t, proof("payments", "cloud", "L5", "L5"))
	if _, err := d.Close("leak", "a1", by, ""); err != nil {
		t.Fatal(err)
	}
	v, err := d.Review("leak")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "tabletop.md", v.Markdown())
	page, err := v.HTML()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "tabletop.html", page)
	if strings.Contains(string(page), "<script>") || strings.Contains(string(v.Markdown()), "<script>") {
		t.Error("what people wrote became part of the page")
	}
}

func TestReviewInventsNothing(t *testing.T) {
	d := newDesk(t)
	d.begin(t, scenario(t, good))
	v, err := d.Review("leak")
	if err != nil {
		t.Fatal(err)
	}
	text := string(v.Markdown())
	for _, heading := range []string{"What went well", "What went badly", "Actions", "Root causes", "Reviewed by"} {
		_, after, found := strings.Cut(text, "## "+heading+"\n\n")
		if !found || !strings.HasPrefix(after, "To be filled in by people.") {
			t.Errorf("%s: %.60q", heading, after)
		}
	}
	if !strings.Contains(text, "no result yet") {
		t.Error("an exercise without a result looks like one with")
	}
}
