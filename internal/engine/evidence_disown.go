package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/saypro/backupd/internal/repository"
	"github.com/saypro/backupd/internal/storage"
)

// disown forgets what a rebuild has found at its site under the name of this host's
// log and that is not of it. What this host is thought to have given to the sites
// already it would not give them any more, and it would give others what is not its
// own. What is known to be of it is not read again.
func (e *Engine) disown(ctx context.Context, site string, ours map[string]bool) error {
	known, err := e.repository.EvidenceObjects()
	if err != nil {
		return err
	}
	var names []string
	for _, o := range known {
		if o.Log != logID(e.evidence) || ours[o.Name()] {
			continue
		}
		why, err := e.contradicts(ctx, site, o)
		if err != nil {
			return err
		}
		if why == nil {
			continue
		}
		e.log.Error("a site keeps evidence that is not this host's", "site", site, "object", o.Name(), "error", why)
		e.notOurs = append(e.notOurs, fmt.Sprintf("site %s: %s: %v", site, o.Name(), why))
		names = append(names, o.Name())
	}
	return e.repository.ForgetEvidence(names)
}

// contradicts says why an object that a site keeps is none of this host's log; nil
// when it is, or cannot be read any more and may be.
func (e *Engine) contradicts(ctx context.Context, site string, o repository.EvidenceObject) (why, err error) {
	content, err := e.repository.ReadEvidence(ctx, site, o)
	switch {
	case err == nil:
		return e.joinSegment(o.Log, o.First, o.Count, content), nil
	case errors.Is(err, repository.ErrCorrupt) || errors.Is(err, storage.ErrNotFound):
		if end := o.First + uint64(o.Count); end > e.evidence.Size() {
			return fmt.Errorf("%w: it would end with record %d, and this host has %d", errForked, end-1, e.evidence.Size()), nil
		}
		return nil, nil
	}
	return nil, err
}
