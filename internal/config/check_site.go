package config

import (
	"fmt"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
)

func (c *checker) checkSites() {
	places := map[string]string{}
	for _, name := range c.cfg.SiteOrder {
		path := join("sites", name)
		if c.bad[path] {
			continue
		}
		site := c.cfg.Sites[name]
		c.checkSite(path, &site)
		c.cfg.Sites[name] = site
		place := placeOf(site)
		if other, ok := places[place]; ok && place != "" {
			c.problem(path, "the same place as site "+other, "name another bucket, prefix or folder; two copies in one place are one copy")
		}
		places[place] = name
	}
	n := len(c.cfg.SiteOrder)
	c.between("min_sites", &c.cfg.MinSites, 1, max(n, 1), DefaultMinSites)
}

// placeOf names where a site's objects lie, or "" when that is not known.
func placeOf(s Site) string {
	if s.Kind == "dir" {
		if s.Path == "" {
			return ""
		}
		return "dir " + filepath.Clean(s.Path)
	}
	if s.Bucket == "" || s.Kind == "minio" && s.Endpoint == "" {
		return ""
	}
	return strings.Join([]string{strings.ToLower(strings.TrimSuffix(s.Endpoint, "/")), s.Bucket, s.Prefix}, " ")
}

func (c *checker) checkSite(path string, s *Site) {
	if !c.oneOf(join(path, "kind"), s.Kind, "minio", "s3", "dir") {
		return
	}
	c.checkRate(join(path, "max_rate"), s.MaxRate)
	if s.Kind == "dir" {
		c.required(join(path, "path"), s.Path)
		c.absolute(join(path, "path"), s.Path)
		c.foreign(path, s.Kind, "endpoint", "region", "bucket", "prefix", "access_key", "access_key_file", "secret_key", "secret_key_file",
			"sweeper_access_key", "sweeper_access_key_file", "sweeper_secret_key", "sweeper_secret_key_file", "lock", "request_prices")
		return
	}
	c.foreign(path, s.Kind, "path")
	c.checkBucket(path, s)
	c.checkEndpoint(path, s)
	c.checkAccess(path, s)
	c.checkSweeper(path, s)
	c.checkLock(join(path, "lock"), s.Lock)
	c.checkPrices(join(path, "request_prices"), s)
}

// foreign reports keys that mean nothing for the kind.
func (c *checker) foreign(path, kind string, keys ...string) {
	for _, key := range keys {
		if at := join(path, key); c.has(at) {
			c.problem(at, fmt.Sprintf("a site of kind %s has no %s", kind, key), "remove it, or change the kind")
		}
	}
}

var bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)

func (c *checker) checkBucket(path string, s *Site) {
	if at := join(path, "bucket"); c.required(at, s.Bucket) && !bucketName.MatchString(s.Bucket) {
		c.problem(at, c.shown(at)+" is no name for a bucket", "write 3 to 63 small letters, digits, dots or hyphens; folders inside the bucket belong into prefix")
	}
	at := join(path, "prefix")
	if s.Prefix == "" || c.bad[at] {
		return
	}
	for part := range strings.SplitSeq(s.Prefix, "/") {
		if part == "" || part == "." || part == ".." {
			c.problem(at, c.shown(at)+" is no folder inside a bucket", "write names with single slashes between them and none at the ends, such as market/prod")
			return
		}
	}
}

func (c *checker) checkEndpoint(path string, s *Site) {
	at := join(path, "endpoint")
	switch {
	case s.Kind == "minio":
		if !c.required(at, s.Endpoint) {
			return
		}
	case s.Endpoint == "":
		region := join(path, "region")
		if s.Region == "" && !c.bad[region] && !c.bad[at] {
			c.problem(region, "missing", "without an endpoint this is AWS, which needs the bucket's region, such as af-south-1")
		}
		return
	}
	u, err := url.Parse(s.Endpoint)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		c.problem(at, "not a URL of a service", "write http://HOST:PORT or https://HOST")
	case u.User != nil:
		c.problem(at, "the URL holds a user or a password", "remove it; keys belong into access_key and secret_key")
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		c.problem(at, "the URL goes on after the host", "write only http://HOST:PORT; the bucket and the prefix have keys of their own")
	}
}

// checkAccess reads keys from their files and wants both keys or, where a
// chain of other places can be asked, none.
func (c *checker) checkAccess(path string, s *Site) {
	hasAccess, hasSecret := c.keyPair(path, "", &s.AccessKey, s.AccessKeyFile, &s.SecretKey, s.SecretKeyFile)
	hint := "give both, or for kind s3 none to use the AWS chain"
	c.halfPair(path, "", hasAccess, hasSecret, hint)
	if !hasAccess && !hasSecret && s.Kind == "minio" {
		c.problem(join(path, "access_key"), "missing", "a site of kind minio needs access_key and secret_key, or the same with _file")
	}
}

// checkSweeper reads the key that may delete, both halves or none.
func (c *checker) checkSweeper(path string, s *Site) {
	hasAccess, hasSecret := c.keyPair(path, "sweeper_", &s.SweeperAccessKey, s.SweeperAccessKeyFile, &s.SweeperSecretKey, s.SweeperSecretKeyFile)
	c.halfPair(path, "sweeper_", hasAccess, hasSecret, "give both, or none to sweep with the normal key")
}

// keyPair fills both halves of a key from their files. It says which of them
// the configuration gives.
func (c *checker) keyPair(path, kind string, access *string, accessFile string, secret *Secret, secretFile string) (hasAccess, hasSecret bool) {
	value := Secret(*access)
	hasAccess = c.fromFile(path, kind+"access_key", &value, accessFile)
	*access = value.Reveal()
	return hasAccess, c.fromFile(path, kind+"secret_key", secret, secretFile)
}

func (c *checker) halfPair(path, kind string, hasAccess, hasSecret bool, hint string) {
	access, secret := kind+"access_key", kind+"secret_key"
	switch {
	case hasAccess && !hasSecret:
		c.problem(join(path, secret), access+" is given without its "+secret, hint)
	case hasSecret && !hasAccess:
		c.problem(join(path, access), secret+" is given without its "+access, hint)
	}
}

// fromFile fills the secret called key from its _file sibling when that is
// given. It says whether the configuration gives the secret at all, also when
// something is wrong with it and has been reported.
func (c *checker) fromFile(path, key string, value *Secret, file string) bool {
	at, atFile := join(path, key), join(path, key+"_file")
	switch {
	case c.has(at) && c.has(atFile):
		c.problem(atFile, "both "+key+" and "+key+"_file are given", "keep one of the two")
	case c.bad[at] || c.bad[atFile]:
	case c.has(at):
		c.required(at, value.Reveal())
	case c.has(atFile):
		if c.required(atFile, file) {
			*value, _ = c.secretFile(atFile, file)
		}
	default:
		return false
	}
	return true
}
