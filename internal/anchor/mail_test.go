package anchor

import (
	"context"
	"crypto/x509"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/clock"
	"github.com/saypro/backupd/internal/evidence"
	"github.com/saypro/backupd/internal/testenv"
)

// signedLog is a log with one record, and a message of its checkpoint.
func signedLog(t *testing.T) (Message, evidence.PublicKey) {
	t.Helper()
	origin, err := evidence.NewOrigin()
	if err != nil {
		t.Fatal(err)
	}
	signer, err := evidence.NewSigner(origin)
	if err != nil {
		t.Fatal(err)
	}
	log, err := evidence.Open(evidence.Options{Store: nothing{}, Signer: signer, Clock: clock.System})
	if err != nil {
		t.Fatal(err)
	}
	head, err := log.Checkpoint()
	if err != nil {
		t.Fatal(err)
	}
	return Message{Log: origin, Checkpoint: head, Public: signer.Public().String(), At: time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)}, signer.Public()
}

// nothing is a store of a log without records.
type nothing struct{ evidence.Store }

func (nothing) EvidenceHead() ([]byte, error) { return nil, nil }

func TestMailArrivesAndCanBeChecked(t *testing.T) {
	for name, offers := range map[string]bool{"with TLS": true, "in clear on this machine": false} {
		t.Run(name, func(t *testing.T) {
			s := testenv.Mail(t, offers)
			what, key := signedLog(t)
			m := Mail{
				To: "audit@auditor.example", From: "backupd@market.example", Server: s.Address, Roots: s.Roots,
				Username: "backupd", Password: func() string { return testenv.MailPassword },
			}
			if err := m.Send(t.Context(), what); err != nil {
				t.Fatal(err)
			}
			got := <-s.Got
			if got.Encrypted != offers || got.User != "backupd" || !strings.Contains(got.From, "<backupd@market.example>") || !strings.Contains(got.To, "<audit@auditor.example>") {
				t.Errorf("%+v", got)
			}
			for _, line := range strings.Split(got.Text, "\r\n") {
				if len(line) > 200 || strings.ContainsAny(line, "\n\r") {
					t.Errorf("line %q", line)
				}
			}
			at, _, err := evidence.OpenCheckpoint(evidence.FindCheckpoint([]byte(got.Text)), key)
			if err != nil || at.Origin != what.Log {
				t.Errorf("the checkpoint in the mail: %+v, %v\n%s", at, err, got.Text)
			}
		})
	}
}

func TestMailThatCannotBeSentIsSaid(t *testing.T) {
	what, _ := signedLog(t)
	secure := testenv.Mail(t, true)
	base := Mail{To: "audit@auditor.example", From: "backupd@market.example", Server: secure.Address, Roots: secure.Roots}
	for name, change := range map[string]func(*Mail){
		"a certificate that nobody vouches for": func(m *Mail) { m.Roots = x509.NewCertPool() },
		"a wrong password":                      func(m *Mail) { m.Username, m.Password = "backupd", func() string { return "guess-hunter2" } },
		"nobody listens":                        func(m *Mail) { m.Server = "127.0.0.1:1" },
		"an address that ends the line":         func(m *Mail) { m.To = "a@b.example>\r\nDATA" },
	} {
		m := base
		change(&m)
		err := m.Send(t.Context(), what)
		if err == nil {
			t.Errorf("%s: sent", name)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the password shows: %v", name, err)
		}
	}
	secure.Refuses = "auditor.example"
	if err := base.Send(t.Context(), what); err == nil || !strings.Contains(err.Error(), "nobody of that name") {
		t.Errorf("an unknown recipient: %v", err)
	}
	select {
	case got := <-secure.Got:
		t.Errorf("arrived: %+v", got)
	default:
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := base.Send(ctx, what); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end: %v", err)
	}
}

func TestMailIsNotSentInClear(t *testing.T) {
	for host, here := range map[string]bool{"localhost": true, "127.0.0.1": true, "::1": true, "mail.internal": false, "10.0.0.9": false, "127.0.0.1.example": false} {
		if loopback(host) != here {
			t.Errorf("%s is on this machine: %t", host, !here)
		}
	}
}
