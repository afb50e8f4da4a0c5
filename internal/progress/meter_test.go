package progress

import (
	"sync"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/clock"
)

func TestMeterCountsAndReportsInSteps(t *testing.T) {
	var mu sync.Mutex
	var events []Event
	m := Reporter(func(e Event) {
		mu.Lock()
		defer mu.Unlock()
		events = append(events, e)
	}).Meter(Event{Function: "payments", Phase: "copy", Total: 2 * meterStep})
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for range meterStep / 1024 {
				_, _ = m.Write(make([]byte, 1024)) // never fails
			}
		})
	}
	group.Wait()
	m.End()
	if m.Done() != 4*meterStep || len(events) != 6 {
		t.Errorf("%d done, %d events", m.Done(), len(events))
	}
	for _, e := range events {
		if e.Function != "payments" || e.Phase != "copy" || e.Done > e.Total && e.Total != 0 {
			t.Errorf("event %+v", e)
		}
	}
	finished := 0
	for _, e := range events {
		if e.Total > 0 && e.Done >= e.Total {
			finished++
		}
	}
	if finished > 2 { // where the estimate was met, and at the end
		t.Errorf("work that went beyond its estimate looked finished %d times: %+v", finished, events)
	}
	if last := events[5]; last.Done != 4*meterStep || last.Total != last.Done {
		t.Errorf("last event %+v", last)
	}
}

func TestNobodyNeedsToListen(t *testing.T) {
	m := Reporter(nil).Meter(Event{Phase: "copy"})
	m.Add(3 * meterStep)
	m.End()
	if m.Done() != 3*meterStep {
		t.Errorf("%d done", m.Done())
	}
}

func TestPhasesAddUpByTheirClock(t *testing.T) {
	c := clock.NewFake(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	p := NewPhases(c)
	end := p.Begin("load")
	overlapping := p.Begin("fetch")
	c.Advance(2 * time.Second)
	end()
	overlapping()
	end = p.Begin("load")
	c.Advance(500 * time.Millisecond)
	end()
	p.Begin("never ended")
	got := p.Seconds()
	if got["load"] != 2.5 || got["fetch"] != 2 || len(got) != 2 {
		t.Errorf("phases %v", got)
	}
}
