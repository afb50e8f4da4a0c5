package engine_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/engine"
	"github.com/saypro/backupd/internal/evidence"
	"github.com/saypro/backupd/internal/progress"
)

// besides returns what each proof on record ran beside, by whether it was cold.
func (w *world) besides(t *testing.T) (warm, cold [][]string) {
	t.Helper()
	for r, err := range w.Evidence().Find(evidence.ActProof, "", time.Time{}, time.Time{}) {
		switch {
		case err != nil:
			t.Fatal(err)
		case r.Phase != evidence.Result:
		case r.Proof.Requested == "L7":
			cold = append(cold, r.Proof.Environment.Concurrent)
		default:
			warm = append(warm, r.Proof.Environment.Concurrent)
		}
	}
	return warm, cold
}

// A proof on schedule waits for a cold start; what is asked for does not, and
// both records tell of the other.
func TestProofsAndColdStartsAreKeptApart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, extra{function: coldChecks})
	w.take(t, "payments")
	w.sync(t)
	var begun sync.Once
	cold, began := make(chan error, 1), make(chan struct{})
	start := func() {
		begun, began = sync.Once{}, make(chan struct{})
		first := began
		go func() {
			_, err := w.Verify(t.Context(), engine.VerifyRequest{Functions: []string{"payments"}, From: "cloud", Cold: true, Identity: w.escrow},
				func(progress.Event) { begun.Do(func() { close(first) }) })
			cold <- err
		}()
		<-began
	}
	start()
	if err := w.ProveOnSchedule(t.Context(), "payments", "onsite"); err != nil {
		t.Error(err)
	}
	if err := <-cold; err != nil {
		t.Error(err)
	}
	if warm, cold := w.besides(t); len(warm) != 1 || len(cold) != 1 || warm[0] != nil || cold[0] != nil {
		t.Errorf("apart: the proof ran beside %v, the cold start beside %v", warm, cold)
	}
	start()
	if _, err := w.Verify(t.Context(), engine.VerifyRequest{Functions: []string{"payments"}, From: "onsite", Level: "L2"}, nil); err != nil {
		t.Error(err)
	}
	if err := <-cold; err != nil {
		t.Error(err)
	}
	warm, beside := w.besides(t)
	if len(warm) != 2 || len(beside) != 2 || !slices.Equal(warm[1], []string{"cold start of payments from cloud"}) ||
		!slices.Equal(beside[1], []string{"proof of payments from onsite"}) {
		t.Errorf("together: the proof ran beside %v, the cold start beside %v", warm, beside)
	}
	// Whoever waits ends with the service.
	start()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := w.ProveOnSchedule(ctx, "payments", "onsite"); err == nil || !strings.Contains(err.Error(), context.DeadlineExceeded.Error()) {
		t.Errorf("a proof that waits and is told to end: %v", err)
	}
	if err := <-cold; err != nil {
		t.Error(err)
	}
}
