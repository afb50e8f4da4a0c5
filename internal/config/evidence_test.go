package config

import (
	"strings"
	"testing"
	"time"
)

const mailed = `
evidence:
  key_file: /srv/evidence.key
  anchor: {every: 6h, mail: {to: audit@auditor.example, from: backupd@market.example, smtp: "mail.internal:587", username: backupd, password: hunter2}, timestamp: {url: "https://tsa.example/rfc3161", roots: /etc/ssl/tsa.pem}}
`

func TestEvidence(t *testing.T) {
	cfg := mustParse(t, base+mailed)
	m := cfg.Evidence.Anchor.Mail
	if cfg.Evidence.KeyFile != "/srv/evidence.key" || cfg.Evidence.Anchor.Every != 6*time.Hour || m == nil || m.Password.Reveal() != "hunter2" || m.SMTP != "mail.internal:587" {
		t.Errorf("%+v %+v", cfg.Evidence, m)
	}
	s := cfg.Evidence.Anchor.Timestamp
	if s == nil || s.URL != "https://tsa.example/rfc3161" || s.Roots != "/etc/ssl/tsa.pem" || s.Every != 6*time.Hour {
		t.Errorf("%+v", s)
	}
}

func TestEvidenceThatCannotWorkIsRefused(t *testing.T) {
	for problem, change := range map[string][2]string{
		"is keys.identity_file":                 {"/srv/evidence.key", "/etc/backupd/identity.txt"},
		"the path \"evidence.key\" is relative": {"/srv/evidence.key", "evidence.key"},
		"must be more than zero":                {"every: 6h", "every: 0"},
		"not the address of a mailbox":          {"to: audit@auditor.example", "to: \"Anna <audit@auditor.example>\""},
		"is not a host and a port":              {"mail.internal:587", "mail.internal"},
		"write the password of username":        {", password: hunter2", ""},
		"a password alone is no login":          {"username: backupd, ", ""},
		"not the URL of a time-stamping":        {"https://tsa.example/rfc3161", "tsa.example"},
		"has more than a host and a path":       {"https://tsa.example", "https://me:hunter2@tsa.example"},
		"evidence.anchor.timestamp.url":         {"url: \"https://tsa.example/rfc3161\", ", ""},
		"evidence.anchor.timestamp.roots":       {", roots: /etc/ssl/tsa.pem", ""},
		"the path \"tsa.pem\" is relative":      {"/etc/ssl/tsa.pem", "tsa.pem"},
		"evidence.anchor.timestamp.every":       {"roots: /etc/ssl/tsa.pem", "roots: /etc/ssl/tsa.pem, every: -1h"},
		"evidence.anchor.mail.from":             {"from: backupd@market.example, ", ""},
	} {
		_, err := Parse("test.yaml", []byte(strings.Replace(base+mailed, change[0], change[1], 1)), env)
		if err == nil || !strings.Contains(err.Error(), problem) {
			t.Errorf("%s: %v", problem, err)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the password shows: %v", err)
		}
	}
}
