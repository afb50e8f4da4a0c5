package engine_test

import (
	"os"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/saypro/backupd/internal/engine"
	"github.com/saypro/backupd/internal/repository"
)

// However often a key was made anew, that there is one escrow alone is said once.
func TestOneEscrowIsWarnedOfOnce(t *testing.T) {
	var keys []repository.KeyInfo
	for _, id := range []string{"01", "02", "03"} {
		keys = append(keys, repository.KeyInfo{ID: id, Opens: true, Wraps: []repository.KeyWrap{{Recipients: 2}}})
	}
	out := engine.KeyWarnings(keys, 2)
	if len(out) != 1 || !strings.Contains(out[0], "the keys 01, 02, 03: a second escrow") {
		t.Errorf("%q", out)
	}
	if out = engine.KeyWarnings(keys[:1], 2); len(out) != 1 || !strings.Contains(out[0], "key 01: a second escrow") {
		t.Errorf("%q", out)
	}
}

// standIn makes of a world one with two escrows whose host stands in for a lost
// one: the identity of the first, which keys.recipients names, lies on it, too.
func standIn(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, extra{})
	second, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.AddKey(t.Context(), engine.KeyAddRequest{Recipients: []string{second.Recipient().String()}}, nil); err != nil {
		t.Fatal(err)
	}
	w.cfg.Keys.Recipients = append(w.cfg.Keys.Recipients, second.Recipient().String())
	own, err := os.ReadFile(w.cfg.Keys.IdentityFile)
	if err == nil {
		err = os.WriteFile(w.cfg.Keys.IdentityFile, []byte(string(own)+"\n"+w.escrow+"\n"), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	w.again(t)
	return w
}

// The keys are wrapped for three, and three are named: this host and two escrows.
// Whoever is named twice is not somebody more who cannot open them.
func TestAnEscrowOnThisHostIsCountedOnce(t *testing.T) {
	t.Parallel()
	w := standIn(t)
	list, err := w.Keys(t.Context())
	if err != nil || len(list.Daemon) != 2 || len(list.Escrow) != 2 || list.Keys[0].Recipients() != 3 {
		t.Fatalf("%+v, %v", list, err)
	}
	for _, text := range list.Warnings {
		if strings.Contains(text, "recipients") {
			t.Errorf("key list: %s", text)
		}
	}
	for _, site := range w.cfg.SiteOrder {
		if f := w.finding(t, site, "the repository opens with this identity"); !f.OK {
			t.Errorf("check: %+v", f)
		}
	}
}

// A disk on which nothing fits is not in order.
func TestRoomOnTheDisk(t *testing.T) {
	for free, want := range map[int64]bool{3 << 20: false, 127 << 20: false, 200 << 20: true, 2 << 30: true} {
		if ok, hint := engine.Room(free); ok != want || (hint == "") != (free == 2<<30) {
			t.Errorf("%d MiB: %t, %q", free>>20, ok, hint)
		}
	}
}
