package soak

import (
	"bytes"
	"crypto/sha256"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/storage"
	"github.com/saypro/backupd/internal/testenv"
)

// expect does something bad and checks that the auditors say so.
func (w *world) expect(what string, look func()) {
	w.t.Helper()
	var caught []string
	w.caught = &caught
	look()
	w.caught = nil
	for _, text := range caught {
		if strings.Contains(text, what) {
			return
		}
	}
	w.t.Errorf("nobody noticed %q, but %q", what, caught)
}

// afresh makes the auditor of a site forget what it has seen.
func (s *site) afresh() {
	s.auditor.claims = map[string]*claim{}
	s.auditor.reader.forget()
}

// Auditors that never found anything would prove nothing.
func TestAuditorsNotice(t *testing.T) {
	t.Parallel()
	w := newWorld(t, testenv.Postgres(t), testenv.Sites(t), newTally())
	w.start()
	if err := w.books[0].advance(t.Context(), w.pg.Conn(t), 20); err != nil {
		t.Fatal(err)
	}
	w.settle()
	cloud := w.sites[1]

	var commit, pack string
	for name, c := range cloud.auditor.claims {
		if s := c.snapshots[0]; s.Function == "orders" {
			commit, pack = w.file(name), w.file("p/"+s.Packs[0].SHA256[:2]+"/"+s.Packs[0].SHA256)
		}
	}
	w.withFile(pack, func(b []byte) { b[100] ^= 1 }, func() {
		cloud.afresh()
		w.expect("not those that its commit names", w.check)
	})
	w.withFile(commit, func(b []byte) { b[100] ^= 1 }, func() {
		cloud.afresh()
		w.expect("authentication failed", w.check)
	})
	w.check()
	w.withFile(pack, nil, func() { w.expect("0 bytes are there", w.check) })
	w.withFile(commit, nil, func() { w.expect("has vanished", w.check) })
	w.check()

	stray := []byte("{}\n")
	err := cloud.auditor.store.Put(t.Context(), storage.Object{
		Name: "v/0badcafe/7-1", Size: int64(len(stray)), SHA256: sha256.Sum256(stray), Body: bytes.NewReader(stray),
	})
	if err != nil {
		t.Fatal(err)
	}
	w.expect("it is no evidence", w.check)
	if err := cloud.auditor.store.Delete(t.Context(), "v/0badcafe/7-1"); err != nil {
		t.Fatal(err)
	}

	w.promised["0123456789ab"] = &promise{function: "orders", durable: map[string]bool{"cloud": true}}
	w.expect("reported durable at site cloud and is not there", w.check)
	delete(w.promised, "0123456789ab")

	b := w.books[0]
	b.seen = append(b.seen, moment{time.Now(), 10_000})
	w.expect("the database was at step 10000", func() { w.must("", "snapshot", "orders"); w.check() })
	b.seen = b.seen[:len(b.seen)-1]

	w.pg.Exec(t, "UPDATE orders.accounts SET memo = 'another' WHERE id = 7")
	w.expect("another", func() { w.must("", "snapshot", "orders"); w.check() })

	w.refuse("cloud")
	w.run("", "snapshot", "stock")
	w.refuse("onsite", "cloud")
	w.run("", "snapshot", "stock")
	files, err := filepath.Glob(filepath.Join(w.data, "spool", "c+*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("nothing waits: %v", err)
	}
	w.withFile(files[len(files)-1], nil, func() { w.expect("nobody has it", w.spoolHasAll) })
}

// withFile changes a file, or removes it, while look looks.
func (w *world) withFile(path string, change func([]byte), look func()) {
	w.t.Helper()
	good, err := os.ReadFile(path)
	if err != nil {
		w.t.Fatal(err)
	}
	bad := append([]byte{}, good...)
	if change == nil {
		err = os.Rename(path, path+".aside")
	} else {
		change(bad)
		err = os.WriteFile(path, bad, 0o600)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	look()
	if change == nil {
		err = os.Rename(path+".aside", path)
	} else {
		err = os.WriteFile(path, good, 0o600)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}
