package repository

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// dump returns what a catalog knows of the repository.
func dump(t *testing.T, r *Repository) string {
	t.Helper()
	var b bytes.Buffer
	if err := r.catalog.Dump(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// rebuilt returns a repository on an empty host whose catalog was rebuilt from
// a site alone.
func (b *bench) rebuilt(t *testing.T, site Site) (*Repository, *Rebuilt) {
	t.Helper()
	r := b.elsewhere(t, site)
	out, err := r.Rebuild(t.Context(), site.Name, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.catalog.Verify(); err != nil {
		t.Error(err)
	}
	return r, out
}

// sameEverywhere demands that a catalog rebuilt from either site is the live
// one.
func (b *bench) sameEverywhere(t *testing.T) {
	t.Helper()
	live := dump(t, b.Repository)
	for _, site := range b.options.Sites {
		r, out := b.rebuilt(t, site)
		if len(out.Lost)+len(out.Damaged) > 0 {
			t.Errorf("rebuilt from %s: %+v", site.Name, out)
		}
		if got := dump(t, r); got != live {
			t.Errorf("rebuilt from %s (-live +rebuilt):\n%s", site.Name, lines(live, got))
		}
	}
}

// lines returns the lines in which two texts differ.
func lines(a, b string) string {
	return cmp.Diff(strings.Split(a, "\n"), strings.Split(b, "\n"))
}

// What was decided last counts in a rebuilt catalog too, also when the clock was
// stepped back and the service restarted in between.
func TestMarksRiseWhenTheClockIsSteppedBack(t *testing.T) {
	b := newBench(t)
	snap := b.write(t, "payments", map[string][]byte{"t": []byte("1\n")})
	b.clock.Advance(time.Hour)
	if err := b.Hold(t.Context(), snap.ID, "an audit"); err != nil {
		t.Fatal(err)
	}
	b.inStep(t)
	b.clock.Advance(-30 * time.Minute)
	b.reopen(t, b.options.Sites...)
	if err := b.Hold(t.Context(), snap.ID, ""); err != nil {
		t.Fatal(err)
	}
	b.inStep(t)
	b.sameEverywhere(t)
}

// A decision that comes to light late does not undo one that was made after it.
func TestOlderMarkDoesNotUndoANewerOne(t *testing.T) {
	b := newBench(t)
	stores := b.flawed(t)
	snap := b.write(t, "payments", map[string][]byte{"t": []byte("1\n")})
	hold := func(reason string) {
		t.Helper()
		b.clock.Advance(time.Minute)
		if err := b.Hold(t.Context(), snap.ID, reason); err != nil {
			t.Fatal(err)
		}
	}
	hold("an audit")
	b.inStep(t)
	stores["onsite"].SetDown(true)
	hold("") // only the cloud hears of it
	b.until(t, func() bool { left, err := b.catalog.Backlog("cloud"); return err == nil && left.Objects == 0 })
	stores["onsite"].SetDown(false)
	stores["cloud"].SetDown(true)
	b.instead(t, "onsite")
	hold("another audit")
	b.until(t, func() bool { left, err := b.catalog.Backlog("onsite"); return err == nil && left.Objects == 0 })
	stores["cloud"].SetDown(false)
	stop := b.tick()
	b.inStep(t)
	b.inStep(t)
	stop()
	if info, err := b.Info(snap.ID); err != nil || info.Held != "another audit" {
		t.Errorf("held because of %q (%v)", info.Held, err)
	}
	b.sameEverywhere(t)
}
