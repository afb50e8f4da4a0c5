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

// segments cuts a log into pieces as they lie at a site.
func segments(t testing.TB, l *Log, each uint64) (out [][]byte) {
	t.Helper()
	for from := uint64(0); from < l.Size(); from += each {
		b, err := l.Segment(from, min(from+each, l.Size()))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, b)
	}
	return out
}

// joined reads pieces back.
func joined(t testing.TB, pieces [][]byte) (envelopes [][]byte, checkpoint []byte) {
	t.Helper()
	for _, b := range pieces {
		s, err := ParseSegment(b)
		if err != nil {
			t.Fatal(err)
		}
		if s.From != uint64(len(envelopes)) {
			t.Fatalf("a piece from %d after %d records", s.From, len(envelopes))
		}
		envelopes, checkpoint = append(envelopes, s.Envelopes...), s.Checkpoint
	}
	return envelopes, checkpoint
}

func sequence(envelopes [][]byte) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for _, e := range envelopes {
			if !yield(e, nil) {
				return
			}
		}
	}
}

// rotatedLog is a log with a rotation in the middle and an open intent.
func rotatedLog(t testing.TB, c clock.Clock) (l *Log, first, last *Signer) {
	t.Helper()
	first = newSigner(t)
	last, err := NewSigner(first.Public().Origin)
	if err != nil {
		t.Fatal(err)
	}
	l = openLog(t, &memory{}, first, c)
	for i := range 60 {
		n, err := l.Begin(Record{Act: ActSnapshot, Function: "payments"})
		if err == nil && i < 59 {
			err = l.End(n, Record{Act: ActSnapshot, Outcome: Failed, Error: "x"})
		}
		if err == nil && i == 30 {
			err = l.Rotate(last, "root")
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return l, first, last
}

func TestAdoptedLogGoesOn(t *testing.T) {
	now := clock.NewFake(begin)
	l, _, last := rotatedLog(t, now)
	envelopes, checkpoint := joined(t, segments(t, l, 50))
	store := &memory{}
	taken := openLog(t, store, last, now)
	if err := taken.Adopt(sequence(envelopes), checkpoint, nil, "root"); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(collect(t, l.Records(0, l.Size())), collect(t, taken.Records(0, taken.Size()))); d != "" {
		t.Fatal(d)
	}
	open, err := taken.Unfinished()
	if err != nil || len(open) != 1 {
		t.Fatal(open, err)
	}
	if found := collect(t, taken.Find(ActSnapshot, "payments", time.Time{}, time.Time{})); len(found) != 119 {
		t.Errorf("%d records by index", len(found))
	}
	if err := taken.End(open[0].Sequence, Record{Act: ActSnapshot, Outcome: CutShort}); err != nil {
		t.Fatal(err)
	}
	openLog(t, store, last, now)
	if err := taken.Adopt(sequence(envelopes), checkpoint, nil, "root"); !errors.Is(err, ErrNotEmpty) {
		t.Errorf("a log that holds records took over another: %v", err)
	}
}

func TestAdoptWithoutTheKeyIsABreak(t *testing.T) {
	now := clock.NewFake(begin)
	l, first, _ := rotatedLog(t, now)
	envelopes, checkpoint := joined(t, segments(t, l, 7))
	fresh, err := NewSigner(first.Public().Origin)
	if err != nil {
		t.Fatal(err)
	}
	taken := openLog(t, &memory{}, fresh, now)
	if err := taken.Adopt(sequence(envelopes), checkpoint, nil, "root"); err != nil {
		t.Fatal(err)
	}
	r := collect(t, taken.Records(l.Size(), taken.Size()))
	if len(r) != 1 || r[0].Key == nil || r[0].Key.Public != fresh.Public().String() {
		t.Errorf("%+v", r)
	}
	other := openLog(t, &memory{}, newSigner(t), now)
	if err := other.Adopt(sequence(envelopes), checkpoint, nil, "root"); !errors.Is(err, ErrOtherKey) {
		t.Errorf("with the key of another log: %v", err)
	}
}

// TestAdoptUpToARotation: what ends before a rotation may have been given to a
// site after it, with a checkpoint of the new key, which only who holds that key
// can tell from a stranger's.
func TestAdoptUpToARotation(t *testing.T) {
	now := clock.NewFake(begin)
	l, first, last := rotatedLog(t, now)
	rotation := uint64(slices.IndexFunc(collect(t, l.Records(1, l.Size())), func(r Record) bool { return r.Key != nil })) + 1
	piece, err := l.Segment(0, rotation)
	if err != nil {
		t.Fatal(err)
	}
	envelopes, checkpoint := joined(t, [][]byte{piece})
	taken := openLog(t, &memory{}, last, now)
	if err := taken.Adopt(sequence(envelopes), checkpoint, nil, "root"); err != nil {
		t.Fatal(err)
	}
	r := collect(t, taken.Records(rotation, taken.Size()))
	if len(r) != 1 || r[0].Key == nil || r[0].Key.Public != last.Public().String() {
		t.Errorf("%+v", r)
	}
	fresh, err := NewSigner(first.Public().Origin)
	if err != nil {
		t.Fatal(err)
	}
	for name, signer := range map[string]*Signer{"the key before": first, "a new key": fresh} {
		if err := openLog(t, &memory{}, signer, now).Adopt(sequence(envelopes), checkpoint, nil, "root"); !errors.Is(err, ErrCheckpoint) {
			t.Errorf("with %s: %v", name, err)
		}
	}
}

func TestAdoptTakesNothingThatDoesNotFit(t *testing.T) {
	now := clock.NewFake(begin)
	l, first, last := rotatedLog(t, now)
	all, checkpoint := joined(t, segments(t, l, 1000))
	earlier, err := l.CheckpointAt(100)
	if err != nil {
		t.Fatal(err)
	}
	stranger := openLog(t, &memory{}, first, now)
	alive(t, stranger)
	strange := collect(t, stranger.Envelopes(0, 2))
	for name, try := range map[string]struct {
		envelopes  [][]byte
		checkpoint []byte
	}{
		"one missing in the middle":    {slices.Concat(all[:40], all[41:]), checkpoint},
		"the last missing":             {all[:len(all)-1], checkpoint},
		"two in another order":         {slices.Concat(all[:40], all[41:42], all[40:41], all[42:]), checkpoint},
		"one twice":                    {slices.Concat(all[:40], all[39:]), checkpoint},
		"one of another log":           {slices.Concat(all[:1], strange[1:], all[2:]), checkpoint},
		"one that was changed":         {slices.Concat(all[:40], [][]byte{slices.Concat(all[40][:90], []byte("A"), all[40][91:])}, all[41:]), checkpoint},
		"more than the checkpoint has": {all, earlier},
		"nothing":                      {nil, checkpoint},
		"no checkpoint":                {all, []byte("x")},
	} {
		store := &memory{}
		taken := openLog(t, store, last, now)
		if err := taken.Adopt(sequence(try.envelopes), try.checkpoint, nil, "root"); err == nil {
			t.Errorf("%s was taken", name)
		} else if taken.Size() != 0 || len(store.entries) != 0 {
			t.Errorf("%s left %d records behind", name, len(store.entries))
		} else if err := taken.Adopt(sequence(all), checkpoint, nil, "root"); err != nil {
			t.Errorf("after %s: %v", name, err)
		}
	}
}

func TestSegmentsThatAreNone(t *testing.T) {
	l, _, _ := rotatedLog(t, clock.NewFake(begin))
	good, err := l.Segment(3, 9)
	if err != nil {
		t.Fatal(err)
	}
	if s, err := ParseSegment(good); err != nil || s.From != 3 || s.To != 9 || s.Origin != l.Origin() {
		t.Fatal(s, err)
	}
	for name, b := range map[string][]byte{
		"nothing":      nil,
		"cut short":    good[:len(good)-1],
		"a line less":  good[:len(good)-1-len(collect(t, l.Envelopes(8, 9))[0])],
		"a line more":  append(slices.Clone(good), good[len(good)-900:]...),
		"spaces":       append([]byte(" "), good...),
		"another file": []byte("{}\n"),
	} {
		if _, err := ParseSegment(b); !errors.Is(err, ErrSegment) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := l.Segment(3, l.Size()+1); err == nil {
		t.Error("a segment of what is not there")
	}
}
