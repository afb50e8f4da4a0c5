package catalog

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestKeysComeWithTheirBytes(t *testing.T) {
	c := open(t)
	if _, err := c.AddSite("onsite"); err != nil {
		t.Fatal(err)
	}
	wrapped := []byte("sealed for somebody")
	for range 2 {
		if err := c.AddKey("keys/0123456789abcdef.age", wrapped); err != nil {
			t.Fatal(err)
		}
	}
	if queued, err := c.AddSite("cloud"); err != nil || queued != 0 { // a site that is new has lost nothing
		t.Errorf("the new site has lost %d objects (%v)", queued, err)
	}
	for _, site := range []string{"onsite", "cloud"} {
		next, err := c.Next(site, 10)
		if err != nil || len(next) != 1 || next[0].Name != "keys/0123456789abcdef.age" || next[0].Kind != KindKey || next[0].Size != int64(len(wrapped)) {
			t.Errorf("site %s is sent %+v (%v)", site, next, err)
		}
	}
	all, err := c.WrappedKeys()
	if err != nil || len(all) != 1 || !bytes.Equal(all["keys/0123456789abcdef.age"], wrapped) {
		t.Errorf("kept: %q (%v)", all, err)
	}
	if one, err := c.WrappedKey("keys/0123456789abcdef.age"); err != nil || !bytes.Equal(one, wrapped) {
		t.Errorf("kept: %q (%v)", one, err)
	}
}

// The name of the mark decides which key counts, not which was learned last.
func TestUsesOfKeysAreSortedByTheirMarks(t *testing.T) {
	c := open(t)
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	use := func(id, mark string) {
		t.Helper()
		if err := c.UseKey(id, at, Object{Kind: KindMark, Name: mark, Size: 1}, []string{"onsite"}); err != nil {
			t.Fatal(err)
		}
	}
	use("b", "g/2026/03/02/1")
	use("a", "g/2026/03/01/1")
	use("b", "g/2026/03/02/1")
	got, err := c.KeyUses()
	if err != nil {
		t.Fatal(err)
	}
	want := []KeyUse{{Key: "a", Mark: "g/2026/03/01/1", Since: at}, {Key: "b", Mark: "g/2026/03/02/1", Since: at}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if marks, err := c.Objects(KindMark); err != nil || len(marks) != 2 {
		t.Errorf("%d marks (%v)", len(marks), err)
	}
}

func TestPacksAreCountedByKey(t *testing.T) {
	c := open(t)
	var held []string
	for n := range uint64(4) {
		p, name, chunks := pack(n)
		p.Key, p.Salt = [8]byte{byte(n % 2)}, [32]byte{1}
		if _, err := c.AddPack(p, name, chunks, []string{"onsite"}); err != nil {
			t.Fatal(err)
		}
		held = append(held, name)
	}
	counts, err := c.PacksByKey()
	if err != nil || len(counts) != 2 || counts[[8]byte{0}].Packs != 2 || counts[[8]byte{1}].Packs != 2 {
		t.Errorf("counted %+v (%v)", counts, err)
	}
	if _, ok, err := c.PackOfKey([8]byte{1}, "onsite"); ok || err != nil {
		t.Errorf("a pack that waits is held (%v)", err)
	}
	next, err := c.Next("onsite", 2)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Acknowledge("onsite", next, time.Now(), time.Time{}); err != nil {
		t.Fatal(err)
	}
	for n := range 2 {
		if p, ok, err := c.PackOfKey([8]byte{byte(n)}, "onsite"); !ok || err != nil || PackName(p.SHA256) != held[n] {
			t.Errorf("of key %d: %x %t (%v)", n, p.SHA256, ok, err)
		}
	}
	if _, ok, err := c.PackOfKey([8]byte{9}, "onsite"); ok || err != nil {
		t.Errorf("of a key that seals nothing: %t (%v)", ok, err)
	}
}

// What a caller read of a snapshot before a site took it must not make its copy
// be nowhere.
func TestStateOfACopyIsThatOfNow(t *testing.T) {
	c := open(t)
	if err := c.AddSnapshot(someSnapshot("0123456789ab", "payments", 1), []string{"onsite"}); err != nil {
		t.Fatal(err)
	}
	before, err := c.Snapshot("0123456789ab")
	if err != nil {
		t.Fatal(err)
	}
	next, err := c.Next("onsite", 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Acknowledge("onsite", next, time.Now(), time.Time{}); err != nil {
		t.Fatal(err)
	}
	states, err := c.CopyStates(before, []string{"onsite"})
	if err != nil || states["onsite"].Waiting || states["onsite"].Durable.IsZero() {
		t.Errorf("state %+v (%v)", states["onsite"], err)
	}
}
