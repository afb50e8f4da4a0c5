package evidence

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"
)

// ErrNotAhead says: the newest record does not lie ahead of the clock.
var ErrNotAhead = errors.New("the evidence log does not lie ahead of the clock")

// Slack is how far the newest record may lie ahead of the clock without anybody
// being told: clocks are corrected by less now and then, and what is written
// until the clock has caught up bears the time of that record.
const Slack = time.Minute

// Ahead returns the time of the newest record and how far it lies ahead of the
// clock, zero or less when it does not: a clock was wrong when that was written,
// or is wrong now.
func (l *Log) Ahead() (newest time.Time, by time.Duration) {
	now := l.state()
	return now.last, now.last.Sub(l.clock.Now())
}

// SetBack records, because somebody has looked and says so, that the clock was
// ahead and is right now. From there on records bear its time again, and those
// before it that are dated later count as written now: nobody knows when they
// were. Without that they would all bear the time of the newest until the clock
// has caught up, since a clock that is behind for a while, as after a flat
// battery, must not date back everything that there is. The error matches
// [ErrNotAhead].
func (l *Log) SetBack(reason, by string) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	now := l.state()
	if now.last.Sub(l.clock.Now()) <= Slack {
		return fmt.Errorf("set the clock of the evidence log back: %w: its newest record is of %s", ErrNotAhead, stamp(now.last))
	}
	_, err := l.write(now.signer, now.signer, Record{Act: ActClock, Phase: Event, By: by, Clock: &Clock{Was: now.last, Reason: reason}})
	return err
}

// setBack is where in the log the clock was set back, and to what time.
type setBack struct {
	sequence uint64
	to       time.Time
}

// date gives a record the time that it counts with. Times so never go back.
func (s state) date(r *Record) {
	for _, b := range slices.Backward(s.setBacks) {
		if b.sequence <= r.Sequence {
			return
		}
		if r.Time.After(b.to) {
			r.Time = b.to
		}
	}
}

// redate does the same for records in their order.
func redate(records []Record) {
	var most time.Time
	for i := range slices.Backward(records) {
		r := &records[i]
		if !most.IsZero() && r.Time.After(most) {
			r.Time = most
		}
		if r.Act == ActClock {
			most = r.Time
		}
	}
}

// setsBack reports whether the record says that the clock was set back from that
// time, the one of the record before it.
func (r *Record) setsBack(last time.Time) bool { return r.Clock != nil && r.Clock.Was.Equal(last) }

// findSetBacks returns where the clock was set back.
func (l *Log) findSetBacks() (out []setBack, err error) {
	found, err := l.store.FindEvidence(ActClock, "", time.Time{}, time.Time{})
	if err != nil {
		return nil, fmt.Errorf("search the evidence log: %w", err)
	}
	for _, n := range found {
		r, err := l.read(n)
		if err != nil {
			return nil, err
		}
		out = append(out, setBack{n, r.Time})
	}
	slices.SortFunc(out, func(a, b setBack) int { return cmp.Compare(a.sequence, b.sequence) })
	return out, nil
}
