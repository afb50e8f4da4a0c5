package main

import (
	"context"
	"slices"
	"time"
)

// suspect is a recovery point that looks wrong.
type suspect struct {
	Function  string `json:"function"`
	Snapshot  string `json:"snapshot"`
	LastClean string `json:"last_clean"`
	Signals   []struct {
		Kind   string `json:"kind"`
		Table  string `json:"table"`
		Detail string `json:"detail"`
	} `json:"signals"`
}

// noticed waits until the service has noticed the dropped table, and shows what
// it says. What the customers do must have raised no alarm.
func (w *world) noticed(ctx context.Context) error {
	w.title("What the service says of the mistake")
	err := w.until(ctx, 25*time.Second, "the service to notice the mistake", func(ctx context.Context) (bool, string, error) {
		exit, err := w.operator.ask(ctx, &w.measured.suspects, []int{0, 3}, "suspect", "list")
		return err == nil && exit == 3, "no recovery point is suspect", err
	})
	if err != nil {
		return err
	}
	// The point is there before everything about it is on record.
	err = w.until(ctx, 25*time.Second, "the end of the run", func(ctx context.Context) (bool, string, error) {
		var s status
		if _, err := w.operator.ask(ctx, &s, []int{0, 3}, "status"); err != nil {
			return false, "", err
		}
		running := slices.ContainsFunc(s.Functions, func(f functionStatus) bool { return f.Function == "payments" && f.Running != "" })
		return !running, "payments is being captured", nil
	})
	if err != nil {
		return err
	}
	return w.operator.show(ctx, 3, "suspect")
}

// alarms says whether there was just the one alarm that there had to be.
func (w *world) alarms() row {
	r := row{what: "alarms about what the data looks like", measured: "none", promised: "the dropped table alone"}
	for i, s := range w.measured.suspects {
		for _, signal := range s.Signals {
			r.measured = signal.Kind + ", " + signal.Table
			r.holds = i == 0 && len(w.measured.suspects) == 1 && len(s.Signals) == 1 && s.LastClean != "" &&
				s.Function == "payments" && signal.Kind == "schema shrunk" && signal.Table == "payments.refunds"
		}
	}
	return r
}
