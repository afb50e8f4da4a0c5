package catalog

import (
	"testing"
	"time"
)

// What was read is noted of what the site must hold, and of nothing else.
func TestNoteRead(t *testing.T) {
	c := open(t)
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	held, heldName, chunks := pack(1)
	if _, err := c.AddPack(held, heldName, chunks, sites); err != nil {
		t.Fatal(err)
	}
	entry := Entry{Kind: KindPack, Name: heldName, Size: held.Size, SHA256: held.SHA256}
	if _, err := c.Acknowledge("cloud", []Entry{entry}, now, now.Add(24*time.Hour)); err != nil {
		t.Fatal(err)
	}
	later := now.Add(time.Hour)
	for _, site := range sites { // it still waits for the other one
		if err := c.NoteRead(site, []string{heldName, "p/00/unknown"}, later); err != nil {
			t.Fatal(err)
		}
	}
	got := map[string][]Holding{}
	for _, site := range sites {
		if err := c.EachHolding(site, func(h Holding) error { got[site] = append(got[site], h); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(got["onsite"]); n != 0 {
		t.Errorf("%d objects are held by the site that has none", n)
	}
	if h := got["cloud"]; len(h) != 1 || !h[0].Read.Equal(later) || !h[0].Locked.Equal(now.Add(24*time.Hour)) || h[0].Faulty {
		t.Errorf("held: %+v", h)
	}
	// Reading it right ends what was thought to be wrong with it.
	if err := c.SetAside(Fault{Site: "cloud", Name: heldName, Since: later, Detail: "other bytes", Found: "upload"}); err != nil {
		t.Fatal(err)
	}
	if _, faulty, err := c.FaultAt("cloud", heldName); err != nil || !faulty {
		t.Errorf("not faulty (%v)", err)
	}
	if err := c.NoteRead("cloud", []string{heldName}, later); err != nil {
		t.Fatal(err)
	}
	if f, faulty, err := c.FaultAt("cloud", heldName); err != nil || faulty {
		t.Errorf("still %+v (%v)", f, err)
	}
	// What is lost is held by nobody, whatever is noted.
	if _, err := c.Lose(heldName, later); err != nil {
		t.Fatal(err)
	}
	if err := c.NoteRead("cloud", []string{heldName}, later); err != nil {
		t.Fatal(err)
	}
	for _, site := range sites {
		if f, faulty, err := c.FaultAt(site, heldName); err != nil || !faulty || !f.Lost {
			t.Errorf("site %s: %+v (%v)", site, f, err)
		}
	}
}
