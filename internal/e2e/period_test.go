package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/schematest"
	"github.com/saypro/backupd/internal/testenv"
)

// threeFunctions is a small marketplace with a schema that nobody protects.
const threeFunctions = `
	CREATE SCHEMA payments; CREATE TABLE payments.ledger (id int PRIMARY KEY, cents bigint);
	INSERT INTO payments.ledger SELECT i, i * 100 FROM generate_series(1, 20000) i;
	CREATE SCHEMA accounts; CREATE TABLE accounts.users (id int PRIMARY KEY, name text);
	INSERT INTO accounts.users SELECT i, 'user ' || i FROM generate_series(1, 5000) i;
	CREATE SCHEMA catalog; CREATE TABLE catalog.products (id int PRIMARY KEY, title text);
	INSERT INTO catalog.products SELECT i, 'product ' || i FROM generate_series(1, 5000) i;
	CREATE SCHEMA marketing; CREATE TABLE marketing.letters (id int PRIMARY KEY)`

// keepPictures is where documents go: to a folder for people to look at when
// BACKUPD_PICTURES names one.
func keepPictures(t *testing.T) string {
	t.Helper()
	if dir := os.Getenv("BACKUPD_PICTURES"); dir != "" {
		return dir
	}
	return t.TempDir()
}

// TestPeriod lives through a short period with all that a report tells of:
// snapshots, proofs, damage and its repair, both exercises on systems, one at a
// table and an action that a test closes. Then it hands out what people and
// auditors ask for, and the check of it finds everything in order.
func TestPeriod(t *testing.T) {
	pg := testenv.Postgres(t)
	pg.Exec(t, threeFunctions)
	w := newWorld(t, pg, testenv.PrivateSites(t))
	w.rpo = "10m"
	w.extra = `, checks: [{name: no-negative-amounts, sql: "SELECT count(*) FROM payments.ledger WHERE cents < 0", expect: 0, same_at_source: true}]}
  accounts: {source: market, schemas: [accounts], rpo: 30m, rto: 2h, priority: 2}
  catalog: {source: market, schemas: [catalog], rpo: 4h, rto: 8h, priority: 3`
	w.write()
	w.must(0, "snapshot")
	middle := time.Now().UTC()
	pg.Exec(t, "INSERT INTO payments.ledger SELECT i, i FROM generate_series(20001, 20100) i")
	w.must(0, "snapshot")
	w.must(0, "verify", "--from", "cloud")

	for _, pack := range w.cloudPacks() {
		w.damage(pack)
	}
	w.must(4, "verify", "payments", "--from", "cloud")
	w.must(0, "sync")
	w.must(3, "scrub", "cloud", "--all")
	w.must(0, "verify", "payments", "--from", "cloud")
	w.must(0, "restore", "accounts", "--to", pg.URLOf("accounts_again"))

	whole := answer[exerciseAnswer](w, 0, "drill", "run", "full-scale", "--from", "cloud", "--participants", "exercise lead: N. N.")
	people := filepath.Join(t.TempDir(), "people.yaml")
	if err := os.WriteFile(people, []byte("steps: {notice: {took: 6m, note: the alarm reached nobody for five minutes}, decide: {took: 4m}, switch: {took: 12m}}\n"+
		"observations: [{kind: strength, text: the order of priority was clear}, {kind: gap, text: nobody could say where the passwords of roles are}]\n"+
		"actions: [{text: put the passwords of roles into the safe, owner: operator, due: "+time.Now().UTC().Add(240*time.Hour).Format(time.DateOnly)+", test: cloud-failover with the safe's passwords}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.must(0, "drill", "record", whole.ID, "--answers", people)
	away := answer[exerciseAnswer](w, 0, "drill", "run", "cloud-failover")
	if whole.State != "passed" || away.State != "passed" {
		t.Fatalf("%+v, %+v", whole, away)
	}
	w.must(0, "drill", "close", whole.ID, "a1", "--by", fmt.Sprint(*away.Result))
	fire := answer[exerciseAnswer](w, 0, "drill", "run", "onsite-fire", "--participants", "facilitator: N. N.,incident lead: N. N.,operator: N. N.")
	sheet := strings.Replace(w.must(0, "drill", "template", "onsite-fire").stdout, `after: ""`, "after: 70m", 1)
	answers := fill(t, sheet, "observations: [{kind: gap, text: the escrow is an hour away on a Sunday}]\n"+
		"actions: [{text: a second copy of the escrow nearer by, owner: owner of payments, due: "+time.Now().UTC().Add(48*time.Hour).Format(time.DateOnly)+", test: a cold start with the copy}]\n")
	w.must(4, "drill", "record", fire.ID, "--answers", answers)

	w.inOrder("")
	w.inOrder(middle.Format(time.RFC3339))
	w.documents(keepPictures(t), whole.ID, away.ID, fire.ID)
}

// inOrder makes a bundle and lets it be checked, as an auditor would.
func (w *world) inOrder(from string) string {
	w.t.Helper()
	key := w.must(0, "audit", "key").stdout
	lines := strings.Split(strings.TrimSpace(key), "\n")
	file := filepath.Join(w.t.TempDir(), "bundle.zip")
	args := []string{"audit", "bundle", "-o", file}
	if from != "" {
		args = append(args, "--from", from)
	}
	w.must(0, args...)
	w.must(0, "audit", "verify", file, "--key", lines[len(lines)-1])
	keyFile := filepath.Join(w.t.TempDir(), "key.txt")
	if err := os.WriteFile(keyFile, []byte(key), 0o600); err != nil {
		w.t.Fatal(err)
	}
	made := answer[struct {
		Report struct{ Verdicts map[string]string }
	}](w, 0, "report", "--bundle", file, "--key", keyFile, "-o", filepath.Join(w.t.TempDir(), "report.json"))
	for function, verdict := range made.Report.Verdicts {
		if verdict == "not known" {
			w.t.Errorf("from %q on, nothing is known of %s", from, function)
		}
	}
	if len(made.Report.Verdicts) != 3 {
		w.t.Errorf("from %q on: %v", from, made.Report.Verdicts)
	}
	return file
}

// documents writes what people ask for, and looks at what must be in it.
func (w *world) documents(dir string, exercises ...string) {
	w.t.Helper()
	for _, form := range []string{"html", "pdf", "json"} {
		w.must(0, "report", "-o", filepath.Join(dir, "real-period."+form))
	}
	const schemas = "../../docs/schemas/"
	meets := func(file, schema string) {
		w.t.Helper()
		document, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			w.t.Fatal(err)
		}
		schematest.Valid(w.t, schemas+schema, document)
	}
	meets("real-period.json", "report-period.v1.schema.json")
	text, err := os.ReadFile(filepath.Join(dir, "real-period.html"))
	if err != nil {
		w.t.Fatal(err)
	}
	for _, id := range exercises {
		if !strings.Contains(string(text), id) {
			w.t.Errorf("exercise %s is not in the report", id)
		}
		for _, form := range []string{"html", "md", "json"} {
			w.must(0, "drill", "report", id, "-o", filepath.Join(dir, "real-"+id[:len(id)-len("-2006-01-02")]+"."+form))
		}
		meets("real-"+id[:len(id)-len("-2006-01-02")]+".json", "drill-review.v1.schema.json")
	}
}
