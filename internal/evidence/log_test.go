package evidence

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"

	"github.com/saypro/backupd/internal/clock"
)

var begin = time.Date(2026, 11, 1, 8, 0, 0, 0, time.UTC)

func newSigner(t testing.TB) *Signer {
	t.Helper()
	origin, err := NewOrigin()
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewSigner(origin)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func openLog(t testing.TB, store Store, signer *Signer, c clock.Clock) *Log {
	t.Helper()
	l, err := Open(Options{Store: store, Signer: signer, Clock: c, Program: "test"})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// naive is the log as one would write it without a thought for cost: it keeps
// the records and works everything out anew whenever it is asked.
type naive struct {
	records []Record
}

// add is what the log must do with a record, and whether it must take it.
func (n *naive) add(r Record, now time.Time, first Record) bool {
	if len(n.records) > 0 && now.Before(n.records[len(n.records)-1].Time) {
		now = n.records[len(n.records)-1].Time
	}
	if r.Phase == Result {
		i := slices.IndexFunc(n.unfinished(), func(o Record) bool { return o.Sequence == *r.Intent && o.Act == r.Act })
		if i < 0 {
			return false
		}
		r.Function = n.unfinished()[i].Function
	}
	if len(n.records) == 0 {
		first.Time, first.Program = now, "test"
		n.records = append(n.records, first)
	}
	r.Sequence, r.Time, r.Program = uint64(len(n.records)), now, "test"
	if r.Alive != nil {
		r.Alive = &Alive{SinceSequence: r.Sequence - 1}
	}
	n.records = append(n.records, r)
	return true
}

func (n *naive) unfinished() (out []Record) {
	for _, r := range n.records {
		ended := slices.ContainsFunc(n.records, func(e Record) bool { return e.Intent != nil && *e.Intent == r.Sequence })
		if r.Phase == Intent && !ended {
			out = append(out, r)
		}
	}
	return out
}

// root works the Merkle root out as RFC 6962 defines it.
func root(leaves [][]byte) Hash {
	switch len(leaves) {
	case 0:
		return sha256.Sum256(nil)
	case 1:
		return sha256.Sum256(append([]byte{0}, leaves[0]...))
	}
	k := 1
	for k*2 < len(leaves) {
		k *= 2
	}
	left, right := root(leaves[:k]), root(leaves[k:])
	return sha256.Sum256(slices.Concat([]byte{1}, left[:], right[:]))
}

func collect[T any](t testing.TB, seq func(func(T, error) bool)) (out []T) {
	t.Helper()
	for v, err := range seq {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, v)
	}
	return out
}

var functions = []string{"payments", "accounts", ""}

func drawRecord(t *rapid.T) Record {
	r := Record{Function: rapid.SampledFrom(functions).Draw(t, "function"), By: "schedule"}
	switch rapid.IntRange(0, 3).Draw(t, "act") {
	case 0:
		r.Act, r.Snapshot = ActSnapshot, &Snapshot{ID: rapid.StringN(1, 8, -1).Draw(t, "id"), Commit: strings.Repeat("ab", 32)}
	case 1:
		r.Act, r.Proof = ActProof, &Proof{Snapshot: "s", Site: "cloud"}
	case 2:
		r.Act, r.Deletion = ActDeletion, &Deletion{Kind: "sweep", Objects: 3}
	case 3:
		r.Act, r.Key = ActKey, &Key{Operation: "escrow-test"}
	}
	return r
}

func TestLogAgainstModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		store, signer, now := &memory{}, newSigner(t), clock.NewFake(begin)
		l, model := openLog(t, store, signer, now), &naive{}
		first := signed(signer.Public(), "schedule")
		rt.Repeat(map[string]func(*rapid.T){
			"begin": func(rt *rapid.T) {
				r := drawRecord(rt)
				n, err := l.Begin(r)
				r.Phase = Intent
				if !model.add(r, now.Now(), first) || err != nil || n != uint64(len(model.records))-1 {
					rt.Fatalf("begin: %d, %v", n, err)
				}
			},
			"end": func(rt *rapid.T) {
				r := drawRecord(rt)
				r.Function = "" // taken from the intent
				r.Outcome = rapid.SampledFrom([]Outcome{Done, Degraded, Different, Failed, CutShort}).Draw(rt, "outcome")
				intent := rapid.Uint64Range(0, uint64(len(model.records))+1).Draw(rt, "intent")
				if open := model.unfinished(); len(open) > 0 && rapid.Bool().Draw(rt, "an open one") {
					intent = rapid.SampledFrom(open).Draw(rt, "of").Sequence
				}
				err := l.End(intent, r)
				r.Phase, r.Intent = Result, &intent
				if want := model.add(r, now.Now(), first); want != (err == nil) || !want && !errors.Is(err, ErrNotOpen) {
					rt.Fatalf("end of %d: %v, and the model takes it: %v", intent, err, want)
				}
			},
			"note": func(rt *rapid.T) {
				r := Record{Act: ActAlive, Alive: &Alive{}, By: "schedule"}
				_, err := l.Note(r)
				r.Phase = Event
				if !model.add(r, now.Now(), first) || err != nil {
					rt.Fatal(err)
				}
			},
			"time": func(rt *rapid.T) {
				now.Advance(time.Duration(rapid.Int64Range(-int64(time.Hour), int64(24*time.Hour)).Draw(rt, "passes")))
			},
			"failing disk": func(rt *rapid.T) {
				store.fail = errors.New("no space left on device")
				if _, err := l.Begin(drawRecord(rt)); err == nil {
					rt.Fatal("an append that failed was taken")
				}
			},
			"open again": func(*rapid.T) { l = openLog(t, store, signer, now) },
			"": func(rt *rapid.T) {
				same(rt, t, l, model, signer.Public())
			},
		})
	})
}

// same compares all that the log answers with the model.
func same(rt *rapid.T, t *testing.T, l *Log, model *naive, key PublicKey) {
	n := uint64(len(model.records))
	if l.Size() != n {
		rt.Fatalf("size %d, want %d", l.Size(), n)
	}
	if d := cmp.Diff(model.records, collect(t, l.Records(0, n+7))); d != "" {
		rt.Fatal(d)
	}
	from := rapid.Uint64Range(0, n).Draw(rt, "from")
	to := rapid.Uint64Range(from, n).Draw(rt, "to")
	if d := cmp.Diff(model.records[from:to:to], collect(t, l.Records(from, to))); to > from && d != "" {
		rt.Fatal(d)
	}
	unfinished, err := l.Unfinished()
	if err != nil || cmp.Diff(model.unfinished(), unfinished) != "" {
		rt.Fatal(err, unfinished)
	}
	head, err := l.Checkpoint()
	if err != nil {
		rt.Fatal(err)
	}
	leaves := collect(t, l.Envelopes(0, n))
	at, _, err := OpenCheckpoint(head, key)
	if want := (Checkpoint{key.Origin, n, root(leaves)}); err != nil || at != want {
		rt.Fatalf("%+v, want %+v: %v", at, want, err)
	}
	earlier, err := l.CheckpointAt(from)
	if err != nil {
		rt.Fatal(err)
	}
	at, _, err = OpenCheckpoint(earlier, key)
	if want := (Checkpoint{key.Origin, from, root(leaves[:from])}); err != nil || at != want {
		rt.Fatalf("%+v, want %+v: %v", at, want, err)
	}
	act, function := rapid.SampledFrom(acts).Draw(rt, "find"), rapid.SampledFrom(functions).Draw(rt, "of")
	var since, until time.Time
	if n > 0 && rapid.Bool().Draw(rt, "bounded") {
		since, until = model.records[from%n].Time, model.records[n-1].Time
	}
	var want []Record
	for _, r := range model.records {
		if r.Act == act && (function == "" || r.Function == function) && !r.Time.Before(since) && (until.IsZero() || r.Time.Before(until)) {
			want = append(want, r)
		}
	}
	if d := cmp.Diff(want, collect(t, l.Find(act, function, since, until))); d != "" {
		rt.Fatal(d)
	}
}

func TestRecordsThatSayTooLittleAreRefused(t *testing.T) {
	l := openLog(t, &memory{}, newSigner(t), clock.NewFake(begin))
	intent, err := l.Begin(Record{Act: ActProof, Function: "payments", Proof: &Proof{Snapshot: "s"}})
	if err != nil {
		t.Fatal(err)
	}
	for name, try := range map[string]func() error{
		"an intent of what is an event": func() error { _, err := l.Begin(Record{Act: ActAlive, Alive: &Alive{}}); return err },
		"an event of what takes time":   func() error { _, err := l.Note(Record{Act: ActProof, Proof: &Proof{}}); return err },
		"an event that says nothing":    func() error { _, err := l.Note(Record{Act: ActPolicy}); return err },
		"another act's body":            func() error { _, err := l.Note(Record{Act: ActPolicy, Alive: &Alive{}}); return err },
		"two bodies":                    func() error { _, err := l.Note(Record{Act: ActPolicy, Policy: &Policy{}, Alive: &Alive{}}); return err },
		"an event with an outcome":      func() error { _, err := l.Note(Record{Act: ActAlive, Alive: &Alive{}, Outcome: Done}); return err },
		"an act that is not":            func() error { _, err := l.Note(Record{Act: "lunch"}); return err },
		"a result without an outcome":   func() error { return l.End(intent, Record{Act: ActProof, Proof: &Proof{}}) },
		"an outcome that is not":        func() error { return l.End(intent, Record{Act: ActProof, Proof: &Proof{}, Outcome: "fine"}) },
		"done without saying what":      func() error { return l.End(intent, Record{Act: ActProof, Outcome: Done}) },
		"done with an error":            func() error { return l.End(intent, Record{Act: ActProof, Proof: &Proof{}, Outcome: Done, Error: "x"}) },
	} {
		if err := try(); !errors.Is(err, ErrRecord) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, r := range map[string]Record{
		"of another act":      {Act: ActRestore, Outcome: Failed},
		"of another function": {Act: ActProof, Function: "accounts", Outcome: Failed},
	} {
		if err := l.End(intent, r); !errors.Is(err, ErrNotOpen) {
			t.Errorf("a result %s: %v", name, err)
		}
	}
	if err := l.End(intent, Record{Act: ActProof, Outcome: Failed, Error: "no scratch"}); err != nil {
		t.Error(err)
	}
	if err := l.End(intent, Record{Act: ActProof, Outcome: Failed}); !errors.Is(err, ErrNotOpen) {
		t.Errorf("a second result: %v", err)
	}
	if l.Size() != 3 {
		t.Errorf("%d records, want the key, an intent and its result", l.Size())
	}
}

func TestManyAppendAtOnce(t *testing.T) {
	l := openLog(t, &memory{}, newSigner(t), clock.System)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 25 {
				n, err := l.Begin(Record{Act: ActSnapshot, Function: fmt.Sprint("f", i)})
				if err == nil {
					err = l.End(n, Record{Act: ActSnapshot, Outcome: Failed, Error: "source is down"})
				}
				if err != nil {
					t.Error(err)
				}
				collect(t, l.Find(ActSnapshot, fmt.Sprint("f", i), time.Time{}, time.Time{}))
			}
		})
	}
	wg.Wait()
	if got := len(collect(t, l.Records(0, l.Size()))); got != 8*25*2+1 {
		t.Errorf("%d records", got)
	}
	if open, err := l.Unfinished(); err != nil || len(open) != 0 {
		t.Error(open, err)
	}
}

func TestUnfinishedActsAreEndedAsCutShort(t *testing.T) {
	store, signer, now := &memory{}, newSigner(t), clock.NewFake(begin)
	l := openLog(t, store, signer, now)
	a, err := l.Begin(Record{Act: ActProof, Function: "payments", By: "schedule"})
	if err != nil {
		t.Fatal(err)
	}
	l = openLog(t, store, signer, now)
	cut, err := l.EndUnfinished()
	if err != nil || len(cut) != 1 || cut[0].Sequence != a {
		t.Fatal(cut, err)
	}
	last := collect(t, l.Records(l.Size()-1, l.Size()))[0]
	if last.Outcome != CutShort || *last.Intent != a || last.Function != "payments" || last.Act != ActProof {
		t.Errorf("%+v", last)
	}
	if cut, err = l.EndUnfinished(); err != nil || len(cut) != 0 {
		t.Error(cut, err)
	}
}

func TestOpenRefusesWhatDoesNotFit(t *testing.T) {
	store, signer := &memory{}, newSigner(t)
	l := openLog(t, store, signer, clock.System)
	for range 5 {
		if _, err := l.Note(Record{Act: ActAlive, Alive: &Alive{}}); err != nil {
			t.Fatal(err)
		}
	}
	other, err := NewSigner(signer.Public().Origin)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Options{Store: store, Signer: other, Clock: clock.System}); !errors.Is(err, ErrOtherKey) {
		t.Errorf("another key: %v", err)
	}
	store.hashes[tlog.StoredHashIndex(2, 0)] = Hash{1}
	if _, err := Open(Options{Store: store, Signer: signer, Clock: clock.System}); !errors.Is(err, ErrDamaged) {
		t.Errorf("a hash that was changed: %v", err)
	}
}

func TestKeys(t *testing.T) {
	for range 200 { // a "+" is in some of the texts
		s := newSigner(t)
		again, err := ParseSigner(s.Private() + "\n")
		if err != nil || again.Public() != s.Public() {
			t.Fatal(err)
		}
		k, err := ParsePublicKey(" " + s.Public().String() + "\n")
		if err != nil || k != s.Public() {
			t.Fatal(err)
		}
		for _, shown := range []string{fmt.Sprint(s), fmt.Sprintf("%+v", s), fmt.Sprintf("%#v", s), s.Public().String()} {
			if strings.Contains(shown, strings.SplitN(s.Private(), "+", 5)[4]) || strings.Contains(shown, "PRIVATE") {
				t.Fatalf("%s shows the private key", shown)
			}
		}
	}
	for _, text := range []string{"", "x", "PRIVATE+KEY+x", "example.com/log+00000000+AAAA", newSigner(t).Private()} {
		if _, err := ParsePublicKey(text); !errors.Is(err, ErrKey) {
			t.Errorf("%q: %v", text, err)
		} else if strings.Contains(text, "PRIVATE+KEY+g") && strings.Contains(err.Error(), text[60:]) {
			t.Error("the error shows a private key that was given for a public one")
		}
	}
}
