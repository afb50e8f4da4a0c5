package repository

import (
	"context"
	"time"

	"github.com/saypro/backupd/internal/catalog"
)

// suspectPatience is how long a restore or a proof that is over waits for the
// site to say that it holds the repository.
const suspectPatience = 30 * time.Second

// Suspect is told of objects that somebody who read a site found to be missing
// or wrong there; found says who: "restore", "proof". They are queued for the site
// again, and the uploads read them once more before they put another copy in
// their place. What the site need not hold is left alone, and all of it when the
// site does not hold the repository at all: then it has lost more than these.
//
// Nothing is returned, because whoever reads goes on all the same.
func (r *Repository) Suspect(ctx context.Context, site, found string, objects []Problem) {
	if len(objects) == 0 || r.mayWrite() != nil {
		return
	}
	place, err := r.Site(site)
	if err == nil {
		bounded, cancel := context.WithTimeout(ctx, suspectPatience)
		err = r.checkRepository(bounded, place)
		cancel()
	}
	if err != nil {
		r.log.Warn("what was found to be wrong at a site is not put right now", "site", site, "objects", len(objects), "error", err)
		return
	}
	for _, o := range objects {
		queued, err := r.catalog.Doubt(catalog.Fault{
			Site: site, Name: o.Object, Since: r.clock.Now().UTC(), Detail: o.Detail, Found: found,
		})
		switch {
		case err != nil:
			r.log.Error("what was found to be wrong at a site cannot be queued", "site", site, "object", o.Object, "error", err)
		case queued:
			r.log.Error("an object is missing or wrong, and is put right", "site", site, "object", o.Object, "found", found, "detail", o.Detail)
		}
	}
	r.wake()
}
