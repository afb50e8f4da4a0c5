package repository

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/crash"
	"github.com/saypro/backupd/internal/storage"
)

// compareEvery is how often the names and sizes of all objects of a site are
// compared with what it must hold, besides after each of its failures. A
// terabyte is some 65 pages of listing.
const compareEvery = 24 * time.Hour

// Compared is the outcome of a comparison with one site.
type Compared struct {
	At      time.Time `json:"at"`
	Objects int       `json:"objects"` // listed
	// Missing and Wrong are objects that the site must hold and does not, or in
	// another length; they are sent again.
	Missing int `json:"missing"`
	Wrong   int `json:"wrong"`
	// Adopted are keys, snapshots and marks that the site holds and the catalog
	// did not know; they are copied to the other sites.
	Adopted int `json:"adopted"`
	// Problems are objects that the catalog does not know and cannot take in.
	Problems []Problem `json:"problems,omitempty"`
}

func comparedKey(site string) string { return "compared:" + site }

func (r *Repository) lastCompared(site string) (time.Time, error) {
	return r.metaTime(comparedKey(site))
}

// metaTime returns a time that the catalog keeps; zero when it does not.
func (r *Repository) metaTime(name string) (time.Time, error) {
	v, err := r.catalog.Meta(name)
	if errors.Is(err, catalog.ErrNotFound) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, err
	}
	return time.Parse(time.RFC3339, string(v))
}

func (r *Repository) compareDue(site string) (bool, error) {
	last, err := r.lastCompared(site)
	since := r.clock.Now().Sub(last)
	return err == nil && (since >= compareEvery || since < 0), err
}

// errUpkeep: something else compares, deletes or rewrites now.
var errUpkeep = errors.New("other upkeep is under way")

// compare lists everything that a site holds and compares names and sizes with
// what it must hold. What is missing or of another length is queued for it;
// snapshots that the catalog does not know are taken in. It does not wait for
// other upkeep, which may be about a site that hangs, but returns errUpkeep.
func (r *Repository) compare(ctx context.Context, site Site) (Compared, error) {
	if !r.upkeep.TryLock() {
		return Compared{}, errUpkeep
	}
	defer r.wake() // whoever was put off
	defer r.upkeep.Unlock()
	return r.compareLocked(ctx, site)
}

// compareLocked is compare for those who hold upkeep.
func (r *Repository) compareLocked(ctx context.Context, site Site) (Compared, error) {
	if err := r.mayCheck(); err != nil {
		return Compared{}, err
	}
	c := comparison{Repository: r, site: site}
	c.out.At = r.clock.Now().UTC()
	if err := c.tryFaultsAgain(); err != nil {
		return c.out, err
	}
	if err := c.list(ctx); err != nil {
		return c.out, err
	}
	crash.Point(crash.CompareListed)
	keysFirst(c.unknown)
	for _, info := range c.unknown {
		if err := c.adopt(ctx, info); err != nil {
			return c.out, err
		}
	}
	if n := c.out.Missing + c.out.Wrong + c.out.Adopted; n > 0 {
		r.log.Warn("site compared: not in step", "site", site.Name, "objects", c.out.Objects,
			"missing", c.out.Missing, "wrong", c.out.Wrong, "adopted", c.out.Adopted)
	}
	if c.out.Adopted > 0 || c.recovered {
		r.wake() // the others have something to take
		if err := r.comeBehind(); err != nil {
			return c.out, err
		}
	}
	for _, p := range c.out.Problems {
		r.log.Error("site holds an object that cannot be taken in", "site", site.Name, "object", p.Object, "detail", p.Detail)
	}
	return c.out, r.catalog.SetMeta(comparedKey(site.Name), []byte(c.out.At.Format(time.RFC3339)))
}

// comeBehind makes sure that what is decided from now on comes behind what was
// taken in.
func (r *Repository) comeBehind() error {
	r.commitMu.Lock()
	defer r.commitMu.Unlock()
	return r.catchUpTime()
}

// comparison goes through the listing of a site and what it must hold side by
// side, both in the order of their names.
type comparison struct {
	*Repository
	site      Site
	page      []catalog.Holding // that it must hold and that were not reached yet
	after     string
	end       bool
	unknown   []storage.Info // that the catalog may have to take in
	recovered bool           // something that was lost is found again
	out       Compared
}

// tryFaultsAgain queues what was set aside: somebody may have seen to it.
func (c *comparison) tryFaultsAgain() error {
	faults, err := c.catalog.Faults(c.site.Name)
	for _, f := range faults {
		if err == nil && !f.Lost {
			_, err = c.catalog.Doubt(f)
		}
	}
	return err
}

func (c *comparison) list(ctx context.Context) error {
	err := c.site.background().List(ctx, "", "", func(info storage.Info) error {
		c.out.Objects++
		if err := c.reach(ctx, info.Name); err != nil {
			return err
		}
		if len(c.page) == 0 || c.page[0].Name != info.Name {
			return c.stranger(ctx, info)
		}
		must := c.page[0]
		c.page = c.page[1:]
		if info.Size == must.Size {
			return nil
		}
		c.out.Wrong++
		return c.doubt(ctx, must, fmt.Sprintf("%d bytes instead of %d", info.Size, must.Size))
	})
	if err != nil {
		return err
	}
	return c.reach(ctx, "")
}

// reach takes what the site must hold up to a name, all when it is empty: what
// comes before the name was not listed.
func (c *comparison) reach(ctx context.Context, name string) error {
	for {
		if len(c.page) == 0 && !c.end {
			page, err := c.catalog.Holdings(c.site.Name, c.after, 1000)
			if err != nil {
				return err
			}
			if c.end = len(page) == 0; !c.end {
				c.page, c.after = page, page[len(page)-1].Name
			}
		}
		if len(c.page) == 0 || name != "" && c.page[0].Name >= name {
			return nil
		}
		missing := c.page[0]
		c.page = c.page[1:]
		if err := c.missing(ctx, missing); err != nil {
			return err
		}
	}
}

// missing asks once more for an object that was not listed: a listing may be
// older than the object.
func (c *comparison) missing(ctx context.Context, h catalog.Holding) error {
	info, err := c.site.Store.Stat(ctx, h.Name)
	switch {
	case errors.Is(err, storage.ErrNotFound):
		c.out.Missing++
		return c.doubt(ctx, h, "missing")
	case err == nil && info.Size != h.Size:
		c.out.Wrong++
		return c.doubt(ctx, h, fmt.Sprintf("%d bytes instead of %d", info.Size, h.Size))
	}
	return err
}

func (c *comparison) doubt(_ context.Context, h catalog.Holding, detail string) error {
	_, err := c.catalog.Doubt(catalog.Fault{
		Site: c.site.Name, Name: h.Name, Since: c.clock.Now().UTC(), Detail: detail, Found: "compare",
	})
	crash.Point(crash.CompareDoubted)
	return err
}

// stranger notes what was listed and need not be there. Packs are of interest
// only when a commit names them.
func (c *comparison) stranger(ctx context.Context, info storage.Info) error {
	switch {
	case strings.HasPrefix(info.Name, "c/"), strings.HasPrefix(info.Name, "g/"), strings.HasPrefix(info.Name, keyPrefix):
		_, err := c.catalog.Object(info.Name)
		if errors.Is(err, catalog.ErrNotFound) {
			c.unknown = append(c.unknown, info)
			err = nil
		}
		return err
	case strings.HasPrefix(info.Name, "p/"):
		return c.found(ctx, info)
	}
	return nil
}

// found looks at a pack that a site need not hold. One that was thought to be
// lost is there again when its bytes are the right ones.
func (c *comparison) found(ctx context.Context, info storage.Info) error {
	lost, err := c.catalog.Lost(info.Name)
	if err != nil || !lost {
		return err
	}
	e, known, err := c.catalog.Entry(info.Name)
	if err != nil || !known {
		return err
	}
	err = c.look(ctx, c.site, e)
	if errors.Is(err, ErrCorrupt) || errors.Is(err, storage.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := c.complete(ctx, info); err != nil {
		return err
	}
	c.log.Warn("a pack that was lost is found again", "site", c.site.Name, "pack", info.Name)
	c.recovered = true
	return c.catalog.Recover(info.Name, info.Size, c.site.Name)
}

// complete reads what a pack says of itself, when that was not to be had when
// the catalog was rebuilt.
func (c *comparison) complete(ctx context.Context, info storage.Info) error {
	n, known, err := c.packNamed(info.Name)
	if err != nil || !known {
		return err
	}
	there, err := c.catalog.PackAt(n)
	if err != nil || !there.Incomplete() {
		return err
	}
	pack, chunks, err := c.readFooter(ctx, c.site.quiet(), info)
	if err != nil {
		return err
	}
	return c.catalog.Complete(pack, chunks)
}

// packNamed returns the pack of which that is the object.
func (r *Repository) packNamed(object string) (ordinal uint32, known bool, err error) {
	e, known, err := r.catalog.Entry(object)
	if err != nil || !known {
		return 0, false, err
	}
	return r.catalog.PackNamed(e.SHA256)
}

// adopt takes in a key, a commit or a mark that some other catalog of this
// repository has written.
func (c *comparison) adopt(ctx context.Context, info storage.Info) error {
	a := adopter{Repository: c.Repository, site: c.site, sites: c.others()}
	taken, problem, err := a.adopt(ctx, info)
	var lacking *lackingError
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return nil // it was listed and is gone
	case errors.As(err, &lacking):
		problem, err = &Problem{info.Name, err.Error()}, nil
	}
	if problem != nil {
		c.out.Problems = append(c.out.Problems, *problem)
	}
	if taken {
		c.out.Adopted++
		crash.Point(crash.CompareAdopted)
	}
	return err
}

// others returns the sites but for the one compared.
func (c *comparison) others() []string {
	var out []string
	for _, s := range c.sites {
		if s.Name != c.site.Name {
			out = append(out, s.Name)
		}
	}
	return out
}
