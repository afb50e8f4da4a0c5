package server

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/saypro/backupd/internal/clock"
	"github.com/saypro/backupd/internal/progress"
)

const (
	// feedPause is the time between two deliveries of events. Whoever
	// watches sees no more, and a fast operation reports far more often.
	feedPause = 100 * time.Millisecond
	// maxSentences bounds the events with a message that wait for a client
	// that does not read, as one that was suspended.
	maxSentences = 1000
)

// feed passes the events of an operation on to its client without ever making
// the operation wait for it: of every counter only the newest state is kept
// until it can be sent.
type feed struct {
	out   io.Writer
	flush func() error
	clock clock.Clock

	mu        sync.Mutex
	counters  map[counter]progress.Event
	order     []counter
	sentences []progress.Event
	wake      chan struct{}
}

// counter identifies what an event counts.
type counter struct{ function, phase, site string }

func newFeed(w http.ResponseWriter, c clock.Clock) *feed {
	return &feed{
		out:      w,
		flush:    http.NewResponseController(w).Flush,
		clock:    c,
		counters: map[counter]progress.Event{},
		wake:     make(chan struct{}, 1),
	}
}

// report takes an event in. It never blocks.
func (f *feed) report(e progress.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if e.Message != "" {
		if len(f.sentences) < maxSentences {
			f.sentences = append(f.sentences, e)
		}
	} else {
		key := counter{e.Function, e.Phase, e.Site}
		if _, known := f.counters[key]; !known {
			f.order = append(f.order, key)
		}
		f.counters[key] = e
	}
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// take returns what waits to be sent, the sentences first.
func (f *feed) take() []progress.Event {
	f.mu.Lock()
	defer f.mu.Unlock()
	events := f.sentences
	for _, key := range f.order {
		events = append(events, f.counters[key])
	}
	f.sentences, f.order = nil, nil
	clear(f.counters)
	return events
}

// deliver sends what waits.
func (f *feed) deliver() error {
	enc := json.NewEncoder(f.out)
	events := f.take()
	for i := range events {
		if err := enc.Encode(message{Event: &events[i]}); err != nil {
			return err
		}
	}
	if len(events) == 0 {
		return nil
	}
	return f.flush()
}

// run delivers events as they come until ctx ends or the client is gone.
func (f *feed) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.wake:
		}
		if f.deliver() != nil || f.clock.Sleep(ctx, feedPause) != nil {
			return
		}
	}
}
