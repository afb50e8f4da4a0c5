package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/testenv"
)

// exerciseAnswer is what these tests look at of an exercise.
type exerciseAnswer struct {
	ID      string
	State   string
	Reasons []string
	Intent  uint64
	Result  *uint64
	Steps   []struct{ Kind, Status, Level string }
	Refused []struct{ Attempts, Passed int }
	Actions []struct {
		ID, State string
		Closed    *uint64
	}
}

// fill answers a template as somebody at the table would.
func fill(t *testing.T, template string, more string) string {
	t.Helper()
	text := strings.NewReplacer(`answer: ""`, `answer: "as the page for 3 a.m. says"`, `verdict: ""`, "verdict: met", `after: ""`, "after: 5m").Replace(template)
	text = regexp.MustCompile(`(?m)^(observations|actions): \[\]$`).ReplaceAllString(text, "")
	path := filepath.Join(t.TempDir(), "answers.yaml")
	if err := os.WriteFile(path, []byte(text+more), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestExercise goes through an exercise at a table, finds an action, and closes
// it by an exercise on real copies that passes later.
func TestExercise(t *testing.T) {
	pg := testenv.Postgres(t)
	pg.Exec(t, `CREATE SCHEMA payments; CREATE TABLE payments.ledger (id int PRIMARY KEY, cents bigint);
		INSERT INTO payments.ledger SELECT i, i * 100 FROM generate_series(1, 1000) i`)
	w := newWorld(t, pg, testenv.Sites(t))
	w.rpo = "10m"
	w.write()
	w.must(0, "snapshot")

	sheet := w.must(0, "drill", "run", "catalog-lost", "--participants", "facilitator: N. N.,operator")
	if !strings.Contains(sheet.stdout, "backupd drill record catalog-lost-") || !strings.Contains(sheet.stdout, "+18m") {
		t.Errorf("what is told at the table: %s", sheet)
	}
	template := w.must(0, "drill", "template", "catalog-lost").stdout
	// An empty file records nothing, and one with a gap is no pass.
	empty := filepath.Join(t.TempDir(), "empty.yaml")
	if err := os.WriteFile(empty, []byte(template), 0o600); err != nil {
		t.Fatal(err)
	}
	w.fails(2, []string{"drill", "record", "catalog-lost", "--answers", empty}, "nothing in them")
	due := time.Now().UTC().Add(72 * time.Hour).Format(time.DateOnly)
	file := fill(t, template, fmt.Sprintf("observations: [{kind: gap, text: nobody knew how long a rebuild takes}]\n"+
		"actions: [{text: measure a restore from the cloud, owner: operator, due: %s, test: a full-scale exercise from cloud}]\n", due))
	held := answer[exerciseAnswer](w, 0, "drill", "record", "catalog-lost", "--answers", file)
	if held.State != "passed" || len(held.Actions) != 1 || held.Actions[0].State != "open" || held.Result == nil {
		t.Fatalf("%+v", held)
	}
	w.fails(2, []string{"drill", "record", held.ID, "--answers", file}, "answered already")
	w.must(3, "status") // no service runs
	w.fails(3, []string{"status"}, "measure a restore from the cloud", "is open")

	// No test that passed later: it stays open.
	w.fails(1, []string{"drill", "close", held.ID, "a1", "--by", fmt.Sprint(*held.Result)}, "the action stays open", "not later")
	w.fails(1, []string{"drill", "close", held.ID, "a1", "--by", fmt.Sprint(held.Intent)}, "is no result")
	w.fails(2, []string{"drill", "close", held.ID, "a1", "--by", "100000"}, "no record 100000")
	w.fails(2, []string{"drill", "close", held.ID, "a1"}, "--by")
	w.fails(2, []string{"drill", "close", "no-such-2026-01-01", "a1", "--by", "1"}, held.ID)

	whole := answer[exerciseAnswer](w, 0, "drill", "run", "full-scale", "--from", "cloud")
	if whole.State != "passed" || whole.Result == nil {
		t.Fatalf("%+v", whole)
	}
	closed := answer[exerciseAnswer](w, 0, "drill", "close", held.ID, "a1", "--by", fmt.Sprint(*whole.Result))
	if closed.Actions[0].State != "closed" || *closed.Actions[0].Closed != *whole.Result {
		t.Errorf("%+v", closed)
	}
	if o := w.must(3, "status"); strings.Contains(o.stdout, "measure a restore") {
		t.Errorf("a closed action is still in %s", o)
	}
	list := w.must(0, "drill", "list").stdout
	for _, s := range []string{"ransomware", held.ID, whole.ID} {
		if !strings.Contains(list, s) {
			t.Errorf("%s is not in the list: %s", s, list)
		}
	}
	review := filepath.Join(t.TempDir(), "review.html")
	w.must(0, "drill", "report", held.ID, "-o", review)
	page, err := os.ReadFile(review)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"nobody knew how long a rebuild takes", fmt.Sprintf("closed by record %d", *whole.Result), "To be filled in by people"} {
		if !strings.Contains(string(page), s) {
			t.Errorf("the review lacks %q", s)
		}
	}
	if md := w.must(0, "drill", "report", whole.ID).stdout; !strings.Contains(md, "| payments | L5 |") || !strings.Contains(md, "not recorded") {
		t.Errorf("the review of the full-scale exercise: %s", md)
	}
}

// TestExerciseThroughTheService carries out a failover in the running service,
// with a scenario of one's own.
func TestExerciseThroughTheService(t *testing.T) {
	pg := testenv.Postgres(t)
	pg.Exec(t, `CREATE SCHEMA payments; CREATE TABLE payments.ledger (id int PRIMARY KEY)`)
	w := newWorld(t, pg, testenv.Sites(t))
	w.rpo = "10m"
	w.write()
	w.must(0, "snapshot")
	w.serve()
	own, err := os.ReadFile("../../configs/drills/cloud-failover.yaml")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "mine.yaml")
	if err := os.WriteFile(file, []byte(strings.Replace(string(own), "name: cloud-failover", "name: our-failover", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	x := answer[exerciseAnswer](w, 0, "drill", "run", file)
	if x.State != "passed" || !strings.HasPrefix(x.ID, "our-failover-") || len(x.Refused) != 1 || x.Refused[0].Attempts == 0 || x.Refused[0].Passed != 0 {
		t.Errorf("%+v", x)
	}
	w.fails(2, []string{"drill", "run", "no-such-scenario"}, "drill list")
	w.fails(2, []string{"drill", "run", w.config}, "wrong scenario")
}

// TestTechnicalExercise carries out what of a scenario of a table can be: a cold
// start from one site, every promise, the audit.
func TestTechnicalExercise(t *testing.T) {
	w := newWorld(t, testenv.Postgres(t), testenv.Sites(t))
	w.pg.Exec(t, someData)
	w.rpo = "10m"
	w.extra = `, checks: [{name: alive, sql: "SELECT 1", expect: 1, same_at_source: true}]`
	w.write()
	w.must(0, "snapshot", "payments")
	x := answer[exerciseAnswer](w, 0, "drill", "run", "onsite-fire", "--technical", "--identity", w.escrowFile())
	if x.State != "passed" || !strings.HasPrefix(x.ID, "onsite-fire-technical-") || len(x.Steps) != 3 || x.Steps[0].Kind != "cold" || x.Steps[0].Level != "L7" {
		t.Errorf("%+v", x)
	}
	for _, s := range x.Steps {
		if s.Status != "pass" {
			t.Errorf("%+v", s)
		}
	}
	for _, id := range []string{x.ID, "onsite-fire-technical"} {
		if md := w.must(0, "drill", "report", id).stdout; !strings.Contains(md, "| payments | L7 |") {
			t.Errorf("the review of %s: %s", id, md)
		}
	}
	w.fails(2, []string{"drill", "run", "bad-migration", "--technical"}, "no technical part")
	key := w.must(0, "audit", "key").stdout
	lines := strings.Split(strings.TrimSpace(key), "\n")
	bundle := filepath.Join(t.TempDir(), "bundle.zip")
	w.must(0, "audit", "bundle", "-o", bundle)
	w.must(0, "audit", "verify", bundle, "--key", lines[len(lines)-1])
	// With this host's own key a cold start shows nothing.
	if o := w.run("drill", "run", "onsite-fire", "--technical"); o.code == 0 || !strings.Contains(o.String(), "daemon's own key") {
		t.Errorf("with the daemon's key: %s", o)
	}
}
