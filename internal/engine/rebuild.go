package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/saypro/backupd/internal/config"
	"github.com/saypro/backupd/internal/progress"
	"github.com/saypro/backupd/internal/repository"
)

// Rebuild makes the catalog of a new data_dir from what one site holds. The
// error matches [ErrDegraded] when not every recovery point of the site could
// be brought back, and [ErrUsage] when there is a catalog already.
func Rebuild(ctx context.Context, cfg *config.Config, from string, o Options, report progress.Reporter) (out *repository.Rebuilt, err error) {
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
	if e.evidence.Size() == 0 && !resumed {
		if err := e.expectEvidence(untaken{from, errors.Is(keyErr, fs.ErrNotExist)}); err != nil {
			return nil, err
		}
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
	case len(out.Lost)+len(out.Damaged) > 0:
		return out, fmt.Errorf("%w: site %s: %d recovery points cannot be brought back from it, %d of its objects are damaged",
			ErrDegraded, from, len(out.Lost), len(out.Damaged))
	}
	return out, nil
}
