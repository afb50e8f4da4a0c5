package controls

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sync/errgroup"

	"github.com/saypro/backupd/internal/repository"
	"github.com/saypro/backupd/internal/source/postgres"
	"github.com/saypro/backupd/internal/storage"
)

// Clear removes everything that a round has left, at the site and on this host:
// after a round, and after one that a crash cut short. site is the whole prefix
// of the round; dir its folder, which goes last because it tells of the rest.
func Clear(ctx context.Context, site repository.Site, dir string) error {
	errs := []error{postgres.SweepInstances(ctx, dir)}
	if err := purgeAll(ctx, site); err != nil {
		errs = append(errs, fmt.Errorf("site %s: %w", site.Name, err))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("clear up after negative controls in %s: %w", dir, err)
	}
	return os.RemoveAll(dir)
}

// purgeAll removes every object below a prefix for good.
func purgeAll(ctx context.Context, site repository.Site) error {
	objects, err := listed(ctx, site.Store)
	if err != nil {
		return err
	}
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(copyParallel)
	for _, o := range objects {
		group.Go(func() error { return storage.Purge(groupCtx, deleter(site), o.Name) })
	}
	return group.Wait()
}
