package rfc3161_test

import (
	"bytes"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/rfc3161"
	"github.com/saypro/backupd/internal/testenv"
)

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

func TestWhoStampedIsJudgedAsOfThen(t *testing.T) {
	s := testenv.StampTime(t)
	text := []byte("what was there")
	for name, try := range map[string]struct {
		at   time.Time
		how  testenv.Stamping
		want error
	}{
		"as it should":                    {noon, testenv.StampsWell, nil},
		"before the certificate was good": {time.Date(2019, 12, 31, 0, 0, 0, 0, time.UTC), testenv.StampsWell, rfc3161.ErrUntrusted},
		"a certificate for a web server":  {noon, testenv.StampsAsServer, rfc3161.ErrUntrusted},
	} {
		token := s.Token(t, text, try.at, try.how)
		got, trusted, err := rfc3161.Check(token, text, s.Roots())
		if !errors.Is(err, try.want) || trusted != (try.want == nil) || !got.Time.Equal(try.at) {
			t.Errorf("%s: %+v, trusted %t, %v", name, got, trusted, err)
		}
	}
}

func TestRoots(t *testing.T) {
	s := testenv.StampTime(t)
	text, err := os.ReadFile(s.RootsFile)
	if err != nil {
		t.Fatal(err)
	}
	if roots, err := rfc3161.Roots(text); err != nil || !roots.Equal(s.Roots()) {
		t.Error(err)
	}
	for _, bad := range [][]byte{nil, []byte("x"), bytes.Replace(text, []byte("MII"), []byte("AAA"), 1)} {
		if _, err := rfc3161.Roots(bad); !errors.Is(err, rfc3161.ErrRoots) {
			t.Errorf("%.20q: %v", bad, err)
		}
	}
}

// FuzzToken: no bytes are taken for a time stamp, or end the program.
func FuzzToken(f *testing.F) {
	s := testenv.StampTime(f)
	text := []byte("what was there")
	good := s.Token(f, text, noon, testenv.StampsWell)
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add([]byte{0x30, 0x80, 0, 0})
	f.Fuzz(func(t *testing.T, token []byte) {
		got, trusted, err := rfc3161.Check(token, text, s.Roots())
		if err == nil && (!trusted || !got.Time.Equal(noon)) {
			t.Errorf("%+v", got)
		}
	})
}
