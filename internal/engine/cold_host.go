package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/saypro/backupd/internal/progress"
	"github.com/saypro/backupd/internal/repository"
	"github.com/saypro/backupd/internal/selection"
	"github.com/saypro/backupd/internal/verify"
)

// ColdStart is the empty host: it reads what it may know from in, rebuilds a
// catalog from one site, restores the newest recovery point from there and
// proves it. It writes nothing at the site, and ends when in does. What comes of
// it goes to out; the error is the same that stands there.
func ColdStart(ctx context.Context, in io.Reader, out io.Writer, o Options) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	words := json.NewDecoder(in)
	h := &coldHost{out: json.NewEncoder(out)}
	order, err := readColdOrder(words)
	if err != nil {
		return errors.Join(err, h.tell(coldAnswer{Error: err.Error()}))
	}
	go func() {
		untilEnd(in)
		cancel(errors.New("whoever asked for the cold start is gone"))
	}()
	answer, err := h.run(ctx, order, o)
	if err != nil {
		answer.Error = err.Error()
	}
	return errors.Join(err, h.tell(answer))
}

// coldHost writes the answers of a cold start.
type coldHost struct {
	mu  sync.Mutex
	out *json.Encoder
}

func (h *coldHost) tell(a coldAnswer) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.out.Encode(a)
}

// report passes on how far the work is. That nobody listens any more shows by
// the end of the input.
func (h *coldHost) report(ev progress.Event) { _ = h.tell(coldAnswer{Event: &ev}) }

func (h *coldHost) run(ctx context.Context, order coldOrder, o Options) (answer coldAnswer, err error) {
	if o.Identities, err = identitiesIn(order.Identity); err != nil {
		return answer, err
	}
	o.readOnly = true
	e, err := Open(ctx, order.config(), o)
	if err != nil {
		return answer, err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	rebuilt, err := e.repository.Rebuild(ctx, order.Site.Name, func(phase string, done int) {
		h.report(progress.Event{Function: order.Function.Name, Phase: "rebuild", Site: order.Site.Name, Done: int64(done), Unit: phase})
	})
	if rebuilt != nil {
		answer.RebuildSeconds, answer.Lost = rebuilt.Seconds, missed(rebuilt, order.Function.Name)
	}
	if err != nil {
		return answer, fmt.Errorf("rebuild the catalog from site %s: %w", order.Site.Name, err)
	}
	to := verify.Request{Function: order.Function.Name, From: order.Site.Name}
	if to.Snapshot, to.Selection, err = e.pick(order.Function, order.Site.Name, selection.Latest, ""); err != nil {
		return answer, err
	}
	result, err := e.verifier.Prove(ctx, to, h.report)
	answer.Result = &result
	return answer, err
}

// missed says what a rebuild could not open or did not find, for one function,
// the first of each.
func missed(r *repository.Rebuilt, function string) (out []string) {
	if len(r.Damaged) > 0 {
		out = append(out, fmt.Sprintf("%d objects could not be read, the first is %s", len(r.Damaged), r.Damaged[0]))
	}
	for _, l := range r.Lost {
		if l.Function == function && len(l.Missing) > 0 {
			return append(out, fmt.Sprintf("snapshot %s lacks %s", l.Snapshot, l.Missing[0]))
		}
	}
	return out
}
