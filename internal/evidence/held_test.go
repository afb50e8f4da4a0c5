package evidence

import (
	"sync"
	"testing"
	"time"
)

// held records that a site holds so many records, under a checkpoint by a key.
func (l *life) held(t testing.TB, size uint64, by *Signer) uint64 {
	t.Helper()
	at := Checkpoint{Origin: l.Origin(), Size: size, Root: must1(l.rootAt(size))(t)}
	return l.note(t, Record{Act: ActAnchor, Anchor: &Anchor{
		To: "site cloud", Size: size, Root: at.Root.String(), Checkpoint: string(must1(at.sign(by))(t)),
	}})
}

// A key that gives way while what a site holds is put on record has signed that of
// records from before; what came after them it cannot have.
func TestAKeyThatGivesWaySignsWhatASiteHolds(t *testing.T) {
	l := newLife(t)
	old := l.state().signer
	l.hours(t, 1)
	before := l.Size()
	must(t, l, l.Rotate(must1(NewSigner(l.Origin()))(t), "root"))
	l.held(t, before, old)
	trust := VerifyOptions{Keys: []PublicKey{old.Public()}}
	good(t, verify(t, bundleOf(t, l.Log, time.Time{}, time.Time{}), trust))

	l.hours(t, 1)
	bad := l.held(t, l.Size(), old)
	v := verify(t, bundleOf(t, l.Log, time.Time{}, time.Time{}), trust)
	if len(v.Findings) != 1 || v.Findings[0].Kind != FoundAnchor || *v.Findings[0].Record != bad {
		t.Errorf("a key that gave way signs on: %+v", v.Findings)
	}
}

// A bundle that is written while the key changes is one of before or of after.
func TestABundleWhileTheKeyChanges(t *testing.T) {
	l := newLife(t)
	trust := VerifyOptions{Keys: []PublicKey{l.PublicKey()}}
	l.hours(t, 1)
	var wait sync.WaitGroup
	wait.Go(func() {
		for range 50 {
			next, err := NewSigner(l.Origin())
			if err == nil {
				err = l.Rotate(next, "root")
			}
			if err != nil {
				t.Error(err)
			}
		}
	})
	for range 50 {
		good(t, verify(t, bundleOf(t, l.Log, time.Time{}, time.Time{}), trust))
	}
	wait.Wait()
}
