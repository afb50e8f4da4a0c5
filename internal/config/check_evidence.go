package config

import (
	"net"
	"net/mail"
	"net/url"
	"path/filepath"
	"time"
)

// checkEvidence fills in where the key lies, and checks to whom checkpoints go.
func (c *checker) checkEvidence() {
	e := &c.cfg.Evidence
	if c.bad["evidence"] {
		return
	}
	c.absolute("evidence.key_file", e.KeyFile)
	if !c.has("evidence.key_file") && c.cfg.Keys.IdentityFile != "" {
		e.KeyFile = filepath.Join(filepath.Dir(c.cfg.Keys.IdentityFile), DefaultEvidenceKey)
	}
	if e.KeyFile != "" && e.KeyFile == c.cfg.Keys.IdentityFile {
		c.problem("evidence.key_file", "is keys.identity_file", "name another file: the key that signs must not be the one that opens backups")
	}
	c.positive("evidence.anchor.every", &e.Anchor.Every, DefaultAnchorEvery)
	if e.Anchor.Mail != nil && !c.bad["evidence.anchor"] && !c.bad["evidence.anchor.mail"] {
		c.checkMail("evidence.anchor.mail", e.Anchor.Mail)
	}
	if e.Anchor.Timestamp != nil && !c.bad["evidence.anchor"] && !c.bad["evidence.anchor.timestamp"] {
		c.checkTimestamp("evidence.anchor.timestamp", e.Anchor.Timestamp, e.Anchor.Every)
	}
}

func (c *checker) checkTimestamp(path string, t *Timestamp, every time.Duration) {
	at := join(path, "url")
	if c.required(at, t.URL) {
		u, err := url.Parse(t.URL)
		switch {
		case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
			c.problem(at, "not the URL of a time-stamping authority", "write for example https://tsa.example/rfc3161")
		case u.User != nil || u.RawQuery != "" || u.Fragment != "":
			// It is put on record, where no secret may be.
			c.problem(at, "has more than a host and a path", "leave out user, password and what follows a ? or #: the URL is put on record")
		}
	}
	at = join(path, "roots")
	if c.required(at, t.Roots) {
		c.absolute(at, t.Roots)
	}
	c.positive(join(path, "every"), &t.Every, every)
}

func (c *checker) checkMail(path string, m *Mail) {
	for key, value := range map[string]string{"to": m.To, "from": m.From} {
		at := join(path, key)
		if a, err := mail.ParseAddress(value); c.required(at, value) && (err != nil || a.Address != value) {
			c.problem(at, "not the address of a mailbox", "write for example audit@market.example")
		}
	}
	at := join(path, "smtp")
	if host, port, err := net.SplitHostPort(m.SMTP); c.required(at, m.SMTP) && (err != nil || host == "" || port == "") {
		c.problem(at, c.shown(at)+" is not a host and a port", "write for example mail.internal:587")
	}
	hasPassword := c.fromFile(path, "password", &m.Password, m.PasswordFile)
	switch {
	case m.Username != "" && !hasPassword:
		c.problem(join(path, "password"), "missing", "write the password of username, or password_file with a file that holds it")
	case m.Username == "" && hasPassword && !c.bad[join(path, "username")]:
		c.problem(join(path, "username"), "missing", "a password alone is no login; write the username, or remove the password")
	}
}
