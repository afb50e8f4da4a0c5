// Package anchor gives checkpoints of the evidence log to somebody outside, so
// that whoever cuts the log or writes it anew is found out.
package anchor

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"mime/quotedprintable"
	"net"
	"net/smtp"
	"strings"
	"time"
)

// ErrUnprotected marks a mail server that offers no STARTTLS and is not on this
// machine: nothing is sent to it.
var ErrUnprotected = errors.New("the mail server does not offer STARTTLS")

// Mail sends checkpoints by mail.
type Mail struct {
	To, From string
	// Server is host:port. It must offer STARTTLS unless it is on this machine.
	Server string
	// Username and Password log in; no username means no login.
	Username string
	Password func() string
	// Roots are whom the server's certificate is checked with; nil means those of
	// the system.
	Roots *x509.CertPool
}

// patience bounds a whole conversation.
const patience = 2 * time.Minute

// Message is what a mail says.
type Message struct {
	Log        string // name of the log
	Size       uint64 // how many records it holds
	Checkpoint []byte // signed
	Public     string // the key that checks it
	At         time.Time
}

// Send sends one checkpoint. When it returns without an error, the server has
// taken the mail.
func (m Mail) Send(ctx context.Context, what Message) error {
	if err := m.send(ctx, what.mail(m)); err != nil {
		return fmt.Errorf("mail a checkpoint to %s by %s: %w", m.To, m.Server, err)
	}
	return nil
}

func (m Mail) send(ctx context.Context, text []byte) (err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", m.Server)
	if err != nil {
		return err
	}
	// The conversation ends with ctx.
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	defer func() {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
	}()
	host, _, err := net.SplitHostPort(m.Server)
	if err != nil {
		return errors.Join(err, conn.Close())
	}
	c, err := smtp.NewClient(conn, host)
	if err != nil {
		return errors.Join(err, conn.Close())
	}
	if err := m.converse(c, host, text); err != nil {
		_ = c.Close() // the first error says more
		return err
	}
	return c.Quit()
}

func (m Mail) converse(c *smtp.Client, host string, text []byte) error {
	offered, _ := c.Extension("STARTTLS")
	switch {
	case offered:
		if err := c.StartTLS(&tls.Config{ServerName: host, RootCAs: m.Roots, MinVersion: tls.VersionTLS12}); err != nil {
			return err
		}
	case !loopback(host):
		return ErrUnprotected
	}
	if m.Username != "" {
		if err := c.Auth(smtp.PlainAuth("", m.Username, m.Password(), host)); err != nil {
			return fmt.Errorf("log in: %w", err)
		}
	}
	if err := c.Mail(m.From); err != nil {
		return err
	}
	if err := c.Rcpt(m.To); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write(text); err != nil {
		return err
	}
	return w.Close()
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// mail is the whole text of a mail. The checkpoint in it can be given to the
// check as it is, with its mail around it.
func (what Message) mail(m Mail) []byte {
	var b bytes.Buffer
	id := hex.EncodeToString([]byte(what.Log[strings.LastIndex(what.Log, "/")+1:]))
	for _, line := range []string{
		"From: " + m.From,
		"To: " + m.To,
		fmt.Sprintf("Subject: backupd: checkpoint of %d records of %s", what.Size, what.Log),
		"Date: " + what.At.UTC().Format(time.RFC1123Z),
		fmt.Sprintf("Message-ID: <%s.%d.%d@backupd.invalid>", id, what.Size, what.At.UnixNano()),
		"Auto-Submitted: auto-generated",
		"MIME-Version: 1.0",
		"Content-Type: text/plain; charset=utf-8",
		"Content-Transfer-Encoding: quoted-printable",
		"",
	} {
		b.WriteString(line + "\r\n")
	}
	w := quotedprintable.NewWriter(&b)
	_, _ = fmt.Fprintf(w, messageText, what.At.UTC().Format("2006-01-02 15:04:05 UTC"), what.Size, what.Checkpoint, what.Public) // to memory
	_ = w.Close()
	return b.Bytes()
}

const messageText = `Please keep this mail. It says what the evidence log of the backups held at
%s: %d records, with this root, signed.

Save it as a file and give that to the check of any later bundle, with --head: if the log
was cut short or written anew since, the check says so.

%s
The key that checks it, for comparison with the one that you have:

%s
`
