package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"filippo.io/age"

	"github.com/saypro/backupd/internal/catalog"
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
	c.advise("data")
	c.keys()
	c.evidenceKey()
	c.sites(ctx)
	c.advise("site")
	c.tools()
	c.sources(ctx)
	c.advise("function")
	c.scratch(ctx)
	c.anchors(ctx)
	return c.findings
}

type checker struct {
	cfg        *config.Config
	clock      clock.Clock
	identities []age.Identity
	recipients int // that the configuration names, the daemon among them
	findings   []Finding
}

func (c *checker) good(group, subject, detail, hint string) {
	c.findings = append(c.findings, Finding{OK: true, Group: group, Subject: subject, Detail: detail, Hint: hint})
}

func (c *checker) bad(group, subject, detail, hint string) {
	c.findings = append(c.findings, Finding{Group: group, Subject: subject, Detail: detail, Hint: hint})
}

// advise passes on what the configuration itself has to say about a section.
func (c *checker) advise(section string) {
	for _, a := range c.cfg.Advice() {
		if a.Section == section {
			c.good(section, a.Name, a.Message, a.Hint)
		}
	}
}

// lowSpace is less than what a spool should have: room for a few packs is
// enough to work, a large function needs its whole compressed size while a
// site is away.
const lowSpace = 1 << 30

// noSpace is less than what a capture needs: a pack at each of its stages, and the
// catalog beside it.
const noSpace = 128 << 20

// room says whether so much free space is enough, and what to do when it is not
// much.
func room(free int64) (ok bool, hint string) {
	switch {
	case free < noSpace:
		return false, "nothing can be captured here: make room, or give data_dir a disk of its own"
	case free < lowSpace:
		return true, "the spool holds what a site that is away has not taken; give it room for the largest function, compressed"
	}
	return true, ""
}

func (c *checker) data() {
	const group = "data"
	dir := c.cfg.DataDir
	there := existing(dir)
	if err := writable(there); err != nil {
		c.bad(group, dir, err.Error(), "as root: install -d -m 0700 -o USER "+dir+", with the user that runs backupd")
		return
	}
	var disk syscall.Statfs_t
	if err := syscall.Statfs(there, &disk); err != nil {
		c.bad(group, dir, err.Error(), "")
		return
	}
	free := int64(disk.Bavail) * int64(disk.Bsize)
	detail := fmt.Sprintf("writable, %d MiB free", free>>20)
	if there != dir {
		detail = fmt.Sprintf("not there yet: 'backupd init' makes it in %s; %d MiB free", there, free>>20)
	}
	ok, hint := room(free)
	c.findings = append(c.findings, Finding{OK: ok, Group: group, Subject: dir, Detail: detail, Hint: hint})
	c.spool(free)
}

// existing returns dir, or the nearest folder above it that exists: the one in
// which it would be made.
func existing(dir string) string {
	for {
		_, err := os.Lstat(dir)
		if above := filepath.Dir(dir); errors.Is(err, fs.ErrNotExist) && above != dir {
			dir = above
			continue
		}
		return dir
	}
}

// writable returns why we cannot make files in dir, without making any.
func writable(dir string) error {
	const writeAndEnter = 2 | 1
	info, err := os.Stat(dir)
	switch {
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%s is not a directory", dir)
	}
	if err := syscall.Access(dir, writeAndEnter); err != nil {
		return fmt.Errorf("user %d may not write into %s: %w", os.Getuid(), dir, err)
	}
	return nil
}

func (c *checker) keys() {
	const group = "keys"
	path := c.cfg.Keys.IdentityFile
	ids, err := readIdentities(path)
	if err != nil {
		c.bad(group, path, err.Error()+"; "+ifLost(path), "run 'backupd init'; when it was lost, then also 'backupd key add --identity FILE' with the escrow's")
		return
	}
	c.identities = ids
	if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o077 != 0 {
		c.bad(group, path, fmt.Sprintf("others may read it (mode %04o)", info.Mode().Perm()), "chmod 600 "+path)
		return
	}
	own, err := ownRecipients(path)
	var everybody []age.Recipient // a host that stands in for a lost one has the escrow's identity, which is named, too
	if err == nil {
		everybody, err = allRecipients(own, c.cfg.Keys.Recipients)
	}
	if err != nil {
		c.bad(group, path, err.Error(), "add the escrow's recipient to keys.recipients")
		return
	}
	c.recipients = len(everybody)
	hint := ""
	if c.recipients < 3 {
		hint = addSecond
	}
	c.good(group, path, fmt.Sprintf("identity %s, escrow %v; %s", own[0], c.cfg.Keys.Recipients, ifLost(path)), hint)
	c.escrow()
}

// escrow says when the escrow was tested. A service that runs keeps the catalog
// to itself: then it is asked by the command.
func (c *checker) escrow() {
	if _, err := os.Stat(catalogPath(c.cfg)); err != nil {
		return // there is nothing to open yet
	}
	tests, err := repository.PeekEscrowTests(catalogPath(c.cfg))
	switch {
	case errors.Is(err, catalog.ErrInUse):
	case err != nil:
		c.bad("keys", escrowSubject, err.Error(), "")
	default:
		c.findings = append(c.findings, EscrowFinding(tests, c.clock.Now()))
	}
}

const escrowSubject = "escrow"

const neverTested = "never tested"

// openedAt are the sites that identities opened when they were tested.
func openedAt(t repository.EscrowTest) (out []string) {
	for _, name := range slices.Sorted(maps.Keys(t.Sites)) {
		if t.Sites[name].Passed {
			out = append(out, name)
		}
	}
	return out
}

// EscrowFinding says when the escrow was tested, and what is wrong with that.
// It is advice: whether an identity that is kept elsewhere opens anything is
// not known here.
func EscrowFinding(tests []repository.EscrowTest, now time.Time) Finding {
	f := Finding{OK: true, Group: "keys", Subject: escrowSubject, Detail: neverTested, Hint: strings.Join(escrowWarnings(tests, now), "\n")}
	for _, t := range tests {
		switch opened := openedAt(t); {
		case t.Passed:
			f.Detail = fmt.Sprintf("tested on %s: %s opens every site", t.Since().UTC().Format(time.DateOnly), strings.Join(t.Recipients, ", "))
		case f.Detail == neverTested && len(opened) > 0:
			f.Detail = fmt.Sprintf("tested on %s: %s opens %s", t.Since().UTC().Format(time.DateOnly), strings.Join(t.Recipients, ", "), strings.Join(opened, ", "))
		}
	}
	return f
}

func (c *checker) sites(ctx context.Context) {
	for _, name := range c.cfg.SiteOrder {
		s := c.cfg.Sites[name]
		store, err := openStore(name, s, s.AccessKey, s.SecretKey, nil)
		if err != nil {
			c.bad("site", name, err.Error(), "")
			continue
		}
		c.site(ctx, repository.Site{Name: name, Store: store})
	}
}

func (c *checker) site(ctx context.Context, site repository.Site) {
	const group = "site"
	can, err := storage.Probe(ctx, site.Store)
	if err != nil {
		detail, hint := c.explain(site.Name, err)
		c.bad(group, site.Name, detail, hint)
		return
	}
	detail, notes := abilities(can), strings.Join(can.Notes, "; ")
	if err := can.Suffices(); err != nil {
		c.bad(group, site.Name, fmt.Sprintf("%s; it cannot hold a repository: %v", detail, err), notes)
		return
	}
	wrapped, err := repository.Look(ctx, site, c.identities)
	switch {
	case errors.Is(err, repository.ErrNoRepository):
		c.bad(group, site.Name, detail+"; holds no repository yet", "run 'backupd init'")
		return
	case err != nil:
		c.bad(group, site.Name, err.Error(), "")
		return
	}
	if c.recipients > 0 && wrapped < c.recipients {
		c.bad(group, site.Name, fmt.Sprintf("the repository opens with this identity; a key of it is wrapped for %d recipients, "+
			"the configuration names %d", wrapped, c.recipients), "somebody of keys.recipients cannot open it: 'backupd key add --recipient age1…' wraps it for them")
		return
	}
	c.good(group, site.Name, detail+"; the repository opens with this identity", notes)
	c.tamper(ctx, site)
	c.deleter(ctx, site.Name)
}

// abilities tells what a site was seen to do.
func abilities(can storage.Capabilities) string {
	yes := map[bool]string{true: "yes", false: "no"}
	checked := map[bool]string{true: "checksums checked", false: "checksums not checked"}
	return fmt.Sprintf("conditional PUT %s, %s, listing %s, ranged reads %s, delete right %s, object lock %s",
		yes[can.ConditionalPut], checked[can.Checksum], yes[can.ListAfterPut], yes[can.RangedGet], yes[can.Delete], yes[can.ObjectLock])
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
		version, err := pgserver.Version(path)
		if err != nil {
			c.bad("tools", name, err.Error(), "")
			continue
		}
		c.good("tools", name, version+", "+path, "")
	}
}

func (c *checker) sources(ctx context.Context) {
	sources, err := openSources(c.cfg, c.clock, slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		c.bad("source", "all", err.Error(), "")
		return
	}
	scopes, queries := map[string][]postgres.Scope{}, map[string][]postgres.Query{}
	for _, name := range c.cfg.FunctionOrder {
		f := c.cfg.Functions[name]
		scope := postgres.Scope{Function: name, Schemas: f.Schemas, Tables: f.Tables, LargeObjects: f.LargeObjects}
		scopes[f.Source] = append(scopes[f.Source], scope)
		for _, check := range f.Checks {
			if check.Skip != "" {
				c.good("function", name, "check "+check.Name+": skipped: "+check.Skip, "")
				continue
			}
			queries[f.Source] = append(queries[f.Source], postgres.Query{Name: check.Name, SQL: check.SQL, Scope: scope, AtCapture: check.SameAtSource})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(sources)) {
		for _, f := range append(sources[name].Check(ctx, scopes[name]), sources[name].CheckQueries(ctx, queries[name])...) {
			c.findings = append(c.findings, ofSource(f))
		}
	}
}

// ofSource takes the subject of a source's finding apart, such as "source
// market: pg_dump" or "function payments": programs filter by group and name.
func ofSource(f postgres.Finding) Finding {
	group, subject, _ := strings.Cut(f.Subject, " ")
	subject, about, ok := strings.Cut(subject, ": ")
	if ok {
		about += ": "
	}
	return Finding{OK: f.OK, Group: group, Subject: subject, Detail: about + f.Detail, Hint: f.Hint}
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
