package evidence

import (
	"bytes"
	"errors"
	"iter"
	"runtime"
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

// fork is a log that begins with the first records of another, as they lie at a
// site, and goes on by a stranger's key that announces itself.
func fork(t *testing.T, l *life, records uint64, hours int) *life {
	t.Helper()
	store := &memory{}
	envelopes, _ := joined(t, segments(t, l.Log, 1000))
	copied := &Log{store: store, clock: l.clock, program: "copy", open: map[uint64]opened{}, now: empty(l.signer)}
	must(t, l, copied.Adopt(sequence(envelopes[:records]), must1(l.CheckpointAt(records))(t), nil, "copy"))
	out := &life{clock: l.clock, store: store, signer: must1(NewSigner(l.Origin()))(t)}
	out.Log = must1(StartOver(Options{Store: store, Signer: out.signer, Clock: l.clock, Program: "stranger"}, "stranger"))(t)
	out.hours(t, hours)
	return out
}

// TestAStrangersForkIsNotTakenOver: somebody who may write at a site, and has no
// key, copies the first records, announces a key of their own and goes on for
// longer than the log.
func TestAStrangersForkIsNotTakenOver(t *testing.T) {
	l := newLife(t)
	l.hours(t, 1)
	theirs := fork(t, l, 11, 4)
	l.hours(t, 1)
	ours, head := joined(t, segments(t, l.Log, 1000))
	made, madeHead := joined(t, segments(t, theirs.Log, 1000))
	fresh := must1(NewSigner(l.Origin()))(t)
	for name, try := range map[string]struct {
		signer  *Signer
		vouched []PublicKey
	}{
		"with our key":                       {l.signer, nil},
		"with a new key":                     {fresh, nil},
		"with a new key and our word":        {fresh, []PublicKey{l.signer.public}},
		"with a new key and that of another": {fresh, []PublicKey{must1(NewSigner(l.Origin()))(t).public}},
	} {
		rebuilt := openLog(t, &memory{}, try.signer, l.clock)
		if err := rebuilt.Adopt(sequence(made), madeHead, nil, "root", try.vouched...); !errors.Is(err, ErrBreak) || rebuilt.Size() > 0 {
			t.Errorf("%s: the %d records of a stranger for the %d of the log: %v", name, len(made), len(ours), err)
		}
		if err := rebuilt.Adopt(sequence(ours), head, [][]byte{madeHead}, "root", try.vouched...); err != nil {
			t.Errorf("%s: the log itself: %v", name, err)
		}
	}
	// It takes somebody's word for that key.
	taken := openLog(t, &memory{}, fresh, l.clock)
	if err := taken.Adopt(sequence(made), madeHead, nil, "root", theirs.signer.public); err != nil {
		t.Errorf("vouched for: %v", err)
	}
	// What another key of the log has signed tells of the other way it went.
	if err := openLog(t, &memory{}, fresh, l.clock).Adopt(sequence(made), madeHead, [][]byte{head}, "root", theirs.signer.public); !errors.Is(err, ErrHistories) {
		t.Errorf("beside a checkpoint of the log itself: %v", err)
	}
}

// TestABreakOfOurOwnIsTakenOver: a key was lost and another announced itself, and
// that is the key that is there.
func TestABreakOfOurOwnIsTakenOver(t *testing.T) {
	l := newLife(t)
	l.hours(t, 1)
	second := must1(NewSigner(l.Origin()))(t)
	l.Log = must1(StartOver(Options{Store: l.store, Signer: second, Clock: l.clock, Program: "test"}, "root"))(t)
	l.hours(t, 1)
	third := must1(NewSigner(l.Origin()))(t)
	must(t, l, l.Rotate(third, "root"))
	envelopes, head := joined(t, segments(t, l.Log, 1000))
	taken := openLog(t, &memory{}, third, l.clock)
	if err := taken.Adopt(sequence(envelopes), head, nil, "root"); err != nil || taken.Size() != l.Size() {
		t.Errorf("%d of %d records: %v", taken.Size(), l.Size(), err)
	}
	fresh := must1(NewSigner(l.Origin()))(t)
	for name, try := range map[string]struct {
		vouched []PublicKey
		want    error
	}{
		"nobody's word":         {nil, ErrBreak},
		"for the first key":     {[]PublicKey{l.signer.public}, ErrBreak},
		"for the second key":    {[]PublicKey{second.public}, nil},
		"for the key that ends": {[]PublicKey{third.public}, nil},
	} {
		if err := openLog(t, &memory{}, fresh, l.clock).Adopt(sequence(envelopes), head, nil, "root", try.vouched...); !errors.Is(err, try.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := openLog(t, &memory{}, second, l.clock).Adopt(sequence(envelopes), head, nil, "root"); !errors.Is(err, ErrOtherKey) {
		t.Errorf("with a key that gave way: %v", err)
	}
}

// TestWhoSucceededWhom: only what a key has signed makes another its successor.
func TestWhoSucceededWhom(t *testing.T) {
	l := newLife(t)
	l.hours(t, 1)
	second, third := must1(NewSigner(l.Origin()))(t), must1(NewSigner(l.Origin()))(t)
	must(t, l, l.Rotate(second, "root"))
	l.hours(t, 1)
	must(t, l, l.Rotate(third, "root"))
	stranger := thief(t, l, must1(NewSigner(l.Origin()))(t))
	var all []Handover
	for _, b := range segments(t, stranger.Log, 10) {
		s := must1(ParseSegment(b))(t)
		all = append(all, s.Handovers()...)
	}
	slices.Reverse(all) // from the end, as they are read
	if len(all) != 4 || !all[0].Itself() || all[1].Itself() || !all[3].Itself() || all[3].Record != 0 {
		t.Fatalf("%+v", all)
	}
	if got := Successors(l.signer.public, all); !slices.Equal(got, []PublicKey{l.signer.public, second.public, third.public}) {
		t.Errorf("of the first: %v", got)
	}
	if got := Successors(third.public, all); !slices.Equal(got, []PublicKey{third.public}) {
		t.Errorf("of the last: %v", got)
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

// TestAFileOfEmptyLinesIsRefusedAtTheFirst: who may write at a site could have it
// take many times its size of memory.
func TestAFileOfEmptyLinesIsRefusedAtTheFirst(t *testing.T) {
	const lines = 1 << 20
	l, _, _ := rotatedLog(t, clock.NewFake(begin))
	good := must1(l.Segment(3, 9))(t)
	first, _, _ := bytes.Cut(good, []byte("\n"))
	first = bytes.Replace(first, []byte(`"to":9`), []byte(`"to":1048579`), 1)
	bomb := append(first, bytes.Repeat([]byte("\n"), 1+lines)...)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := ParseSegment(bomb)
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; !errors.Is(err, ErrSegment) || took > lines {
		t.Errorf("%v, after %d bytes of memory for a file of %d", err, took, len(bomb))
	}
}
