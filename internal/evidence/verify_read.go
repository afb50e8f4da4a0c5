package evidence

import (
	"context"
	"fmt"
	"runtime"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"
)

// A bundle can claim anything, and a zip unpacks to a thousand times its size: so
// lines are taken apart while they are read, and what is read and not yet judged
// is bounded.
const (
	// maxFlight is how many bytes of memory that may take, but for a single line.
	maxFlight = 256 << 20
	// unfolds is how many bytes a line takes at most, taken apart, for each of its
	// own: crowded sees to that.
	unfolds = 24
	// sheetLines and sheetBytes are how many lines are taken apart at a time.
	sheetLines = 128
	sheetBytes = 1 << 20
	// maxKept is how many bytes there may be of records of which much is kept
	// until the end: policies and exercises.
	maxKept = 128 << 20
	// hopeless is how many findings there may be before the check gives up: who
	// is told of a hundred thousand needs no more.
	hopeless = 100_000
	// maxText bounds, in bytes, what is told of one thing that was found.
	maxText = 2000
	// atOnce is the size of a statement from which on its signature is checked by
	// itself: many of those waiting for each other would take much memory.
	atOnce = 64 << 10
)

// item is one record, taken apart.
type item struct {
	envelope
	leaf   Hash
	about  *statement
	record *Record
	claims []string
	err    error
}

// sheet are some lines in a row, on their way to being taken apart.
type sheet struct {
	first  uint64
	lines  [][]byte
	weight int64
	done   chan []item
}

// records checks all records: they are taken apart on all processors, followed
// in order, and their signatures checked on all processors again.
func (v *verifier) records(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	flight := semaphore.NewWeighted(v.flight)
	queue := make(chan *sheet, 2*runtime.GOMAXPROCS(0))
	var reading errgroup.Group
	reading.Go(func() error {
		defer close(queue)
		return v.bundle.sheets(func(s *sheet) error {
			s.weight = min(s.weight*unfolds, v.flight) // in memory, and no longer in its bytes
			if err := flight.Acquire(ctx, s.weight); err != nil {
				return err
			}
			s.done = make(chan []item, 1)
			go func() { s.done <- s.apart() }()
			queue <- s
			return nil
		})
	})
	var failed error
	for s := range queue {
		items := <-s.done
		for i := range items {
			if failed != nil || v.gaveUp {
				break
			}
			failed = v.take(s.first+uint64(i), &items[i])
		}
		if failed != nil || v.gaveUp {
			stop() // what is read already still comes
		}
		flight.Release(s.weight)
	}
	if err := reading.Wait(); failed == nil && !v.gaveUp {
		failed = err
	}
	for _, n := range v.wrong.wait() {
		v.found(&n, FoundSignature, "its signature does not fit the key that it names")
	}
	return failed
}

// sheets reads the records of a bundle.
func (b *bundleFile) sheets(each func(*sheet) error) error {
	for first := b.about.From; first < b.about.To; first += bundleLines {
		s := &sheet{first: first}
		for line, err := range b.records(first, min(bundleLines, b.about.To-first)) {
			if err != nil {
				return err
			}
			if s.full(len(line)) {
				next := s.first + uint64(len(s.lines))
				if err := each(s); err != nil {
					return err
				}
				s = &sheet{first: next}
			}
			s.lines = append(s.lines, line)
			s.weight += int64(len(line))
		}
		if err := each(s); err != nil {
			return err
		}
	}
	return nil
}

// full reports whether another line of that size goes onto another sheet.
func (s *sheet) full(more int) bool {
	return len(s.lines) == sheetLines || len(s.lines) > 0 && s.weight+int64(more) > sheetBytes
}

func (s *sheet) apart() []item {
	out := make([]item, len(s.lines))
	for i, line := range s.lines {
		out[i] = prepare(line)
	}
	s.lines = nil
	return out
}

// prepare does what needs no other record.
func prepare(sealed []byte) item {
	x := item{leaf: tlog.RecordHash(sealed)}
	if x.envelope, x.err = unseal(sealed); x.err != nil {
		return x
	}
	if x.about, x.err = decodeStatement(x.payload); x.err != nil {
		return x
	}
	x.record = &x.about.Predicate
	if x.err = x.record.check(); x.err == nil {
		x.claims = x.record.overclaims()
	}
	return x
}

// signed has the signature of a record checked, and reports whether it is known
// to be wrong.
func (v *verifier) signed(seq uint64, by PublicKey, x *item) bool {
	if len(x.payload) < atOnce {
		v.wrong.add(by, signatureCheck{seq, x.payload, x.signature})
		return true
	}
	if err := x.signedBy(by); err != nil {
		v.found(&seq, FoundSignature, "%v", err)
		return false
	}
	return true
}

// keeps counts records of which much is kept until the end.
func (v *verifier) keeps(x *item) error {
	if x.record.Policy == nil && x.record.Drill == nil {
		return nil
	}
	if v.kept += len(x.payload); v.kept > maxKept {
		return fmt.Errorf("%w: its policies and exercises have more than %d bytes", ErrBundle, maxKept)
	}
	return nil
}

// giveUp ends the check when so much is wrong that more says nothing new.
func (v *verifier) giveUp(seq uint64) {
	if v.gaveUp || v.out.More < hopeless {
		return
	}
	v.gaveUp = true
	v.out.Findings = append(v.out.Findings, Finding{
		Kind: FoundForm, Meaning: meanings[FoundForm],
		Text: fmt.Sprintf("more than %d things are wrong up to record %d: what follows it was not looked at", hopeless, seq),
	})
}

// inShort bounds what is told of one thing.
func inShort(text string) string {
	if len(text) <= maxText {
		return text
	}
	return strings.ToValidUTF8(text[:maxText], "") + "…"
}
