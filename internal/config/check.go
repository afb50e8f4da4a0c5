package config

import (
	"fmt"
	"path/filepath"
	"strings"

	"filippo.io/age"
)

// checker fills defaults into a decoded configuration and finds what is wrong
// in it beyond single values.
type checker struct {
	*decoder
	cfg *Config
}

func (c *checker) check() {
	c.version()
	c.required("data_dir", c.cfg.DataDir)
	c.absolute("data_dir", c.cfg.DataDir)
	c.between("parallel_snapshots", &c.cfg.ParallelSnapshots, 1, 32, DefaultParallel)
	c.checkKeys()
	c.checkEvidence()
	for _, section := range []struct{ name, example string }{
		{"sites", "onsite: {kind: minio, endpoint: …, bucket: …, access_key: …, secret_key: …}"},
		{"sources", "market: {kind: postgres, url: …}"},
		{"functions", "payments: {source: market, schemas: [payments], rpo: 15m, rto: 1h}"},
	} {
		if len(c.keys[section.name]) == 0 && !c.bad[section.name] {
			c.problem(section.name, "at least one is needed", "write for example "+section.example)
		}
	}
	c.checkSpool()
	c.checkScrub()
	c.checkSweep()
	c.checkDrills()
	c.checkSites()
	c.checkSources()
	c.checkGrace()
	c.checkFunctions()
	c.checkClaims()
	c.checkScratch()
}

func (c *checker) version() {
	if c.bad["version"] || c.cfg.Version == 1 {
		return
	}
	if !c.has("version") {
		c.problem("version", "missing", "write version: 1, which is what this release reads")
		return
	}
	c.problem("version", fmt.Sprintf("layout version %d; this release reads version 1", c.cfg.Version),
		"write version: 1, or install the release that the file was written for")
}

// required reports a text that is not given or empty.
func (c *checker) required(path, value string) bool {
	switch {
	case c.bad[path]:
		return false
	case !c.has(path):
		c.problem(path, "missing", "this key is mandatory; see configs/backupd.yaml")
		return false
	case value == "":
		c.problem(path, "is empty", "this key is mandatory; when the value comes from a variable, set that")
		return false
	}
	return true
}

func (c *checker) absolute(path, value string) {
	if value == "" || c.bad[path] {
		return
	}
	if !filepath.IsAbs(value) {
		c.problem(path, "the path "+c.shown(path)+" is relative", "write it from the root, beginning with /: a service has no working folder to count on")
	}
}

// oneOf reports a value that is none of those allowed.
func (c *checker) oneOf(path, value string, allowed ...string) bool {
	if !c.required(path, value) {
		return false
	}
	for _, a := range allowed {
		if value == a {
			return true
		}
	}
	hint := "write " + strings.Join(allowed, ", ")
	if near := nearest(value, allowed); near != "" && c.raw[path] == value {
		hint = fmt.Sprintf("did you mean %q?", near)
	}
	c.problem(path, c.shown(path)+" is not known", hint)
	return false
}

// between fills in the default when nothing is given and checks the bounds.
func (c *checker) between(path string, value *int, least, most, preset int) {
	if !c.has(path) && !c.bad[path] {
		*value = preset
		return
	}
	if c.bad[path] {
		return
	}
	if *value < least || *value > most {
		c.problem(path, fmt.Sprintf("%d is out of bounds", *value), fmt.Sprintf("write a number from %d to %d", least, most))
	}
}

func (c *checker) checkKeys() {
	if !c.has("keys") {
		c.problem("keys", "missing", "write keys: {identity_file: /etc/backupd/identity.txt, recipients: [age1…]}")
		return
	}
	if c.bad["keys"] {
		return
	}
	c.required("keys.identity_file", c.cfg.Keys.IdentityFile)
	c.absolute("keys.identity_file", c.cfg.Keys.IdentityFile)
	if c.has("keys.drill_identity_file") {
		c.required("keys.drill_identity_file", c.cfg.Keys.DrillIdentityFile)
		c.absolute("keys.drill_identity_file", c.cfg.Keys.DrillIdentityFile)
		if c.cfg.Keys.DrillIdentityFile == c.cfg.Keys.IdentityFile {
			c.problem("keys.drill_identity_file", "is the daemon's own identity", "make another pair with age-keygen, and write its recipient into keys.recipients")
		}
	}
	own, seen := c.ownRecipients(), map[string]bool{}
	for i, r := range c.cfg.Keys.Recipients {
		c.checkRecipient(fmt.Sprintf("keys.recipients.%d", i), r, seen)
		if own[r] {
			delete(seen, r)
		}
	}
	switch {
	case len(c.cfg.Keys.Recipients) == 0:
		c.noEscrow()
	case len(seen) == 0 && len(own) > 0:
		c.onlyOwn()
	}
}

// onlyOwn is also how a new host looks whose configuration is that of a lost one,
// with the escrow's identity in the place of its own.
func (c *checker) onlyOwn() {
	if c.bad["keys.recipients"] {
		return
	}
	c.problem("keys.recipients", "no second recipient: it names that of keys.identity_file alone, and the only key would be lost with this machine",
		"add the escrow's; or, where keys.identity_file holds the escrow's identity because a host was lost, add the age1… of that host, "+
			"which 'backupd init' printed there, or any other's that age-keygen makes")
}

func (c *checker) noEscrow() {
	if c.bad["keys.recipients"] {
		return
	}
	c.problem("keys.recipients", "no second recipient: the only key would be lost with this machine",
		"make a pair elsewhere with age-keygen, keep its identity there, and write the public age1… here")
}

// ownRecipients are the public keys of the daemon's identity, when it exists
// already and this user may read it: listing them is no escrow.
func (c *checker) ownRecipients() map[string]bool {
	own := map[string]bool{}
	text, err := readSecret(c.cfg.Keys.IdentityFile)
	if err != nil {
		return own
	}
	identities, err := age.ParseIdentities(strings.NewReader(text))
	if err != nil {
		return own
	}
	for _, id := range identities {
		switch t := id.(type) {
		case *age.X25519Identity:
			own[t.Recipient().String()] = true
		case *age.HybridIdentity:
			own[t.Recipient().String()] = true
		}
	}
	return own
}

func (c *checker) checkRecipient(path, r string, seen map[string]bool) {
	if c.bad[path] {
		return
	}
	if strings.HasPrefix(strings.ToUpper(r), "AGE-SECRET-KEY") {
		c.problem(path, "this is a secret identity, not a recipient",
			"write the public age1… that belongs to it, and count the identity as disclosed")
		return
	}
	got, err := age.ParseRecipients(strings.NewReader(r))
	if err != nil || len(got) != 1 {
		c.problem(path, "not an age recipient", "write one public key, age1 and what follows, as age-keygen prints it")
		return
	}
	if seen[r] {
		c.problem(path, "this recipient is listed twice", "remove one of the two")
	}
	seen[r] = true
}
