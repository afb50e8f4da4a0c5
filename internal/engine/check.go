package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"filippo.io/age"

	"github.com/saypro/backupd/internal/clock"
	"github.com/saypro/backupd/internal/config"
	"github.com/saypro/backupd/internal/pgserver"
	"github.com/saypro/backupd/internal/repository"
	"github.com/saypro/backupd/internal/source/postgres"
	"github.com/saypro/backupd/internal/storage"
)

// Check looks at everything that a configuration depends on: the data
// directory, keys, every site and source, the programs and the scratch place.
// It needs no catalog, so it works beside a running service. What is wrong is
// a finding, not an error.
func Check(ctx context.Context, cfg *config.Config, o Options) []Finding {
	c := checker{cfg: cfg, clock: o.Clock}
	c.data()
	c.keys()
	c.sites(ctx)
	c.tools()
	c.sources(ctx)
	c.scratch(ctx)
	return c.findings
}

type checker struct {
	cfg        *config.Config
	clock      clock.Clock
	identities []age.Identity
	findings   []Finding
}

func (c *checker) good(group, subject, detail, hint string) {
	c.findings = append(c.findings, Finding{OK: true, Group: group, Subject: subject, Detail: detail, Hint: hint})
}

func (c *checker) bad(group, subject, detail, hint string) {
	c.findings = append(c.findings, Finding{Group: group, Subject: subject, Detail: detail, Hint: hint})
}

// lowSpace is less than what a spool should have: room for a few packs is
// enough to work, a large function needs its whole compressed size while a
// site is away.
const lowSpace = 1 << 30

func (c *checker) data() {
	const group = "data"
	dir := c.cfg.DataDir
	probe := filepath.Join(dir, ".check")
	err := os.MkdirAll(dir, 0o700)
	if err == nil {
		err = os.WriteFile(probe, nil, 0o600)
	}
	if err != nil {
		c.bad(group, dir, err.Error(), "give the user that runs backupd the directory: chown, chmod 0700")
		return
	}
	_ = os.Remove(probe) // an empty file that hurts nobody
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		c.bad(group, dir, err.Error(), "")
		return
	}
	free := int64(fs.Bavail) * int64(fs.Bsize)
	detail := fmt.Sprintf("writable, %d MiB free", free>>20)
	if free < lowSpace {
		c.good(group, dir, detail, "the spool holds what a site that is away has not taken; give it room for the largest function, compressed")
		return
	}
	c.good(group, dir, detail, "")
}

func (c *checker) keys() {
	const group = "keys"
	path := c.cfg.Keys.IdentityFile
	ids, err := readIdentities(path)
	if err != nil {
		c.bad(group, path, err.Error(), "run 'backupd init'")
		return
	}
	c.identities = ids
	if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o077 != 0 {
		c.bad(group, path, fmt.Sprintf("others may read it (mode %04o)", info.Mode().Perm()), "chmod 600 "+path)
		return
	}
	own, err := ownRecipients(path)
	if err == nil {
		_, err = allRecipients(own, c.cfg.Keys.Recipients)
	}
	if err != nil {
		c.bad(group, path, err.Error(), "add the escrow's recipient to keys.recipients")
		return
	}
	c.good(group, path, fmt.Sprintf("identity %s, escrow %v", own[0], c.cfg.Keys.Recipients), "")
}

func (c *checker) sites(ctx context.Context) {
	for _, name := range c.cfg.SiteOrder {
		store, err := openSite(name, c.cfg.Sites[name])
		if err != nil {
			c.bad("site", name, err.Error(), "")
			continue
		}
		c.site(ctx, repository.Site{Name: name, Store: store})
	}
}

func (c *checker) site(ctx context.Context, site repository.Site) {
	const group = "site"
	notes, err := probeSite(ctx, site)
	if err != nil {
		detail, hint := c.explain(site.Name, err)
		c.bad(group, site.Name, detail, hint)
		return
	}
	detail := "reads, writes once, lists"
	err = repository.Look(ctx, site, c.identities)
	switch {
	case errors.Is(err, repository.ErrNoRepository):
		c.bad(group, site.Name, detail+"; holds no repository yet", "run 'backupd init'")
		return
	case err != nil:
		c.bad(group, site.Name, err.Error(), "")
		return
	}
	c.good(group, site.Name, detail+"; the repository opens with this identity", strings.Join(notes, "; "))
}

// explain tells an error of a site with the place that was asked, and what to
// do about it apart.
func (c *checker) explain(site string, err error) (detail, hint string) {
	var e *storage.Error
	if !errors.As(err, &e) {
		return err.Error(), ""
	}
	s := c.cfg.Sites[site]
	place := s.Path
	if place == "" {
		place = strings.TrimSpace(s.Endpoint + " bucket " + s.Bucket)
	}
	return fmt.Sprintf("%s: %s %s: %v", place, e.Op, e.Name, e.Err), e.Hint
}

// neededTools are the programs of PostgreSQL that captures and restores run.
var neededTools = []string{"pg_dump", "pg_restore"}

func (c *checker) tools() {
	names := neededTools
	if c.cfg.Scratch.Kind == config.DefaultScratchKind {
		names = append(slices.Clone(names), "initdb", "postgres")
	}
	for _, name := range names {
		path, err := pgserver.Binary(name)
		if err != nil {
			c.bad("tools", name, err.Error(), "install PostgreSQL's programs: apt-get install postgresql postgresql-contrib")
			continue
		}
		c.good("tools", name, path, "")
	}
}

func (c *checker) sources(ctx context.Context) {
	sources, err := openSources(c.cfg, c.clock, slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		c.bad("source", "all", err.Error(), "")
		return
	}
	scopes := map[string][]postgres.Scope{}
	for _, name := range c.cfg.FunctionOrder {
		f := c.cfg.Functions[name]
		scopes[f.Source] = append(scopes[f.Source], postgres.Scope{
			Function: name, Schemas: f.Schemas, Tables: f.Tables, LargeObjects: f.LargeObjects,
		})
	}
	for _, name := range slices.Sorted(maps.Keys(sources)) {
		for _, f := range sources[name].Check(ctx, scopes[name]) {
			c.findings = append(c.findings, Finding{OK: f.OK, Group: "source", Subject: f.Subject, Detail: f.Detail, Hint: f.Hint})
		}
	}
}

func (c *checker) scratch(ctx context.Context) {
	const group = "scratch"
	if c.cfg.Scratch.Kind == config.DefaultScratchKind {
		c.good(group, "instance", "a throwaway server from this machine's programs, in "+scratchDir(c.cfg), "")
		return
	}
	if err := postgres.CanCreateDatabase(ctx, c.cfg.Scratch.URL.Reveal()); err != nil {
		c.bad(group, "database", err.Error(), "scratch.url needs a role with CREATEDB on a server that is not production")
		return
	}
	c.good(group, "database", "the server lets scratch databases be made", "")
}
