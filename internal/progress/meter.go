package progress

import "sync/atomic"

// meterStep is how many bytes pass between two events of a meter.
const meterStep = 1 << 20

// Meter counts what one phase has done and reports it every now and then. Its
// methods are safe for concurrent use.
type Meter struct {
	report Reporter
	event  Event
	done   atomic.Int64
}

// Meter returns a meter that reports events like e, with Done counted by it.
func (r Reporter) Meter(e Event) *Meter {
	m := &Meter{report: r, event: e}
	m.send(e.Done)
	m.done.Store(e.Done)
	return m
}

// Add counts n more.
func (m *Meter) Add(n int64) {
	now := m.done.Add(n)
	if now/meterStep != (now-n)/meterStep {
		m.send(now)
	}
}

// Done returns what has been counted.
func (m *Meter) Done() int64 { return m.done.Load() }

// End reports the last count, which is the total from now on: what was
// foreseen was an estimate.
func (m *Meter) End() {
	e := m.event
	e.Done = m.done.Load()
	e.Total = e.Done
	m.report.Report(e)
}

func (m *Meter) send(done int64) {
	e := m.event
	e.Done = done
	if e.Total < done {
		e.Total = 0 // it was an estimate, and too low: the end is not known
	}
	m.report.Report(e)
}

// Write counts the bytes of p, so that a meter can stand behind an
// [io.MultiWriter].
func (m *Meter) Write(p []byte) (int, error) {
	m.Add(int64(len(p)))
	return len(p), nil
}
