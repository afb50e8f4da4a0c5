package report

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/saypro/backupd/internal/evidence"
)

// ErrNotThere marks a record that the log, or the part of it that is given,
// does not have.
var ErrNotThere = errors.New("there is no such record")

// Log is what a report is made from.
type Log struct {
	// Reader has the records: the log, or a bundle of a part of it. Whoever
	// provides it has verified them.
	Reader evidence.Reader
	// First and Next bound what is taken of it: First ≤ sequence < Next.
	First, Next uint64
	// Checkpoint is the signed text of the log's head, Key the verifier key that
	// it was verified with.
	Checkpoint string
	Key        string
	// Before are single records from before First that came along, in order;
	// Begins is when a part of a log begins, zero of a whole one.
	Before []evidence.Record
	Begins time.Time
	// PromiseShown: the records show that the newest policy among those is the one
	// in force when the part begins.
	PromiseShown bool
}

// Earlier implements [evidence.Partial].
func (l Log) Earlier() []evidence.Record { return l.Before }

// Since implements [evidence.Partial].
func (l Log) Since() time.Time { return l.Begins }

// head reads size and root out of a checkpoint: its second and third line.
func head(checkpoint string) (size uint64, root string, err error) {
	lines := strings.SplitN(checkpoint, "\n", 4)
	if len(lines) < 4 {
		return 0, "", errors.New("the checkpoint of the log is not one: it has no origin, size and root; get the log or the bundle again")
	}
	size, err = strconv.ParseUint(lines[1], 10, 64)
	if err != nil {
		return 0, "", fmt.Errorf("the checkpoint of the log has no size in its second line: %w", err)
	}
	return size, lines[2], nil
}

// record returns one record.
func (l Log) record(sequence uint64) (evidence.Record, error) {
	if sequence < l.First {
		for _, r := range l.Before {
			if r.Sequence == sequence {
				return r, nil
			}
		}
	}
	if sequence < l.First || sequence >= l.Next {
		return evidence.Record{}, fmt.Errorf("%w: record %d; there are %d to %d here", ErrNotThere, sequence, l.First, l.Next-1)
	}
	for r, err := range l.Records(sequence, sequence+1) {
		if err != nil {
			return r, fmt.Errorf("read record %d of the evidence log: %w", sequence, err)
		}
		return r, nil
	}
	return evidence.Record{}, fmt.Errorf("%w: record %d of the evidence log", ErrNotThere, sequence)
}

// search returns the first sequence whose record was written at that time or
// later; Next when all are older. Times never go back in the log.
func (l Log) search(at time.Time) (uint64, error) {
	lo, hi := l.First, l.Next
	for lo < hi {
		mid := lo + (hi-lo)/2
		r, err := l.record(mid)
		if err != nil {
			return 0, err
		}
		if r.Time.Before(at) {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo, nil
}

// Size returns the sequence after the last record.
func (l Log) Size() uint64 { return l.Next }

// Records returns the records from ≤ sequence < to, in order.
func (l Log) Records(from, to uint64) iter.Seq2[evidence.Record, error] {
	return l.Reader.Records(max(from, l.First), min(to, l.Next))
}

// Find is a search that stays within what the checkpoint covers: the log may
// grow meanwhile. What came along from before a part of a log is found, too.
func (l Log) Find(act evidence.Act, function string, from, to time.Time) iter.Seq2[evidence.Record, error] {
	return func(yield func(evidence.Record, error) bool) {
		for _, r := range l.Before {
			matches := r.Act == act && (function == "" || r.Function == function) && !r.Time.Before(from) && (to.IsZero() || r.Time.Before(to))
			if matches && !yield(r, nil) {
				return
			}
		}
		for r, err := range l.Reader.Find(act, function, from, to) {
			if err == nil && (r.Sequence < l.First || r.Sequence >= l.Next) {
				continue
			}
			if !yield(r, err) {
				return
			}
		}
	}
}

// all collects what a search finds.
func (l Log) all(act evidence.Act, function string, from, to time.Time) ([]evidence.Record, error) {
	var out []evidence.Record
	for r, err := range l.Find(act, function, from, to) {
		if err != nil {
			return nil, readError(act, err)
		}
		out = append(out, r)
	}
	return out, nil
}

func readError(act evidence.Act, err error) error {
	return fmt.Errorf("read the records of %s in the evidence log: %w", act, err)
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
