package repository

import (
	"context"
	"errors"
	"fmt"
	"slices"
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
	// Adopted are keys, snapshots, marks and evidence that the site holds and the
	// catalog did not know; they are copied to the other sites.
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
	if err != nil || len(v) == 0 {
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
	defer r.endUpkeep()
	if err := r.lookForLost(site.Name); err != nil {
		return Compared{}, err
	}
	return r.compareLocked(ctx, site)
}

// endUpkeep lets others compare, delete or rewrite, and tells the uploads, which
// may have a comparison to make up for.
func (r *Repository) endUpkeep() {
	r.upkeep.Unlock()
	r.wake()
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
	if err := c.readVerdicts(ctx); err != nil {
		return c.out, err
	}
	for _, info := range c.unknown {
		if err := c.adopt(ctx, info); err != nil {
			return c.out, err
		}
	}
	if err := c.catalog.SetStrays(site.Name, c.strays, c.out.At); err != nil {
		return c.out, err
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
	verdicts  map[string]verdict
	unknown   []storage.Info  // that the catalog may have to take in
	strays    []string        // packs that it does not know
	lost      []catalog.Fault // what counts as lost there
	recovered bool            // something that was lost is found again
	out       Compared
}

// tryFaultsAgain queues what was set aside: somebody may have seen to it. What
// is lost is looked for in the listing.
func (c *comparison) tryFaultsAgain() error {
	faults, err := c.catalog.Faults(c.site.Name)
	for _, f := range faults {
		switch {
		case err != nil:
			return err
		case f.Lost:
			c.lost = append(c.lost, f)
		default:
			_, err = c.catalog.Doubt(f)
		}
	}
	return err
}

// lookForLost queues what is lost at the site once more: another one may have
// it again. Packs are found by their names.
func (r *Repository) lookForLost(site string) error {
	faults, err := r.catalog.Faults(site)
	for _, f := range faults {
		if err == nil && f.Lost && !strings.HasPrefix(f.Name, "p/") {
			_, err = r.catalog.Doubt(f)
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
	case mayBeOurs(info.Name):
		_, err := c.catalog.Object(info.Name)
		if errors.Is(err, catalog.ErrNotFound) {
			c.unknown = append(c.unknown, info)
			err = nil
		}
		return errors.Join(err, c.found(ctx, info))
	case strings.HasPrefix(info.Name, "p/"):
		return c.strayPack(ctx, info)
	}
	return nil
}

// mayBeOurs reports whether the repository has objects of that name besides
// packs. What lies below the prefix of evidence under other names means nothing.
func mayBeOurs(name string) bool {
	if strings.HasPrefix(name, evidencePrefix) {
		_, ok := parseEvidenceName(name)
		return ok
	}
	return strings.HasPrefix(name, "c/") || strings.HasPrefix(name, "g/") || strings.HasPrefix(name, keyPrefix)
}

// found ends that an object counts as lost, if it is right here.
func (c *comparison) found(ctx context.Context, info storage.Info) error {
	i := slices.IndexFunc(c.lost, func(f catalog.Fault) bool { return f.Name == info.Name })
	if i < 0 {
		return nil
	}
	o, err := c.catalog.Object(info.Name)
	if err != nil {
		return err
	}
	err = checkSame(ctx, c.site, catalog.Entry{Name: o.Name, Size: o.Size, SHA256: o.SHA256})
	if errors.Is(err, storage.ErrNotFound) || errors.Is(err, ErrCorrupt) {
		return nil
	}
	if err == nil {
		_, err = c.catalog.Doubt(c.lost[i])
	}
	return err
}

// strayPack looks at a pack that the site need not hold: one that was lost and
// is found here, or one that nobody knows.
func (c *comparison) strayPack(ctx context.Context, info storage.Info) error {
	e, lost, err := c.catalog.LostPack(info.Name)
	if err != nil {
		return err
	}
	if lost {
		a := adopter{Repository: c.Repository, site: c.site, sites: c.others()}
		_, there, err := a.packAt(ctx, c.site, PackRef{SHA256: e.SHA256, Size: e.Size})
		if there {
			c.log.Warn("a pack that was lost is found again", "site", c.site.Name, "pack", info.Name)
			c.recovered = true
		}
		return err
	}
	known, err := c.catalog.Knows(info.Name)
	if !known {
		c.strays = append(c.strays, info.Name)
	}
	return err
}

// adopt takes in a key, a commit, a mark or evidence that some other catalog of this
// repository has written.
func (c *comparison) adopt(ctx context.Context, info storage.Info) error {
	a := adopter{Repository: c.Repository, site: c.site, sites: c.others(), verdicts: c.verdicts}
	taken, problem, err := a.adopt(ctx, info)
	var lacking *lackingError
	if errors.As(err, &lacking) {
		problem, err = &Problem{info.Name, errors.Join(err, lacking.unsure).Error()}, nil
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
