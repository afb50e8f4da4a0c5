package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/saypro/backupd/internal/testenv"
)

type keysAnswer struct {
	Keys []struct {
		ID      string
		Current bool
		Opens   bool
		Packs   int
		Wraps   []struct{ Recipients int }
	}
	EscrowTests []struct{ Passed bool } `json:"escrow_tests"`
	Warnings    []string
}

// escrowFile brings the escrow's identity to this host.
func (w *world) escrowFile() string {
	w.t.Helper()
	path := filepath.Join(w.dir, "usb.txt")
	if err := os.WriteFile(path, []byte(w.escrowIdentity+"\n"), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return path
}

// The daemon's identity is lost. The steps are those of docs/operations.md.
func TestLostIdentity(t *testing.T) {
	w := newWorld(t, testenv.Postgres(t), testenv.Sites(t))
	w.pg.Exec(t, someData)
	w.must(0, "snapshot")
	w.must(0, "key", "rotate")
	w.pg.Exec(t, "INSERT INTO payments.transactions (amount, note) SELECT g, 'before' FROM generate_series(1, 100) g")
	w.must(0, "snapshot")
	before := answer[snapshotsAnswer](w, 0, "snapshots")
	if err := os.Remove(filepath.Join(w.dir, "identity.txt")); err != nil {
		t.Fatal(err)
	}
	w.fails(1, []string{"snapshot"}, "identity.txt", "backupd init")
	w.fails(1, []string{"check"}, "identity.txt", "lost for good", "key add --identity")

	w.fails(3, []string{"init"}, "does not open it", "key add --identity")
	w.fails(1, []string{"snapshot"}, "wrong key")
	w.fails(2, []string{"key", "add"}, "--recipient")
	usb := w.escrowFile()
	w.must(0, "key", "add", "--identity", usb)
	if err := os.Remove(usb); err != nil {
		t.Fatal(err)
	}
	w.must(0, "check")
	w.must(0, "init")

	w.pg.Exec(t, "INSERT INTO payments.transactions (amount, note) SELECT g, 'after' FROM generate_series(1, 100) g")
	w.must(0, "snapshot")
	after := answer[snapshotsAnswer](w, 0, "snapshots")
	if len(after) != 3 || after[1].Snapshot != before[0].Snapshot {
		t.Errorf("recovery points after: %+v", after)
	}
	for i, s := range after {
		for _, site := range []string{"onsite", "cloud"} {
			w.must(0, "verify", "--snapshot", s.Snapshot, "--from", site, "--level", "L2")
		}
		if i != 1 {
			w.must(0, "restore", "payments", "--snapshot", s.Snapshot, "--to", w.pg.URLOf("restored_"+s.Snapshot))
		}
	}
	// From nothing but a site and the new identity.
	if err := os.Rename(filepath.Join(w.dir, "data"), filepath.Join(w.dir, "data.old")); err != nil {
		t.Fatal(err)
	}
	w.must(0, "catalog", "rebuild", "--from", "cloud")
	w.must(0, "verify", "payments", "--from", "cloud", "--level", "L5")
	list := answer[keysAnswer](w, 0, "key", "list")
	if len(list.Keys) != 2 || !list.Keys[1].Current || !list.Keys[0].Opens || !list.Keys[1].Opens || list.Keys[1].Packs == 0 {
		t.Errorf("keys: %+v", list)
	}
}

func TestKeysThroughTheService(t *testing.T) {
	w := newWorld(t, testenv.Postgres(t), testenv.Sites(t))
	w.pg.Exec(t, someData)
	d := w.serve()
	w.eventually("a first snapshot", func() bool { return w.run("status").code == 0 })
	w.fails(0, []string{"status"}, "never tested")
	w.fails(0, []string{"check"}, "escrow: never tested", "lost for good", "a second escrow")
	usb := w.escrowFile()
	w.must(0, "key", "escrow-test", "--identity", usb)
	w.fails(2, []string{"key", "escrow-test", "--identity", filepath.Join(w.dir, "identity.txt")}, "own identity")
	w.fails(0, []string{"check"}, "escrow: tested on")
	if o := w.must(0, "status"); strings.Contains(o.stdout, "never tested") {
		t.Errorf("after a test: %s", o)
	}
	second, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	w.fails(0, []string{"key", "add", "--recipient", second.Recipient().String()}, "keys.recipients")
	w.must(0, "key", "rotate")
	w.pg.Exec(t, "INSERT INTO payments.transactions (amount, note) SELECT g, 'more' FROM generate_series(1, 100) g")
	w.must(0, "snapshot")
	list := answer[keysAnswer](w, 0, "key", "list")
	if len(list.Keys) != 2 || list.Keys[0].Current || !list.Keys[1].Current || list.Keys[1].Packs == 0 ||
		len(list.Keys[0].Wraps) != 2 || len(list.Keys[1].Wraps) != 1 || len(list.EscrowTests) != 1 || !list.EscrowTests[0].Passed {
		t.Errorf("keys: %+v", list)
	}
	// The second escrow opens the first key only: it is not in the configuration.
	if err := os.WriteFile(usb, []byte(second.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	w.fails(1, []string{"key", "escrow-test", "--identity", usb}, list.Keys[1].ID, "cloud", "onsite")
	list = answer[keysAnswer](w, 0, "key", "list")
	if !slices.ContainsFunc(list.Warnings, func(s string) bool { return strings.Contains(s, "failed at site cloud") }) {
		t.Errorf("warnings: %q", list.Warnings)
	}
	w.escrowFile()
	w.must(0, "key", "escrow-test", "--identity", usb)
	if code := d.stop(t); code != 0 {
		t.Errorf("the service ended with %d: %s", code, d.log)
	}
	for _, secret := range []string{w.escrowIdentity, second.String()} {
		if strings.Contains(d.log.String(), secret) {
			t.Error("a secret is in the log")
		}
	}
}

// Somebody was written into the configuration and cannot open anything.
func TestRecipientThatIsOnlyConfigured(t *testing.T) {
	w := newWorld(t, testenv.Postgres(t), testenv.Sites(t))
	w.pg.Exec(t, someData)
	second, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	w.must(0, "check")
	w.escrow += ", " + second.Recipient().String()
	w.write()
	w.fails(1, []string{"check"}, "wrapped for 2 recipients", "names 3", "backupd key add")
	w.must(0, "key", "add", "--recipient", second.Recipient().String())
	w.must(0, "check")
}
