package catalog

import (
	"errors"
	"slices"
	"testing"
	"time"

	"go.etcd.io/bbolt"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// withPacks makes a catalog with so many packs, queued for all sites.
func withPacks(t *testing.T, n uint64) (c *Catalog, names []string) {
	t.Helper()
	c = open(t)
	for i := range n {
		p, name, chunks := pack(i)
		if _, err := c.AddPack(p, name, chunks, sites); err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	return c, names
}

// take remembers a snapshot that names packs.
func take(t *testing.T, c *Catalog, id string, number int, packs ...uint32) Snapshot {
	t.Helper()
	s := someSnapshot(id, "payments", number)
	s.Packs = packs
	if err := c.AddSnapshot(s, sites); err != nil {
		t.Fatal(err)
	}
	return s
}

// deliver acknowledges everything that waits for a site.
func deliver(t *testing.T, c *Catalog, site string) {
	t.Helper()
	for {
		next, err := c.Next(site, 10)
		if err != nil {
			t.Fatal(err)
		}
		if len(next) == 0 {
			return
		}
		if _, err := c.Acknowledge(site, next, noon, time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
}

// again is another commit of a snapshot.
func again(s Snapshot, packs ...uint32) Snapshot {
	s.Commit += "-again"
	s.Packs = packs
	return s
}

func mark(name string) Object { return Object{Kind: KindMark, Name: "g/2026/03/01/" + name} }

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// verified ends with the full check of the catalog.
func verified(t *testing.T, c *Catalog) {
	t.Helper()
	ok(t, c.Verify())
}

// A capture may run for longer than a pack that it refers to is condemned,
// deleted and forgotten.
func TestPackThatIsForgottenIsNotReferredTo(t *testing.T) {
	c, _ := withPacks(t, 1)
	for _, site := range sites {
		deliver(t, c, site)
	}
	ok(t, c.Condemn(Doomed{Packs: []uint32{1}}, noon, mark("1"), sites))
	doom, err := c.DeletePacks(noon.Add(time.Hour), noon.Add(time.Hour))
	ok(t, err)
	ok(t, c.ForgetPacks(doom.Packs))
	s := someSnapshot("000001", "payments", 1)
	s.Packs = []uint32{1}
	if err := c.AddSnapshot(s, sites); !errors.Is(err, ErrCondemned) {
		t.Errorf("a snapshot of a pack that is no more: %v", err)
	}
	verified(t, c)
}

// A chunk that was written anew is found where it was written last: what refers
// to the old pack would keep it for ever.
func TestLastPlaceOfAChunkIsFound(t *testing.T) {
	c, _ := withPacks(t, 1)
	_, _, chunks := pack(0)
	p, name, _ := pack(7)
	_, err := c.AddPack(p, name, chunks, sites)
	ok(t, err)
	at, found, err := c.Find(chunks[0].ID)
	if err != nil || !found || at.Pack != 2 {
		t.Errorf("found in pack %d: %t %v", at.Pack, found, err)
	}
	ok(t, c.Condemn(Doomed{Packs: []uint32{2}}, noon, mark("1"), sites))
	if at, found, err := c.Find(chunks[0].ID); err != nil || !found || at.Pack != 1 {
		t.Errorf("while the last is condemned it is found in pack %d: %t %v", at.Pack, found, err)
	}
}

// A mark that condemns a replaced commit may be read where the other is not
// known: it was lost there, or has never come.
func TestCommitThatCountsIsNotDeletedAsReplaced(t *testing.T) {
	c, _ := withPacks(t, 1)
	s := take(t, c, "000001", 1, 1)
	ok(t, c.Condemn(Doomed{Commits: []string{s.Commit}, Packs: []uint32{1}}, noon, mark("1"), sites))
	for range 2 {
		doom, err := c.DeleteCommits(noon.Add(48*time.Hour), noon.Add(48*time.Hour))
		if err != nil || len(doom.Commits) > 0 {
			t.Errorf("the only commit of a snapshot that is kept goes: %v %v", doom.Commits, err)
		}
		doom, err = c.DeletePacks(noon.Add(48*time.Hour), noon.Add(48*time.Hour))
		if err != nil || len(doom.Packs) > 0 {
			t.Errorf("what it needs goes: %v %v", doom.Packs, err)
		}
		// As a release without that check has left it.
		o, err := c.Object(s.Commit)
		ok(t, err)
		ok(t, c.condemnAnyway(o))
	}
	if _, err := c.Snapshot(s.ID); err != nil {
		t.Error(err)
	}
}

// A commit that is found after its snapshot was condemned goes with it.
func TestCommitFoundLaterGoesWithItsSnapshot(t *testing.T) {
	c, _ := withPacks(t, 2)
	s := take(t, c, "000001", 1, 1)
	ok(t, c.Condemn(Doomed{Snapshots: map[string]string{s.ID: "no rule"}}, noon, mark("1"), sites))
	ok(t, c.AddSnapshot(again(s, 2), sites))
	doom, err := c.DeleteCommits(noon.Add(time.Hour), noon.Add(time.Hour))
	if err != nil || len(doom.Commits) != 2 {
		t.Errorf("%d commits go, want both: %v", len(doom.Commits), err)
	}
	if _, err := c.Snapshot(s.ID); !errors.Is(err, ErrNotFound) {
		t.Errorf("the snapshot is still known: %v", err)
	}
}

// A commit of a snapshot that is no more is superseded, and not kept for ever.
func TestCommitThatOutlivesItsSnapshotIsSuperseded(t *testing.T) {
	c, _ := withPacks(t, 2)
	s := take(t, c, "000001", 1, 1)
	later := again(s, 2)
	ok(t, c.AddSnapshot(later, sites)) // counts from now on
	ok(t, c.condemnAnyway(Object{Kind: KindCommit, Name: later.Commit, Snapshot: s.ID}))
	ok(t, c.Condemn(Doomed{Snapshots: map[string]string{s.ID: "no rule"}}, noon, mark("1"), sites))
	o, err := c.Object(s.Commit)
	ok(t, err)
	o.Condemned = time.Time{} // as when it was protected, or taken for another's
	ok(t, c.put(o))
	_, err = c.DeleteCommits(noon.Add(time.Hour), noon.Add(time.Hour))
	ok(t, err)
	gone, err := c.Switch(sites)
	if err != nil || !slices.Contains(gone, s.Commit) {
		t.Errorf("superseded: %v %v", gone, err)
	}
}

// A commit that was to take the place of another is given up when it, or a pack
// that it names, is lost: otherwise nothing would take that place again.
func TestLostStagedCommitIsGivenUp(t *testing.T) {
	for _, what := range []string{"pack", "commit"} {
		c, names := withPacks(t, 2)
		s := take(t, c, "000001", 1, 1)
		for _, site := range sites {
			deliver(t, c, site)
		}
		staged, err := c.Stage(again(s, 2), sites)
		if err != nil || !staged {
			t.Fatal(staged, err)
		}
		if what == "pack" {
			_, err = c.Lose(names[1], noon)
		} else {
			err = c.SetAside(Fault{Site: sites[0], Name: again(s).Commit, Since: noon, Lost: true})
		}
		ok(t, err)
		known, err := c.Snapshot(s.ID)
		if err != nil || known.Staged != "" || known.Commit != s.Commit {
			t.Errorf("with a lost %s: commit %s, staged %q, %v", what, known.Commit, known.Staged, err)
		}
		verified(t, c)
	}
}

// A site that is new while a commit takes the place of another may be given the
// new one alone: a pack of the old one is lost.
func TestSnapshotIsDurableWithItsStagedCommit(t *testing.T) {
	c, names := withPacks(t, 2)
	s := take(t, c, "000001", 1, 1)
	for _, site := range sites {
		deliver(t, c, site)
	}
	if staged, err := c.Stage(again(s, 2), sites); err != nil || !staged {
		t.Fatal(staged, err)
	}
	all := append(slices.Clone(sites), "vault")
	_, err := c.AddSite("vault")
	ok(t, err)
	_, err = c.Lose(names[0], noon)
	ok(t, err)
	for _, site := range all {
		deliver(t, c, site)
	}
	_, err = c.Switch(all)
	ok(t, err)
	known, err := c.Snapshot(s.ID)
	ok(t, err)
	if known.Commit != again(s).Commit || known.Durable["vault"].IsZero() {
		t.Errorf("commit %s, durable %v", known.Commit, known.Durable)
	}
}

// A commit whose pack is lost is not sent because somebody fears for it.
func TestCommitOfALostPackIsNotSent(t *testing.T) {
	c, names := withPacks(t, 1)
	s := take(t, c, "000001", 1, 1)
	ok(t, c.SetAside(Fault{Site: "cloud", Name: s.Commit, Since: noon}))
	_, err := c.Lose(names[0], noon)
	ok(t, err)
	for _, name := range []string{s.Commit, names[0]} {
		if queued, err := c.Doubt(Fault{Site: "cloud", Name: name, Since: noon}); queued || err != nil {
			t.Errorf("%s is queued: %v", name, err)
		}
	}
	faults, err := c.Faults("cloud")
	if err != nil || len(faults) != 1 || !faults[0].Lost {
		t.Errorf("nothing but the lost pack is wrong: %+v %v", faults, err)
	}
}

// The spool keeps what will be sent again, although nobody waits for it now, and
// nothing leaves it that nobody is known to have.
func TestSpoolKeepsWhatIsSentLater(t *testing.T) {
	c, names := withPacks(t, 2)
	s := take(t, c, "000001", 1, 1)
	kept := func(name string, want bool) {
		t.Helper()
		if keep, err := c.Spooled(name); err != nil || keep != want {
			t.Errorf("%s is kept: %t %v", name, keep, err)
		}
	}
	_, err := c.Lose(names[0], noon)
	ok(t, err)
	kept(names[0], false)
	kept(s.Commit, true) // the pack may be found
	if held, err := c.HeldBySome(s.Commit, sites); err != nil || held {
		t.Errorf("a commit that was never sent is held: %v", err)
	}
	for _, site := range sites {
		ok(t, c.SetAside(Fault{Site: site, Name: names[1], Since: noon}))
	}
	kept(names[1], true)
	for _, site := range sites {
		ok(t, c.SetAside(Fault{Site: site, Name: names[1], Since: noon, Lost: true}))
	}
	kept(names[1], false)
}

func (c *Catalog) put(o Object) error {
	return c.db.Update(func(tx *bbolt.Tx) error { return putObject(tx, o) })
}

// condemnAnyway condemns a commit without asking whether it counts.
func (c *Catalog) condemnAnyway(o Object) error {
	return c.db.Update(func(tx *bbolt.Tx) error { return condemnCommit(tx, o.Name, noon) })
}
