package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/saypro/backupd/internal/progress"
	"github.com/saypro/backupd/internal/repository"
)

// InspectRequest asks what an object of the repository is.
type InspectRequest struct {
	// Object is its name, the beginning of a pack's digest, or the id of a
	// snapshot or the beginning of it.
	Object string `json:"object"`
	// From is the only site to look at; empty means all.
	From string `json:"from,omitempty"`
}

// Inspect tells what an object is and how its copies are. The error matches
// [ErrDegraded] when a copy is not as it must be.
func (e *Engine) Inspect(ctx context.Context, req InspectRequest, report progress.Reporter) (*repository.Inspection, error) {
	var sites []string
	if req.From != "" {
		if _, err := e.repository.Site(req.From); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrUsage, err)
		}
		sites = []string{req.From}
	}
	report.Report(progress.Event{Phase: "read"})
	out, err := e.repository.Inspect(ctx, req.Object, sites)
	if errors.Is(err, repository.ErrAmbiguous) {
		return nil, usageError{err}
	}
	if err != nil {
		return nil, asUsage(err)
	}
	var bad []string
	for name, c := range out.Sites {
		if !c.Good() {
			bad = append(bad, fmt.Sprintf("site %s: it is %s", name, c.State))
		}
	}
	slices.Sort(bad)
	if out.Known && len(bad) > 0 {
		return out, fmt.Errorf("%w: %s", ErrDegraded, strings.Join(bad, "; "))
	}
	return out, nil
}
