package repository

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/storage"
	"github.com/saypro/backupd/internal/storage/faulty"
)

const someLog = "0badcafe"

// lines is what stands for records of a log.
func evidenceOf(first uint64, count int) []byte {
	var b bytes.Buffer
	for i := range count {
		fmt.Fprintf(&b, "{\"record\":%d}\n", first+uint64(i))
	}
	return b.Bytes()
}

func (b *bench) publish(t *testing.T, first uint64, count int) EvidenceObject {
	t.Helper()
	content := evidenceOf(first, count)
	if err := b.AddEvidence(t.Context(), someLog, first, count, content); err != nil {
		t.Fatal(err)
	}
	return EvidenceObject{Log: someLog, First: first, Count: count, Size: int64(len(content)), SHA256: sum(content)}
}

// readAll reads all evidence of a site.
func readAll(t *testing.T, r *Repository, site string, see func(o EvidenceObject, content []byte)) error {
	t.Helper()
	objects, err := r.EvidenceAt(t.Context(), site, "", 0)
	if err != nil {
		return err
	}
	for _, o := range objects {
		content, err := r.ReadEvidence(t.Context(), site, o)
		if err != nil {
			return err
		}
		see(o, content)
	}
	return nil
}

// readsEvidence demands that a site gives back exactly these runs.
func readsEvidence(t *testing.T, r *Repository, site string, want ...EvidenceObject) {
	t.Helper()
	var got []string
	err := readAll(t, r, site, func(o EvidenceObject, content []byte) {
		got = append(got, o.Name())
		if !bytes.Equal(content, evidenceOf(o.First, o.Count)) {
			t.Errorf("site %s: %s is %q", site, o.Name(), content)
		}
	})
	if err != nil {
		t.Errorf("site %s: %v", site, err)
	}
	names := []string{}
	for _, o := range want {
		names = append(names, o.Name())
	}
	if !slices.Equal(got, names) {
		t.Errorf("site %s has the evidence %v, want %v", site, got, names)
	}
}

// checkEvidence is the part of the full check that is about evidence: what a
// site is not known to lack it gives back.
func (b *bench) checkEvidence(t *testing.T) {
	t.Helper()
	all, err := b.EvidenceObjects()
	if err != nil {
		t.Error(err)
	}
	for _, o := range all {
		for _, site := range b.sites {
			if slices.Contains(o.Waiting, site.Name) {
				continue
			}
			content, err := readObject(context.Background(), site, o.Name(), maxEvidence)
			if err != nil || sum(content) != o.SHA256 {
				t.Errorf("evidence %s at site %s: %d bytes, others than it must have (%v)", o.Name(), site.Name, len(content), err)
			}
		}
	}
}

func TestEvidenceReachesEverySite(t *testing.T) {
	b := newBench(t)
	first, second := b.publish(t, 0, 120), b.publish(t, 120, 61)
	if second.Name() != "v/0badcafe/000000000120-61" {
		t.Errorf("it is called %s", second.Name())
	}
	b.publish(t, 0, 120) // again adds nothing
	if err := b.AddEvidence(t.Context(), someLog, 0, 120, []byte("{}\n")); !errors.Is(err, ErrOtherEvidence) {
		t.Errorf("other content for the same records: %v", err)
	}
	for log, content := range map[string]string{"0BADCAFE": "{}\n", "../../..": "{}\n", "": "{}\n", someLog: ""} {
		if err := b.AddEvidence(t.Context(), log, 200, 1, []byte(content)); err == nil {
			t.Errorf("log %q takes %q", log, content)
		}
	}
	b.inStep(t)
	for site := range b.roots {
		readsEvidence(t, b.Repository, site, first, second)
		r, out := b.rebuilt(t, b.site(t, site))
		readsEvidence(t, r, site, first, second)
		if known, err := r.EvidenceObjects(); err != nil || out.Evidence != 2 || len(known) != 2 || known[1].Name() != second.Name() || known[1].SHA256 != second.SHA256 {
			t.Errorf("rebuilt from %s: %+v, %+v (%v)", site, known, out, err)
		}
		if got, want := dump(t, r), dump(t, b.Repository); got != want {
			t.Errorf("rebuilt from %s (-live +rebuilt):\n%s", site, lines(want, got))
		}
	}
	i, err := b.Inspect(t.Context(), second.Name(), nil)
	if err != nil || i.Kind != catalog.KindEvidence || !i.Known || i.Problem != "" || *i.Evidence != (InspectedRun{someLog, 120, 180}) {
		t.Errorf("inspected: %+v (%v)", i, err)
	}
	if used, _ := b.Spool(); used != 0 {
		t.Errorf("%d bytes are left in the spool", used)
	}
}

func (b *bench) site(t *testing.T, name string) Site {
	t.Helper()
	site, err := b.Site(name)
	if err != nil {
		t.Fatal(err)
	}
	return site
}

// Much evidence that waits does not keep a recovery point from a site, nor the
// packs of a long capture the evidence.
func TestEvidenceIsNoBurden(t *testing.T) {
	b, rnd := newBench(t), seeded(t)
	b.stop()
	for i := range 50 {
		b.publish(t, uint64(10*i), 10)
	}
	b.write(t, "payments", map[string][]byte{"t": someRows(rnd, 20_000)})
	health, err := b.Health()
	if err != nil || health["cloud"].Evidence != 50 {
		t.Errorf("waits: %+v (%v)", health["cloud"], err)
	}
	trace := &tracing{Store: b.options.Sites[1].Store}
	b.options.Sites[1].Store = trace
	b.open(t)
	b.inStep(t)
	commit := slices.IndexFunc(trace.puts, func(name string) bool { return strings.HasPrefix(name, "c/") })
	packs, evidence := 0, 0
	for _, name := range trace.puts[:commit] {
		if strings.HasPrefix(name, evidencePrefix) {
			evidence++
		} else {
			packs++
		}
	}
	if packs == 0 || evidence == 0 || evidence > packs {
		t.Errorf("before the commit went %d packs and %d objects of evidence", packs, evidence)
	}
	if len(trace.puts) != packs+1+50 {
		t.Errorf("sent: %d objects", len(trace.puts))
	}
}

// What a site loses of evidence, or holds wrongly, comes back from the other.
func TestEvidenceIsMended(t *testing.T) {
	b := newBench(t)
	o := b.publish(t, 0, 10)
	b.inStep(t)
	for what, change := range map[string]func([]byte) []byte{"flipped": flipped, "cut": func(c []byte) []byte { return c[:5] }, "gone": nil} {
		if change == nil {
			b.remove(t, "cloud", o.Name())
		} else {
			b.rewrite(t, "cloud", o.Name(), change)
		}
		if err := readAll(t, b.Repository, "cloud", func(EvidenceObject, []byte) {}); err == nil || !strings.Contains(err.Error(), o.Name()) {
			t.Errorf("%s: read as if it were whole: %v", what, err)
		}
		s := b.scrubAll(t, "cloud")["cloud"]
		if s.Mended != 1 || len(s.Wrong) > 0 {
			t.Errorf("%s: %+v", what, s)
		}
		readsEvidence(t, b.Repository, "cloud", o)
	}
	// Lost at every site it comes back with whoever has it still.
	for site := range b.roots {
		b.remove(t, site, o.Name())
	}
	b.inStep(t)
	if f, lost, err := b.catalog.FaultAt("cloud", o.Name()); err != nil || !lost || !f.Lost {
		t.Errorf("lost everywhere: %+v (%v)", f, err)
	}
	b.publish(t, 0, 10)
	b.inStep(t)
	for site := range b.roots {
		readsEvidence(t, b.Repository, site, o)
	}
}

// Evidence that another host has written is taken in and given to the others.
// When it tells otherwise of the same records both stay, and everybody is told.
func TestEvidenceOfAnotherHost(t *testing.T) {
	b := newBench(t)
	mine := b.publish(t, 0, 10)
	b.inStep(t)
	other := b.beside(t)
	theirs := other.publish(t, 10, 10)
	other.inStep(t)
	b.inStep(t)
	if known, err := b.EvidenceObjects(); err != nil || len(known) != 2 {
		t.Errorf("known: %+v (%v)", known, err)
	}
	for site := range b.roots {
		readsEvidence(t, b.Repository, site, mine, theirs)
	}
	other.stop()
	other.publish(t, 20, 10)
	fork := []byte("{\"record\":\"another 20\"}\n")
	if err := b.AddEvidence(t.Context(), someLog, 20, 10, fork); err != nil {
		t.Fatal(err)
	}
	b.inStep(t)
	other.open(t)
	if _, err := other.Sync(t.Context(), nil, time.Minute, nil); err != nil {
		t.Fatal(err)
	}
	faults, err := other.catalog.Faults("cloud")
	if err != nil || len(faults) != 1 || !strings.Contains(faults[0].Detail, ErrOtherEvidence.Error()) || faults[0].Lost {
		t.Errorf("told of the fork: %+v (%v)", faults, err)
	}
	for _, site := range b.sites {
		content, err := readObject(t.Context(), site, "v/0badcafe/000000000020-10", maxEvidence)
		if err != nil || !bytes.Equal(content, fork) {
			t.Errorf("site %s: the evidence of the one was replaced by that of the other: %q (%v)", site.Name, content, err)
		}
	}
}

// With a check of signatures at hand damage is told from other evidence, also
// where nobody knows what was there.
func TestDamagedEvidenceIsNoOtherEvidence(t *testing.T) {
	b := newBench(t)
	o := b.publish(t, 0, 10)
	b.inStep(t)
	b.rewrite(t, "cloud", o.Name(), flipped)
	b.stop()
	b.options.CheckEvidence = func(_ string, first uint64, count int, content []byte) error {
		if !bytes.Equal(content, evidenceOf(first, count)) {
			return errors.New("no signature is right")
		}
		return nil
	}
	old := b.options
	b.openCatalog(t, t.TempDir()+"/catalog.db")
	b.options.Spool = t.TempDir()
	r, err := Open(t.Context(), b.options)
	if err != nil {
		t.Fatal(err)
	}
	out, err := r.Rebuild(t.Context(), "cloud", nil)
	if err != nil || len(out.Damaged) != 1 || out.Damaged[0].Object != o.Name() || out.Evidence != 0 {
		t.Errorf("rebuilt: %+v (%v)", out, err)
	}
	b.open(t)
	b.inStep(t)
	// It is taken in from one site, and is then on its way to the other.
	waitFor(t, func() bool {
		known, err := b.EvidenceObjects()
		return err == nil && len(known) == 1 && len(known[0].Waiting) == 0
	})
	for site := range b.roots {
		readsEvidence(t, b.Repository, site, o)
	}
	if err := old.Catalog.Close(); err != nil {
		t.Error(err)
	}
}

// One object that a site refuses to give, as when somebody has encrypted it with a key
// of their own, ends neither a comparison nor a rebuild.
func TestRefusedEvidenceIsAProblem(t *testing.T) {
	b := newBench(t)
	mine := b.publish(t, 0, 10)
	b.inStep(t)
	theirs := EvidenceObject{Log: someLog, First: 90, Count: 10}
	content := evidenceOf(90, 10)
	stores := b.flawed(t)
	err := stores["cloud"].Put(t.Context(), storage.Object{Name: theirs.Name(), Size: int64(len(content)), SHA256: sum(content), Body: bytes.NewReader(content)})
	if err != nil {
		t.Fatal(err)
	}
	defer stores["cloud"].Inject(faulty.Rule{Op: "get", Name: theirs.Name(), Err: storage.ErrDenied})()
	synced, err := b.Sync(t.Context(), []string{"cloud"}, time.Minute, nil)
	if at := synced["cloud"]; err != nil || len(at.Problems) != 1 || at.Problems[0].Object != theirs.Name() {
		t.Errorf("compared: %+v (%v)", at, err)
	}
	at := slices.IndexFunc(b.options.Sites, func(s Site) bool { return s.Name == "cloud" })
	r, out := b.rebuilt(t, b.options.Sites[at])
	if len(out.Damaged) != 1 || out.Damaged[0].Object != theirs.Name() || out.Evidence != 1 {
		t.Errorf("rebuilt: %+v", out)
	}
	if known, err := r.EvidenceObjects(); err != nil || len(known) != 1 || known[0].Name() != mine.Name() {
		t.Errorf("known: %+v (%v)", known, err)
	}
}

// Evidence is never given up: no mark, no sweep and no lack of need takes it.
func TestEvidenceStays(t *testing.T) {
	b, rnd := newBench(t), seeded(t)
	o := b.publish(t, 0, 10)
	b.history(t, rnd, 2, 1)
	m := &mark{Condemn: &condemnMark{Commits: []string{o.Name()}}}
	err := b.addMark(t.Context(), m, func(of catalog.Object) error {
		return b.catalog.Condemn(catalog.Doomed{Commits: m.Condemn.Commits}, m.Time, of, b.siteNames())
	})
	if err != nil {
		t.Fatal(err)
	}
	if known, err := b.catalog.Object(o.Name()); err != nil || !known.Condemned.IsZero() {
		t.Errorf("condemned: %+v (%v)", known, err)
	}
	for range 4 {
		b.sweep(t, SweepOptions{MaxRewrite: 1 << 30})
		b.clock.Advance(30 * day)
	}
	for site := range b.roots {
		readsEvidence(t, b.Repository, site, o)
	}
}

// Names that the format does not know mean nothing to anybody.
func TestUnknownNamesMeanNothing(t *testing.T) {
	b := newBench(t)
	o := b.publish(t, 0, 10)
	strange := []string{"v/notes", "v/0badcafe/12-3", "w/0badcafe/000000000001-1", "a", "z/z"}
	for _, name := range strange {
		if err := putObject(t.Context(), b.site(t, "cloud"), name, []byte("what is this\n")); err != nil {
			t.Fatal(err)
		}
	}
	b.inStep(t)
	found := b.comparedNow(t, "cloud")
	if found.Missing+found.Wrong+found.Adopted+len(found.Problems) > 0 {
		t.Errorf("compared: %+v", found)
	}
	if s := b.scrubAll(t, "cloud")["cloud"]; s.Bad+s.Missing+len(s.Wrong) > 0 {
		t.Errorf("scrubbed: %+v", s)
	}
	b.sweep(t, SweepOptions{})
	_, out := b.rebuilt(t, b.site(t, "cloud"))
	if len(out.Damaged) > 0 || out.Evidence != 1 {
		t.Errorf("rebuilt: %+v", out)
	}
	readsEvidence(t, b.Repository, "cloud", o)
	for _, name := range strange {
		if _, err := b.site(t, "cloud").Store.Stat(t.Context(), name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := b.site(t, "onsite").Store.Stat(t.Context(), name); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("%s was copied: %v", name, err)
		}
	}
}

func (b *bench) comparedNow(t *testing.T, site string) Compared {
	t.Helper()
	found, err := b.Sync(t.Context(), []string{site}, time.Minute, nil)
	if err != nil {
		t.Fatal(err)
	}
	return found[site]
}

// A site that protects what it holds protects evidence, and goes on to.
func TestEvidenceStaysProtected(t *testing.T) {
	b := newLockedBench(t)
	o := b.publish(t, 0, 10)
	b.inStep(t)
	site := b.site(t, "onsite")
	if err := storage.Purge(t.Context(), site.Store, o.Name()); !errors.Is(err, storage.ErrLocked) {
		t.Errorf("it can be deleted: %v", err)
	}
	before, err := storage.RetentionOf(t.Context(), site.Store, o.Name())
	if err != nil || before.Until.Before(b.clock.Now().Add(lockFor/2)) {
		t.Errorf("protected until %s (%v)", before.Until, err)
	}
	b.clock.Advance(lockFor/2 + time.Hour)
	if _, err := b.ExtendLocks(t.Context(), "onsite", nil); err != nil {
		t.Fatal(err)
	}
	after, err := storage.RetentionOf(t.Context(), site.Store, o.Name())
	if err != nil || !after.Until.After(before.Until) {
		t.Errorf("protected until %s, then %s (%v)", before.Until, after.Until, err)
	}
	readsEvidence(t, b.Repository, "onsite", o)
}

// remove deletes an object of a site behind everybody's back.
func (b *bench) remove(t *testing.T, site, name string) {
	t.Helper()
	if err := os.Remove(filepath.Join(b.roots[site], name)); err != nil {
		t.Fatal(err)
	}
}
