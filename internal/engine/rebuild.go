package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/saypro/backupd/internal/config"
	"github.com/saypro/backupd/internal/evidence"
	"github.com/saypro/backupd/internal/progress"
	"github.com/saypro/backupd/internal/repository"
)

// RebuildRequest says from what a catalog is to be rebuilt.
type RebuildRequest struct {
	// From is the site.
	From string
	// EvidenceKey is a public key by which a person says which evidence is this
	// host's: what it signed, or a key that it announced. It is needed only where
	// nothing else tells.
	EvidenceKey string
}

// Rebuild makes the catalog of a new data_dir from what one site holds; see
// [RebuildAs].
func Rebuild(ctx context.Context, cfg *config.Config, from string, o Options, report progress.Reporter) (*repository.Rebuilt, error) {
	return RebuildAs(ctx, cfg, RebuildRequest{From: from}, o, report)
}

// RebuildAs makes the catalog of a new data_dir from what one site holds. The
// error matches [ErrDegraded] when not every recovery point of the site could
// be brought back, or evidence lies there that is not this host's, and [ErrUsage]
// when there is a catalog already.
func RebuildAs(ctx context.Context, cfg *config.Config, req RebuildRequest, o Options, report progress.Reporter) (out *repository.Rebuilt, err error) {
	from := req.From
	if req.EvidenceKey != "" {
		if _, err := evidence.ParsePublicKey(req.EvidenceKey); err != nil {
			return nil, fmt.Errorf("%w: the key of the evidence: %w", ErrUsage, err)
		}
	}
	if _, ok := cfg.Sites[from]; !ok {
		return nil, fmt.Errorf("%w: site %q is not configured; there are %v", ErrUsage, from, cfg.SiteOrder)
	}
	_, keyErr := os.Stat(cfg.Evidence.KeyFile)
	e, err := Open(ctx, cfg, o)
	if errors.Is(err, repository.ErrHalfRebuilt) {
		// There is nothing in it but what a site has told.
		if err := os.Remove(catalogPath(cfg)); err != nil {
			return nil, fmt.Errorf("throw the half rebuilt catalog away: %w", err)
		}
		e, err = Open(ctx, cfg, o)
	}
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	resumed, err := e.awaitsEvidence()
	if err != nil {
		return nil, err
	}
	if err := e.expectEvidenceOf(req, resumed, errors.Is(keyErr, fs.ErrNotExist)); err != nil {
		return nil, err
	}
	out, err = e.repository.Rebuild(ctx, from, func(phase string, done int) {
		report.Report(progress.Event{Phase: "rebuild", Site: from, Done: int64(done), Unit: phase})
	})
	if traffic := e.meter.traffic[from]; out != nil && traffic != nil {
		requests := traffic.Requests()
		out.Requests = &requests
	}
	switch {
	case errors.Is(err, repository.ErrNotEmpty) && resumed:
		// An earlier rebuild was cut short when only the evidence was left to do.
		out = &repository.Rebuilt{}
	case errors.Is(err, repository.ErrNotEmpty):
		return out, errors.Join(fmt.Errorf("%w: %w", ErrUsage, err), e.catalog.SetMeta(metaUntaken, nil))
	case err != nil:
		return out, fmt.Errorf("rebuild the catalog from site %s: %w", from, err)
	}
	out.Records, err = e.takeUntaken(ctx)
	switch {
	case err != nil:
		return out, fmt.Errorf("%w: the recovery points are back, and their evidence is not; nothing is done until it is: %w", ErrDegraded, err)
	case len(e.notOurs) > 0:
		return out, fmt.Errorf("%w: the evidence goes on where this host's ended, and beside it lies what is not this host's: somebody wrote it who may write there, "+
			"or the log went on in two ways. Keep it for the auditor, and see docs/operations.md, Whose evidence: %s", ErrDegraded, strings.Join(firstOf(e.notOurs), "; "))
	case len(out.Lost)+len(out.Damaged) > 0:
		return out, fmt.Errorf("%w: site %s: %d recovery points cannot be brought back from it, %d of its objects are damaged",
			ErrDegraded, from, len(out.Lost), len(out.Damaged))
	}
	return out, nil
}

// expectEvidenceOf notes that evidence is to be taken over, and whose. What an earlier
// rebuild, or a service, has noted of that stands.
func (e *Engine) expectEvidenceOf(req RebuildRequest, resumed, keyIsNew bool) error {
	u := untaken{Site: req.From, KeyIsNew: keyIsNew, Key: req.EvidenceKey}
	if resumed {
		begun, err := e.untaken()
		if err != nil {
			return err
		}
		u.KeyIsNew, u.Key = keyIsNew || begun.KeyIsNew, cmp.Or(req.EvidenceKey, begun.Key)
	}
	if e.evidence.Size() > 0 && !resumed {
		return nil
	}
	return e.expectEvidence(u)
}

// firstOf shortens a long list.
func firstOf(all []string) []string {
	const most = 5
	if len(all) <= most {
		return all
	}
	return append(slices.Clone(all[:most]), fmt.Sprintf("and %d more", len(all)-most))
}
