package engine_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/engine"
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
	mailed := anchorsTo(v, "mail audit@auditor.example")
	if !v.OK || len(mailed) != 1 || !mailed[0].Checked {
		t.Fatalf("%+v %+v", v.Findings, v.Anchors)
	}
	key, err := evidence.ParsePublicKey(first.Public)
	if err != nil {
		t.Fatal(err)
	}
	at, _, err := evidence.OpenCheckpoint(evidence.FindCheckpoint([]byte(mail.Text)), key)
	if err != nil || at.Size == 0 || at.Size != mailed[0].Size || at.Root.String() != mailed[0].Root {
		t.Errorf("%+v, %v", at, err)
	}
}

func anchorsTo(v *evidence.Verification, to string) (out []evidence.AnchorGiven) {
	for _, a := range v.Anchors {
		if a.To == to {
			out = append(out, a)
		}
	}
	return out
}

// TestTheServiceHasTheTimeStamped: whatever is wrong with an authority is told
// to the operator and counts for nothing; a right answer is on record, and the
// next one is asked for only when it is due.
func TestTheServiceHasTheTimeStamped(t *testing.T) {
	tsa := testenv.StampTime(t)
	w := newWorld(t, extra{more: fmt.Sprintf("\nevidence: {anchor: {timestamp: {url: %q, roots: %q, every: 300ms}}}\n", tsa.URL, tsa.RootsFile)})
	first, err := w.EvidenceKey(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	to := "timestamp " + tsa.URL
	w.take(t, "payments")
	w.sync(t)
	w.again(t) // closing gives the evidence to the sites
	tsa.Answer(testenv.StampsNothing)
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- w.Serve(ctx) }()
	for _, how := range []testenv.Stamping{testenv.StampsNothing, testenv.StampsUnavail, testenv.StampsGarbage, testenv.StampsOther} {
		before := tsa.Asked()
		tsa.Answer(how)
		waitFor(t, func() bool { return tsa.Asked() >= before+2 })
	}
	if n := len(anchorsTo(w.check(t, first.Public), to)); n != 0 {
		t.Errorf("%d answers that were wrong are on record", n)
	}
	tsa.Answer(testenv.StampsWell)
	waitFor(t, func() bool { return len(anchorsTo(w.check(t, first.Public), to)) >= 2 })
	cancel()
	if err := <-served; err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	v := w.check(t, first.Public)
	a := anchorsTo(v, to)
	if !v.OK || a[0].Stamp == nil || a[0].Stamp.Trusted || a[0].Stamp.Authority != "CN=clock on loopback" || !a[0].Checked {
		t.Errorf("%+v %+v", v.Findings, a)
	}
}

func waitFor(t *testing.T, is func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !is(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it did not come to that in a minute")
		}
	}
}

// TestSitesThatHoldTheLog: what each site holds is on record before a bundle is
// written, once for the same records, and not while the site lacks it.
func TestSitesThatHoldTheLog(t *testing.T) {
	w := newWorld(t, extra{})
	first, err := w.EvidenceKey(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.take(t, "payments")
	w.sync(t)
	if v := w.check(t, first.Public); len(v.Anchors) != 0 {
		t.Errorf("on record before any site had it: %+v", v.Anchors)
	}
	w.links["cloud"].Cut()
	w.again(t) // closing gives the evidence to the sites
	if v := w.check(t, first.Public); len(anchorsTo(v, "site onsite")) != 1 || len(anchorsTo(v, "site cloud")) != 0 {
		t.Errorf("with one site away: %+v", v.Anchors)
	}
	w.links["cloud"].Restore()
	w.take(t, "accounts")
	w.sync(t)
	w.again(t)
	w.check(t, first.Public)
	v := w.check(t, first.Public)
	if on, cloud := anchorsTo(v, "site onsite"), anchorsTo(v, "site cloud"); len(on) != 2 || len(cloud) != 1 || cloud[0].Size <= on[0].Size || !cloud[0].Checked || !v.OK {
		t.Errorf("%+v %+v", v.Findings, v.Anchors)
	}
	s, err := w.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Anchors) != 2 || s.Anchors[0].To != "site cloud" || s.Anchors[0].State != engine.StateGood || s.Anchors[0].Size != anchorsTo(v, "site cloud")[0].Size {
		t.Errorf("%+v", s.Anchors)
	}
	w.clock.advance(31 * time.Hour)
	if s, err = w.Status(t.Context()); err != nil || s.Anchors[1].State != engine.StateLate || !slices.ContainsFunc(s.Reasons, func(r string) bool { return strings.Contains(r, `"site onsite"`) }) {
		t.Errorf("%+v %q %v", s.Anchors, s.Reasons, err)
	}
}

// TestCheckTriesTheAuthority: what is wrong is found before it is needed.
func TestCheckTriesTheAuthority(t *testing.T) {
	tsa := testenv.StampTime(t)
	w := newWorld(t, extra{more: fmt.Sprintf("\nevidence: {anchor: {timestamp: {url: %q, roots: %q}}}\n", tsa.URL, tsa.RootsFile)})
	found := func() (out engine.Finding) {
		for _, f := range engine.Check(t.Context(), w.cfg, engine.Options{Clock: w.clock, Log: w.log}) {
			if f.Group == "evidence" {
				out = f
			}
		}
		return out
	}
	if f := found(); !f.OK || !strings.Contains(f.Detail, "CN=clock on loopback") {
		t.Errorf("%+v", f)
	}
	tsa.Answer(testenv.StampsNothing)
	if f := found(); f.OK || !strings.Contains(f.Detail, "refused") || f.Hint == "" {
		t.Errorf("%+v", f)
	}
	tsa.Answer(testenv.StampsWell)
	w.clock.advance(time.Hour)
	if f := found(); f.OK || !strings.Contains(f.Hint, "clock") {
		t.Errorf("%+v", f)
	}
}
