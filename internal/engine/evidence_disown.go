package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/saypro/backupd/internal/repository"
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
		why := e.contradicts(ctx, site, o)
		switch {
		case why == nil:
			continue
		case errors.Is(why, errUnread):
			if err := e.answers(ctx, site); err != nil {
				return err
			}
			e.log.Warn("evidence that a site keeps cannot be read; when it is this host's, the next comparison finds it", "site", site, "object", o.Name(), "error", why)
		default:
			e.log.Error("a site keeps evidence that is not this host's", "site", site, "object", o.Name(), "error", why)
			e.tellNotOurs(site, o.Name(), why)
		}
		names = append(names, o.Name())
	}
	return e.repository.ForgetEvidence(names)
}

// tellNotOurs notes what is to be told of an object, unless something is already.
func (e *Engine) tellNotOurs(site, name string, why error) {
	object := "site " + site + ": " + name + ": "
	if !slices.ContainsFunc(e.notOurs, func(told string) bool { return strings.HasPrefix(told, object) }) {
		e.notOurs = append(e.notOurs, object+why.Error())
	}
}

// errUnread marks an object of which is not known whether it is this host's.
var errUnread = errors.New("it cannot be read")

// contradicts says why an object that a site keeps is none of this host's log; nil
// when it is. The error matches [errUnread] when that cannot be told.
func (e *Engine) contradicts(ctx context.Context, site string, o repository.EvidenceObject) error {
	content, err := e.repository.ReadEvidence(ctx, site, o)
	if err == nil {
		return e.joinSegment(o.Log, o.First, o.Count, content)
	}
	if end := o.First + uint64(o.Count); end > e.evidence.Size() {
		return fmt.Errorf("%w: it would end with record %d, and this host has %d", errForked, end-1, e.evidence.Size())
	}
	return fmt.Errorf("%w: %w", errUnread, err)
}

// answers fails when a site does not tell what it keeps of the log: then one that
// cannot be read says nothing.
func (e *Engine) answers(ctx context.Context, site string) error {
	_, err := e.repository.EvidenceAt(ctx, site, logID(e.evidence), e.evidence.Size())
	return err
}
