package evidence

import (
	"errors"
	"iter"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/saypro/backupd/internal/clock"
)

// grown is a log of some records with an open intent, and a copy of its store from
// before the last of them.
func grown(t testing.TB, now *clock.Fake) (l *Log, old *memory, size uint64) {
	t.Helper()
	store := &memory{}
	l = openLog(t, store, newSigner(t), now)
	act := func(i int) {
		if i == 15 {
			now.Advance(-time.Hour)
			if err := l.SetBack("it was ahead", "root"); err != nil {
				t.Fatal(err)
			}
		}
		n, err := l.Begin(Record{Act: ActSnapshot, Function: "payments"})
		if err == nil && i != 9 && i != 19 {
			err = l.End(n, Record{Act: ActSnapshot, Outcome: Failed, Error: "x"})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for i := range 20 {
		if i == 10 {
			old, size = &memory{head: slices.Clone(store.head), entries: slices.Clone(store.entries), hashes: map[int64]Hash{}}, l.Size()
			for n, h := range store.hashes {
				old.hashes[n] = h
			}
			// A result of what was open then is among what is taken back.
			if err := l.End(size-1, Record{Act: ActSnapshot, Outcome: CutShort}); err != nil {
				t.Fatal(err)
			}
		}
		act(i)
	}
	return l, old, size
}

func TestALogThatWentBackRegainsWhatItHad(t *testing.T) {
	now := clock.NewFake(begin)
	l, old, size := grown(t, now)
	all, head := joined(t, segments(t, l, 1000))
	back := openLog(t, old, l.state().signer, now)
	if err := back.Regain(sequence(all[size:]), head); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(collect(t, l.Records(0, l.Size())), collect(t, back.Records(0, back.Size()))); d != "" {
		t.Fatal(d)
	}
	if err := back.Regain(sequence(nil), head); err != nil {
		t.Errorf("nothing more: %v", err)
	}
	// It goes on from there, and so does what opens it next.
	open, err := back.Unfinished()
	if err != nil || len(open) != 1 || open[0].Sequence != l.Size()-1 {
		t.Fatal(open, err)
	}
	if err := back.End(open[0].Sequence, Record{Act: ActSnapshot, Outcome: CutShort}); err != nil {
		t.Fatal(err)
	}
	again := openLog(t, old, l.state().signer, now)
	alive(t, again)
	if v := verify(t, bundleOf(t, again, time.Time{}, time.Time{}), VerifyOptions{Keys: []PublicKey{again.PublicKey()}}); len(v.Findings) != 1 || v.Findings[0].Kind != FoundClock {
		t.Errorf("%+v", v.Findings)
	}
}

func TestALogRegainsNothingThatIsNotItsOwn(t *testing.T) {
	now := clock.NewFake(begin)
	l, old, size := grown(t, now)
	all, head := joined(t, segments(t, l, 1000))
	signer := l.state().signer
	earlier, err := l.CheckpointAt(l.Size() - 1)
	if err != nil {
		t.Fatal(err)
	}
	stranger := newSigner(t)
	at, _, err := OpenCheckpoint(head, signer.public)
	if err != nil {
		t.Fatal(err)
	}
	strange, err := at.sign(stranger)
	if err != nil {
		t.Fatal(err)
	}
	tail := all[size:]
	broken := errors.New("broken")
	for name, try := range map[string]struct {
		envelopes iter.Seq2[[]byte, error]
		head      []byte
		want      error
	}{
		"one missing in the middle":    {sequence(slices.Concat(tail[:3], tail[4:])), head, ErrDamaged},
		"the last missing":             {sequence(tail[:len(tail)-1]), head, ErrDamaged},
		"two in another order":         {sequence(slices.Concat(tail[:3], tail[4:5], tail[3:4], tail[5:])), head, ErrDamaged},
		"more than was signed":         {sequence(tail), earlier, ErrDamaged},
		"signed by a stranger":         {sequence(tail), strange, ErrOtherKey},
		"what is here already":         {sequence(all[size-1:]), head, ErrDamaged},
		"what cannot be read half way": {func(yield func([]byte, error) bool) { _ = yield(tail[0], nil) && yield(nil, broken) }, head, broken},
	} {
		back := openLog(t, old, signer, now)
		if err := back.Regain(try.envelopes, try.head); !errors.Is(err, try.want) {
			t.Errorf("%s: %v", name, err)
		}
		if open, err := back.Unfinished(); back.Size() != size || len(old.entries) != int(size) || err != nil || len(open) != 1 || len(back.open) != 1 {
			t.Fatalf("after %s: %d records, %d open, %v", name, back.Size(), len(open), err)
		}
	}
	// It went on in another way already.
	other := openLog(t, old, signer, now)
	alive(t, other)
	if err := other.Regain(sequence(tail[1:]), head); !errors.Is(err, ErrDamaged) {
		t.Errorf("after two histories: %v", err)
	}
	if other.Size() != size+1 {
		t.Errorf("%d records", other.Size())
	}
}

// A key that took the place of this one signs on its own.
func TestALogRegainsNothingBehindItsKey(t *testing.T) {
	now := clock.NewFake(begin)
	l, old, size := grown(t, now)
	first := l.state().signer
	second, err := NewSigner(first.public.Origin)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Rotate(second, "root"); err != nil {
		t.Fatal(err)
	}
	all, head := joined(t, segments(t, l, 1000))
	if err := openLog(t, old, first, now).Regain(sequence(all[size:]), head); !errors.Is(err, ErrOtherKey) {
		t.Errorf("%v", err)
	}
}
