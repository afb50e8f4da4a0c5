package testenv

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"
)

// MailServer speaks SMTP on loopback as RFC 5321, 3207 and 4954 say: as much of
// it as a mail takes.
type MailServer struct {
	// Address is host:port, Roots what its certificate is checked with.
	Address string
	Roots   *x509.CertPool
	// Refuses is a part of the recipients that it does not know.
	Refuses string
	// Got has each mail that it took.
	Got chan ReceivedMail

	tls    *tls.Config
	offers bool // STARTTLS
}

// ReceivedMail is a mail as a server took it.
type ReceivedMail struct {
	From, To, User, Text string
	Encrypted            bool
}

// MailPassword is the one that a mail server lets in.
const MailPassword = "open sesame"

// Mail starts a mail server on loopback, which offers STARTTLS or does not.
func Mail(t testing.TB, offers bool) *MailServer {
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
	s := &MailServer{
		Address: l.Addr().String(), Roots: x509.NewCertPool(), offers: offers, Got: make(chan ReceivedMail, 4),
		tls: &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{raw}, PrivateKey: key}}, MinVersion: tls.VersionTLS12},
	}
	s.Roots.AddCert(cert)
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

func (s *MailServer) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	in := bufio.NewReader(conn)
	say := func(line string) { _, _ = conn.Write([]byte(line + "\r\n")) }
	var r ReceivedMail
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
			case s.offers && !r.Encrypted:
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
			conn, in, r.Encrypted = secure, bufio.NewReader(secure), true
		case "AUTH":
			raw, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(rest, "PLAIN "))
			parts := strings.Split(string(raw), "\x00")
			if len(parts) != 3 || parts[2] != MailPassword {
				say("535 no")
				continue
			}
			r.User = parts[1]
			say("235 yes")
		case "MAIL":
			r.From = rest
			say("250 yes")
		case "RCPT":
			if s.Refuses != "" && strings.Contains(rest, s.Refuses) {
				say("550 nobody of that name")
				continue
			}
			r.To = rest
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
				r.Text += strings.TrimPrefix(line, ".")
			}
			s.Got <- r
			say("250 taken")
		case "QUIT":
			say("221 bye")
			return
		default:
			say("502 what")
		}
	}
}
