package config

import (
	"net/url"
	"strings"
	"time"
)

func (c *checker) checkSources() {
	for _, name := range c.keys["sources"] {
		path := join("sources", name)
		if c.bad[path] {
			continue
		}
		s := c.cfg.Sources[name]
		c.oneOf(join(path, "kind"), s.Kind, "postgres")
		c.checkURL(path, &s.URL, s.URLFile, true)
		c.between(join(path, "connections"), &s.Connections, 1, 64, DefaultConnections)
		c.positive(join(path, "lock_timeout"), &s.LockTimeout, DefaultLockTimeout)
		c.positive(join(path, "max_snapshot_age"), &s.MaxSnapshotAge, DefaultMaxSnapshotAge)
		c.positive(join(path, "stall_timeout"), &s.StallTimeout, DefaultStallTimeout)
		c.cfg.Sources[name] = s
	}
}

// positive fills in the default when nothing is given and refuses zero.
func (c *checker) positive(path string, value *time.Duration, preset time.Duration) {
	switch {
	case c.bad[path]:
	case !c.has(path):
		*value = preset
	case *value <= 0:
		c.problem(path, "must be more than zero", "write a duration such as "+short(preset))
	}
}

// short writes a duration without its empty parts: 1h, not 1h0m0s.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// checkURL checks a database's URL without ever showing a part of it.
func (c *checker) checkURL(path string, value *Secret, file string, named bool) {
	at := join(path, "url")
	if !c.fromFile(path, "url", value, file) {
		if !c.bad[path] {
			c.problem(at, "missing", "write postgres://USER@HOST/DATABASE, or url_file with a file that holds it")
		}
		return
	}
	if c.has(join(path, "url_file")) {
		at = join(path, "url_file")
	}
	if c.bad[at] || *value == "" {
		return
	}
	u, err := url.Parse(value.Reveal())
	switch {
	case err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" || u.Opaque != "":
		c.problem(at, "not the URL of a PostgreSQL database", "write postgres://USER@HOST:5432/DATABASE, with %-codes for special characters in the password")
	case named && strings.Trim(u.Path, "/") == "" && u.Query().Get("dbname") == "":
		c.problem(at, "the URL names no database", "write postgres://USER@HOST:5432/DATABASE")
	}
}

// databaseOf names the database behind a URL without its user and options, to
// find two sources that are the same database. "" when that is not known.
func databaseOf(s Source) string {
	u, err := url.Parse(s.URL.Reveal())
	if err != nil || s.URL == "" {
		return ""
	}
	q := u.Query()
	get := func(key, value string) string {
		if v := q.Get(key); v != "" {
			return v
		}
		return value
	}
	port := get("port", u.Port())
	if port == "" {
		port = "5432"
	}
	return strings.Join([]string{strings.ToLower(get("host", u.Hostname())), port, get("dbname", strings.Trim(u.Path, "/"))}, " ")
}

func (c *checker) checkScratch() {
	s := &c.cfg.Scratch
	if c.bad["scratch"] {
		return
	}
	if !c.has("scratch.kind") && !c.bad["scratch.kind"] {
		s.Kind = DefaultScratchKind
	} else if !c.oneOf("scratch.kind", s.Kind, "instance", "database") {
		return
	}
	if s.Kind == "database" {
		c.checkURL("scratch", &s.URL, s.URLFile, false)
		return
	}
	for _, key := range []string{"scratch.url", "scratch.url_file"} {
		if c.has(key) {
			c.problem(key, "scratch of kind instance has no URL", "remove it, or write kind: database")
		}
	}
}
