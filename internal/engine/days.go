package engine

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"time"

	"github.com/saypro/backupd/internal/evidence"
)

// closeDays records in short what each day that is over says of each function,
// so that years can be judged without reading every record. Days without a record
// are left out: they say nothing, and a clock that is years ahead for a moment
// would leave thousands.
func (e *Engine) closeDays(ctx context.Context) error {
	today := dayOf(e.clock.Now())
	if e.daysClosed.Equal(today) {
		return nil
	}
	for _, name := range e.cfg.FunctionOrder {
		if err := e.closeDaysOf(ctx, name, today); err != nil {
			return fmt.Errorf("evidence: days of function %s: %w", name, err)
		}
	}
	e.daysClosed = today
	return nil
}

func (e *Engine) closeDaysOf(ctx context.Context, function string, today time.Time) error {
	day, from, err := e.firstOpenDay(function)
	if err != nil || day.IsZero() {
		return err
	}
	for day.Before(today) && ctx.Err() == nil {
		next, err := e.firstSince(from, day.AddDate(0, 0, 1))
		if err != nil {
			return err
		}
		if next == from {
			of, err := e.dayOfRecord(from, today)
			if err != nil {
				return err
			}
			if day = day.AddDate(0, 0, 1); day.Before(of) {
				day = of
			}
			continue
		}
		d, err := evidence.DeriveDay(function, day.Format(time.DateOnly), from, next, e.evidence.Records(from, next))
		if err != nil {
			return err
		}
		if err := e.tell(ctx, evidence.Record{Act: evidence.ActDay, Function: function, Day: &d}); err != nil {
			return err
		}
		day, from = day.AddDate(0, 0, 1), next
	}
	return ctx.Err()
}

// dayOfRecord returns the day that a record was written on, and today when there
// is no such record yet.
func (e *Engine) dayOfRecord(n uint64, today time.Time) (time.Time, error) {
	for r, err := range e.evidence.Records(n, n+1) {
		return dayOf(r.Time), err
	}
	return today, nil
}

// firstOpenDay returns the first day of a function that is not closed, and the
// first record of it; zero when the log is empty. When the clock was set back
// since then it begins there: what was written before has no day.
func (e *Engine) firstOpenDay(function string) (day time.Time, from uint64, err error) {
	last, ok, err := e.evidence.Latest(evidence.ActDay, function)
	if err != nil {
		return day, 0, err
	}
	set, was, err := e.evidence.Latest(evidence.ActClock, "")
	if err != nil {
		return day, 0, err
	}
	if was && (!ok || set.Sequence > last.Sequence) {
		return dayOf(set.Time), set.Sequence, nil
	}
	if ok {
		day, err = time.Parse(time.DateOnly, last.Day.Date)
		return day.AddDate(0, 0, 1), last.Day.Next, err
	}
	for r, err := range e.evidence.Records(0, min(1, e.evidence.Size())) {
		return dayOf(r.Time), 0, err
	}
	return day, 0, nil
}

// firstSince returns the first record, from a place in the log on, that was not
// written before a time.
func (e *Engine) firstSince(from uint64, at time.Time) (uint64, error) {
	var failed error
	size := e.evidence.Size()
	n := sort.Search(int(size-from), func(i int) bool {
		for r, err := range e.evidence.Records(from+uint64(i), from+uint64(i)+1) {
			failed = errors.Join(failed, err)
			return !r.Time.Before(at)
		}
		return true
	})
	return from + uint64(n), failed
}

// dayOf returns the beginning of the UTC day that a time is in.
func dayOf(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour) }
