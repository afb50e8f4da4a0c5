package report

import "time"

// silenceLimit is how long the log may be silent. A program that runs writes a
// record after an hour, if only to say that it is alive, and needs a moment for
// it.
const silenceLimit = time.Hour + 10*time.Minute

// Silence is a stretch of time in which nothing was written to the log, longer
// than a running program would leave: it did not run, or could not write.
type Silence struct {
	// After is the sequence of the last record before it, From and To when it
	// began and ended, UTC.
	After   uint64    `json:"after"`
	From    time.Time `json:"from"`
	To      time.Time `json:"to"`
	Seconds float64   `json:"seconds"`
}

// silences finds every stretch longer than the limit between two records from
// first to last. As times never go back, a run of records that is written
// within the limit hides none, so most records need not be read.
func (l Log) silences(first, last uint64, limit time.Duration) ([]Silence, error) {
	if first >= last {
		return nil, nil
	}
	a, err := l.record(first)
	if err != nil {
		return nil, err
	}
	b, err := l.record(last)
	if err != nil {
		return nil, err
	}
	return l.silencesBetween(first, a.Time, last, b.Time, limit)
}

func (l Log) silencesBetween(first uint64, at time.Time, last uint64, until time.Time, limit time.Duration) ([]Silence, error) {
	if until.Sub(at) <= limit {
		return nil, nil
	}
	if last == first+1 {
		return []Silence{{After: first, From: at, To: until, Seconds: until.Sub(at).Seconds()}}, nil
	}
	mid := first + (last-first)/2
	m, err := l.record(mid)
	if err != nil {
		return nil, err
	}
	left, err := l.silencesBetween(first, at, mid, m.Time, limit)
	if err != nil {
		return nil, err
	}
	right, err := l.silencesBetween(mid, m.Time, last, until, limit)
	return append(left, right...), err
}
