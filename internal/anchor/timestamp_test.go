package anchor

import (
	"context"
	"crypto/x509"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/rfc3161"
	"github.com/saypro/backupd/internal/testenv"
)

// authority is one on loopback, as it is configured.
func authority(t *testing.T) (*testenv.TimeStamps, Authority) {
	t.Helper()
	s := testenv.StampTime(t)
	text, err := os.ReadFile(s.RootsFile)
	if err != nil {
		t.Fatal(err)
	}
	roots, err := rfc3161.Roots(text)
	if err != nil {
		t.Fatal(err)
	}
	return s, Authority{URL: s.URL, Roots: roots}
}

func TestTimeStamp(t *testing.T) {
	_, a := authority(t)
	text := []byte("log\n7\nroot\n")
	before := time.Now().Add(-2 * time.Second)
	got, err := a.Stamp(t.Context(), text)
	if err != nil {
		t.Fatal(err)
	}
	if got.Time.Before(before) || got.Time.After(time.Now().Add(time.Second)) || got.Accuracy != time.Second || got.Authority != "CN=clock on loopback" {
		t.Errorf("%+v", got)
	}
	again, trusted, err := rfc3161.Check(got.Token, text, a.Roots)
	if err != nil || !trusted || !again.Time.Equal(got.Time) {
		t.Errorf("%+v, %t, %v", again, trusted, err)
	}
	if _, trusted, err := rfc3161.Check(got.Token, text, nil); err != nil || trusted {
		t.Errorf("without roots: trusted %t, %v", trusted, err)
	}
	if _, _, err := rfc3161.Check(got.Token, []byte("log\n8\nroot\n"), nil); !errors.Is(err, rfc3161.ErrImprint) {
		t.Errorf("of another text: %v", err)
	}
	if _, trusted, err := rfc3161.Check(got.Token, text, x509.NewCertPool()); trusted || !errors.Is(err, rfc3161.ErrUntrusted) {
		t.Errorf("with other roots: trusted %t, %v", trusted, err)
	}
	changed := append([]byte{}, got.Token...)
	changed[len(changed)-1] ^= 1
	if _, _, err := rfc3161.Check(changed, text, nil); !errors.Is(err, rfc3161.ErrToken) {
		t.Errorf("with a changed signature: %v", err)
	}
}

func TestTimeStampsThatDoNotCount(t *testing.T) {
	s, a := authority(t)
	if _, err := a.Stamp(t.Context(), []byte("before")); err != nil {
		t.Fatal(err)
	}
	for how, want := range map[testenv.Stamping]error{
		testenv.StampsNothing:  rfc3161.ErrRefused,
		testenv.StampsUnavail:  rfc3161.ErrRefused,
		testenv.StampsGarbage:  rfc3161.ErrToken,
		testenv.StampsOther:    rfc3161.ErrImprint,
		testenv.StampsAsServer: rfc3161.ErrRefused, // OpenSSL itself does not stamp with it
	} {
		s.Answer(how)
		if got, err := a.Stamp(t.Context(), []byte("now")); !errors.Is(err, want) {
			t.Errorf("%s: %+v, %v", how, got, err)
		}
	}
	s.Answer(testenv.StampsAgain)
	if _, err := a.Stamp(t.Context(), []byte("before")); !errors.Is(err, rfc3161.ErrNonce) {
		t.Errorf("an answer of before: %v", err)
	}
	s.Answer(testenv.StampsWell)
	stranger := Authority{URL: s.URL, Roots: x509.NewCertPool()}
	if _, err := stranger.Stamp(t.Context(), []byte("now")); !errors.Is(err, rfc3161.ErrUntrusted) {
		t.Errorf("an authority that is not trusted: %v", err)
	}
	s.Answer(testenv.StampsNever)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := a.Stamp(ctx, []byte("now")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("an authority that does not answer: %v", err)
	}
}
