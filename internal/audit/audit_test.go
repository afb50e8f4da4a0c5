package audit_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/audit"
	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/clock"
	"github.com/saypro/backupd/internal/evidence"
)

// TestTheAuditorsProgramHasNothingOfTheEngine: who does not trust the program
// that wrote the evidence need not run it.
func TestTheAuditorsProgramHasNothingOfTheEngine(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "github.com/saypro/backupd/cmd/backupd-audit").Output()
	if err != nil {
		t.Fatal(err)
	}
	allowed := map[string]bool{}
	for _, name := range []string{"cmd/backupd-audit", "internal/audit", "internal/evidence", "internal/expect", "internal/rfc3161", "internal/objective", "internal/clock"} {
		allowed["github.com/saypro/backupd/"+name] = true
	}
	seen := 0
	for _, pkg := range strings.Fields(string(out)) {
		if strings.HasPrefix(pkg, "github.com/saypro/backupd/") {
			if seen++; !allowed[pkg] {
				t.Errorf("it has %s", pkg)
			}
		}
		for _, heavy := range []string{"net/http", "go.etcd.io/bbolt", "github.com/jackc", "github.com/aws", "github.com/minio"} {
			if strings.HasPrefix(pkg, heavy) {
				t.Errorf("it has %s", pkg)
			}
		}
	}
	if seen < 3 {
		t.Errorf("%d packages of ours", seen)
	}
}

func written(t *testing.T) (bundle, head string, key string) {
	t.Helper()
	dir := t.TempDir()
	cat, err := catalog.Open(filepath.Join(dir, "catalog.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cat.Close() }()
	log, err := evidence.OpenWithKeyFile(evidence.Options{Store: cat, Clock: clock.System, Program: "test"}, filepath.Join(dir, "evidence.key"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		n, err := log.Begin(evidence.Record{Act: evidence.ActSnapshot, Function: "payments"})
		if err == nil && i < 19 {
			err = log.End(n, evidence.Record{Act: evidence.ActSnapshot, Outcome: evidence.Failed, Error: "source is down"})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	var b bytes.Buffer
	if _, err := log.WriteBundle(&b, time.Time{}, time.Time{}); err != nil {
		t.Fatal(err)
	}
	checkpoint, err := log.Checkpoint()
	if err != nil {
		t.Fatal(err)
	}
	mail := "Subject: checkpoint\r\n\r\nKeep this mail.\r\n\r\n" + strings.ReplaceAll(string(checkpoint), "\n", "\r\n") + "\r\nbackupd\r\n"
	bundle, head = filepath.Join(dir, "bundle.zip"), filepath.Join(dir, "head.eml")
	if err := errors.Join(os.WriteFile(bundle, b.Bytes(), 0o600), os.WriteFile(head, []byte(mail), 0o600)); err != nil {
		t.Fatal(err)
	}
	return bundle, head, log.PublicKey().String()
}

// TestTheAuditorsProgram runs the program itself.
func TestTheAuditorsProgram(t *testing.T) {
	bundle, head, key := written(t)
	program := filepath.Join(t.TempDir(), "backupd-audit")
	if out, err := exec.Command("go", "build", "-o", program, "github.com/saypro/backupd/cmd/backupd-audit").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	_, _, other := written(t)
	broken := filepath.Join(t.TempDir(), "broken.zip")
	text, err := os.ReadFile(bundle)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(broken, text[:len(text)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	for _, run := range []struct {
		args   []string
		status int
		says   string
	}{
		{[]string{bundle, "--key", key}, 0, "IN ORDER"},
		{[]string{bundle, "--key", key, "--head", head}, 0, "that you gave: fits"},
		{[]string{"--key=" + key, "--json", bundle}, 0, `"ok": true`},
		{[]string{bundle, "--key", key, "--strict"}, 4, "IN ORDER, with 1 warning"},
		{[]string{bundle, "--key", key, "--tsa-roots", bundle}, 2, "--tsa-roots"},
		{[]string{bundle, "--key", other}, 4, "NOT IN ORDER"},
		{[]string{bundle, "--key", key, "--head", bundle}, 4, "the checkpoint that was given is not one of this log"},
		{[]string{broken, "--key", key}, 4, "not an evidence bundle"},
		{[]string{bundle}, 2, "--key"},
		{[]string{bundle, "--key", "x"}, 2, "--key"},
		{[]string{bundle + "x", "--key", key}, 2, "no such file"},
		{[]string{bundle, "--head", bundle + "x", "--key", key}, 2, "--head"},
		{[]string{"--key", key}, 2, "one bundle"},
		{[]string{"--colour", bundle}, 2, "unknown flag"},
		{[]string{filepath.Dir(bundle), "--key", key}, 2, "is not a file"},
		{[]string{"--help"}, 0, "Exit status"},
	} {
		cmd := exec.Command(program, run.args...)
		out, _ := cmd.CombinedOutput() // its status is what is looked at
		if got := cmd.ProcessState.ExitCode(); got != run.status || !strings.Contains(string(out), run.says) {
			t.Errorf("%v: status %d, want %d with %q:\n%s", run.args, got, run.status, run.says, out)
		}
	}
}

func TestShown(t *testing.T) {
	bundle, head, key := written(t)
	v, err := audit.Check(t.Context(), audit.Request{File: bundle, Keys: []string{key}, Heads: []string{head}})
	if err != nil {
		t.Fatal(err)
	}
	var human, document bytes.Buffer
	if err := errors.Join(audit.Show(&human, v), audit.ShowJSON(&document, v)); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"records   0 to 39 of 40", "19  snapshot failed", "OPEN: not ended by the end", "IN ORDER, with 1 warning\n", key} {
		if !strings.Contains(human.String(), part) {
			t.Errorf("no %q in\n%s", part, human.String())
		}
	}
	var again evidence.Verification
	if err := json.Unmarshal(document.Bytes(), &again); err != nil || again.Root != v.Root || len(again.Open) != 1 {
		t.Errorf("%v: %s", err, document.String())
	}
}

// A key is taken as it is or in a file, as the program prints it, and a private
// one is not repeated.
func TestAKeyIsTakenFromAFile(t *testing.T) {
	bundle, _, key := written(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "log.pub")
	if err := os.WriteFile(file, []byte("log github.com/saypro, 3 records\n"+key+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, given := range []string{key, file} {
		if v, err := audit.Check(t.Context(), audit.Request{File: bundle, Keys: []string{given}}); err != nil || !v.OK {
			t.Errorf("--key %s: %v", given, err)
		}
	}
	s, err := evidence.NewSigner(evidence.OriginPrefix + "00000000")
	if err != nil {
		t.Fatal(err)
	}
	private := filepath.Join(dir, "evidence.key")
	if err := evidence.WriteKeyFile(private, s); err != nil {
		t.Fatal(err)
	}
	secret := s.Private()[len(s.Private())-20:]
	for given, want := range map[string]string{
		filepath.Join(dir, "gone"): "or a file whose last line it is", private: "the last line of the file", s.Private(): "or a file",
	} {
		_, err := audit.Check(t.Context(), audit.Request{File: bundle, Keys: []string{given}})
		if !errors.Is(err, audit.ErrUsage) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), secret) {
			t.Errorf("%v", err)
		}
	}
}
