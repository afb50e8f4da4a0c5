package repository

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/saypro/backupd/internal/catalog"
)

func (b *bench) testEscrow(t *testing.T, id age.Identity) EscrowTest {
	t.Helper()
	out, err := b.TestEscrow(t.Context(), []age.Identity{id})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestEscrowOpensEverySiteAlone(t *testing.T) {
	b, rnd := newBench(t), seeded(t)
	if out := b.testEscrow(t, b.escrow); !out.Passed || out.Sites["cloud"].Note == "" || len(out.Sites["cloud"].Keys) != 1 {
		t.Errorf("with nothing in the repository: %+v", out)
	}
	b.write(t, "payments", map[string][]byte{"t": someRows(rnd, 1000)})
	b.rotate(t)
	snap := b.write(t, "payments", map[string][]byte{"t": someRows(rnd, 1000)})
	b.durable(t, snap)
	b.clock.Advance(time.Hour)
	out := b.testEscrow(t, b.escrow)
	for _, site := range []string{"onsite", "cloud"} {
		at := out.Sites[site]
		if !at.Passed || len(at.Keys) != 2 || at.Chunks != 2 || at.Snapshot != snap.ID || at.Note != "" {
			t.Errorf("site %s: %+v", site, at)
		}
	}
	tests, err := b.EscrowTests()
	if err != nil || len(tests) != 1 || !tests[0].Passed || !tests[0].At.Equal(b.clock.Now()) ||
		tests[0].Recipients[0] != b.escrow.Recipient().String() {
		t.Errorf("remembered: %+v (%v)", tests, err)
	}
}

// What is tried at one site says nothing of the other, and keeps what is known of it.
func TestEscrowAtOneSite(t *testing.T) {
	b, rnd := newBench(t), seeded(t)
	b.durable(t, b.write(t, "payments", map[string][]byte{"t": someRows(rnd, 1000)}))
	at := func(site string) EscrowTest {
		t.Helper()
		out, err := b.TestEscrow(t.Context(), []age.Identity{b.escrow}, site)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	first := b.clock.Now()
	if out := at("cloud"); out.Passed || len(out.Sites) != 1 || !out.Sites["cloud"].Passed || len(out.Untested) != 1 || out.Untested[0] != "onsite" {
		t.Errorf("cloud alone: %+v", out)
	}
	b.clock.Advance(24 * time.Hour)
	out := at("onsite")
	if !out.Passed || len(out.Untested) > 0 || !out.Since().Equal(first.UTC().Truncate(time.Second)) || !out.Sites["onsite"].At.Equal(out.At) {
		t.Errorf("then onsite: %+v, since %s", out, out.Since())
	}
	if tests, err := b.EscrowTests(); err != nil || len(tests) != 1 || !tests[0].Passed {
		t.Errorf("remembered: %+v (%v)", tests, err)
	}
}

func TestEscrowThatOpensNotEverything(t *testing.T) {
	b, rnd := newBench(t), seeded(t)
	b.durable(t, b.write(t, "payments", map[string][]byte{"t": someRows(rnd, 1000)}))
	stranger := newIdentity(t)
	out := b.testEscrow(t, stranger)
	if out.Passed || !strings.Contains(out.Sites["onsite"].Error, b.keys.first.String()) {
		t.Errorf("with an identity that nobody knows: %+v", out)
	}
	// The escrow was forgotten when the key was turned.
	b.clock.Advance(time.Minute)
	turned, err := b.RotateKey(t.Context(), []age.Recipient{b.daemon.Recipient(), stranger.Recipient()}, 2, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	out = b.testEscrow(t, b.escrow)
	for site, at := range out.Sites {
		if at.Passed || !strings.Contains(at.Error, turned.Key) || len(at.Keys) != 1 {
			t.Errorf("site %s: %+v", site, at)
		}
	}
	if tests, err := b.EscrowTests(); err != nil || len(tests) != 2 || tests[1].Passed {
		t.Errorf("remembered: %+v (%v)", tests, err)
	}
}

// What is wrong at one site is said of that site.
func TestEscrowTestSeesDamage(t *testing.T) {
	b, rnd := newBench(t), seeded(t)
	snap := b.write(t, "payments", map[string][]byte{"t": someRows(rnd, 1000)})
	b.durable(t, snap)
	for _, object := range []string{catalog.PackName(snap.Packs[len(snap.Packs)-1].SHA256), keyName(b.keys.first.String())} {
		at := headerSize + 10 // in the first chunk, or in the stanza of the daemon
		if strings.HasPrefix(object, keyPrefix) {
			at = 250
		}
		undo := flipByte(t, filepath.Join(b.roots["cloud"], object), at)
		out := b.testEscrow(t, b.escrow)
		if out.Passed || !out.Sites["onsite"].Passed || out.Sites["cloud"].Passed || !strings.Contains(out.Sites["cloud"].Error, "cloud") {
			t.Errorf("with %s damaged: %+v", object, out)
		}
		undo()
	}
}
