package engine_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/evidence"
	"github.com/saypro/backupd/internal/testenv"
)

// TestTheServiceMailsCheckpoints: the auditor gets one, which fits the evidence
// that is handed out later, and the next one only when it is due.
func TestTheServiceMailsCheckpoints(t *testing.T) {
	s := testenv.Mail(t, false)
	_, port, err := net.SplitHostPort(s.Address)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, extra{more: fmt.Sprintf(
		"\nevidence: {anchor: {every: 24h, mail: {to: audit@auditor.example, from: backupd@market.example, smtp: \"localhost:%s\", username: backupd, password: %q}}}\n", port, testenv.MailPassword)})
	first, err := w.EvidenceKey(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.take(t, "payments")
	w.sync(t)
	w.again(t) // closing gives the evidence to the sites
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- w.Serve(ctx) }()
	var mail testenv.ReceivedMail
	select {
	case mail = <-s.Got:
	case <-time.After(2 * time.Minute):
		t.Fatal("no mail")
	}
	time.Sleep(time.Second)
	cancel()
	if err := <-served; err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if len(s.Got) != 0 {
		t.Error("a second mail, before it was due")
	}
	w.again(t)
	v := w.check(t, first.Public)
	if !v.OK || len(v.Anchors) != 1 || v.Anchors[0].To != "mail audit@auditor.example" || !v.Anchors[0].Checked {
		t.Errorf("%+v %+v", v.Findings, v.Anchors)
	}
	key, err := evidence.ParsePublicKey(first.Public)
	if err != nil {
		t.Fatal(err)
	}
	at, _, err := evidence.OpenCheckpoint(evidence.FindCheckpoint([]byte(mail.Text)), key)
	if err != nil || at.Size == 0 || at.Size != v.Anchors[0].Size || at.Root.String() != v.Anchors[0].Root {
		t.Errorf("%+v, %v", at, err)
	}
}
