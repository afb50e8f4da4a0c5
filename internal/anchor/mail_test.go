package anchor

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/clock"
	"github.com/saypro/backupd/internal/evidence"
)

// mailServer speaks SMTP on loopback as RFC 5321, 3207 and 4954 say: as much of
// it as a mail takes.
type mailServer struct {
	address string
	roots   *x509.CertPool
	tls     *tls.Config
	refuses string // the recipient that it does not know
	offers  bool   // STARTTLS
	got     chan received
}

type received struct {
	from, to, user, password, text string
	encrypted                      bool
}

func newMailServer(t *testing.T, offers bool) *mailServer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "loopback"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &mailServer{
		address: l.Addr().String(), roots: x509.NewCertPool(), offers: offers, got: make(chan received, 4),
		tls: &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{raw}, PrivateKey: key}}, MinVersion: tls.VersionTLS12},
	}
	s.roots.AddCert(cert)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			s.serve(conn)
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
	return s
}

func (s *mailServer) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	in := bufio.NewReader(conn)
	say := func(line string) { _, _ = conn.Write([]byte(line + "\r\n")) }
	var r received
	say("220 loopback")
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		verb, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch strings.ToUpper(verb) {
		case "EHLO":
			switch {
			case s.offers && !r.encrypted:
				say("250-loopback\r\n250 STARTTLS")
			default:
				say("250-loopback\r\n250 AUTH PLAIN")
			}
		case "STARTTLS":
			say("220 go on")
			secure := tls.Server(conn, s.tls)
			if secure.Handshake() != nil {
				return
			}
			conn, in, r.encrypted = secure, bufio.NewReader(secure), true
		case "AUTH":
			raw, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(rest, "PLAIN "))
			parts := strings.Split(string(raw), "\x00")
			if len(parts) != 3 || parts[2] != "open sesame" {
				say("535 no")
				continue
			}
			r.user, r.password = parts[1], parts[2]
			say("235 yes")
		case "MAIL":
			r.from = rest
			say("250 yes")
		case "RCPT":
			if s.refuses != "" && strings.Contains(rest, s.refuses) {
				say("550 nobody of that name")
				continue
			}
			r.to = rest
			say("250 yes")
		case "DATA":
			say("354 go on")
			for {
				line, err := in.ReadString('\n')
				if err != nil {
					return
				}
				if line == ".\r\n" {
					break
				}
				r.text += strings.TrimPrefix(line, ".")
			}
			s.got <- r
			say("250 taken")
		case "QUIT":
			say("221 bye")
			return
		default:
			say("502 what")
		}
	}
}

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
			s := newMailServer(t, offers)
			what, key := signedLog(t)
			m := Mail{
				To: "audit@auditor.example", From: "backupd@market.example", Server: s.address, Roots: s.roots,
				Username: "backupd", Password: func() string { return "open sesame" },
			}
			if err := m.Send(t.Context(), what); err != nil {
				t.Fatal(err)
			}
			got := <-s.got
			if got.encrypted != offers || got.user != "backupd" || !strings.Contains(got.from, "<backupd@market.example>") || !strings.Contains(got.to, "<audit@auditor.example>") {
				t.Errorf("%+v", got)
			}
			for _, line := range strings.Split(got.text, "\r\n") {
				if len(line) > 200 || strings.ContainsAny(line, "\n\r") {
					t.Errorf("line %q", line)
				}
			}
			at, _, err := evidence.OpenCheckpoint(evidence.FindCheckpoint([]byte(got.text)), key)
			if err != nil || at.Origin != what.Log {
				t.Errorf("the checkpoint in the mail: %+v, %v\n%s", at, err, got.text)
			}
		})
	}
}

func TestMailThatCannotBeSentIsSaid(t *testing.T) {
	what, _ := signedLog(t)
	secure := newMailServer(t, true)
	base := Mail{To: "audit@auditor.example", From: "backupd@market.example", Server: secure.address, Roots: secure.roots}
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
	secure.refuses = "auditor.example"
	if err := base.Send(t.Context(), what); err == nil || !strings.Contains(err.Error(), "nobody of that name") {
		t.Errorf("an unknown recipient: %v", err)
	}
	select {
	case got := <-secure.got:
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
