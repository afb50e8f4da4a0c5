package evidence

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"testing"

	"github.com/saypro/backupd/internal/clock"
)

// FuzzEnvelope: what is taken apart goes together again to the same bytes, so
// there is one way only to write it; and whatever is in it harms nobody.
func FuzzEnvelope(f *testing.F) {
	l, _, _ := rotatedLog(f, clock.NewFake(begin))
	for _, e := range collect(f, l.Envelopes(0, 5)) {
		f.Add(e)
	}
	f.Add([]byte(envelopeStart + envelopeMid))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := unseal(b)
		if err != nil {
			return
		}
		payload, sig := base64.StdEncoding.EncodeToString(e.payload), base64.StdEncoding.EncodeToString(e.signature)
		again := []byte(envelopeStart + payload + envelopeMid + e.keyID + envelopeSig + sig + envelopeEnd)
		if !bytes.Equal(b, again) {
			t.Fatalf("%q and %q are the same envelope", b, again)
		}
		if !json.Valid(b) {
			t.Fatalf("%q is not JSON", b)
		}
	})
}

// FuzzStatement: what is taken is written in one way only, and checking its form
// never fails otherwise than with an error.
func FuzzStatement(f *testing.F) {
	l, _, _ := rotatedLog(f, clock.NewFake(begin))
	for _, sealed := range collect(f, l.Envelopes(0, 5)) {
		e, err := unseal(sealed)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(e.payload)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := decodeStatement(b)
		if err != nil {
			return
		}
		_ = s.Predicate.check()
		if again, err := json.Marshal(s); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%q and %q are the same statement: %v", b, again, err)
		}
	})
}

func FuzzSegment(f *testing.F) {
	l, _, _ := rotatedLog(f, clock.NewFake(begin))
	b, err := l.Segment(2, 5)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := ParseSegment(b)
		if err == nil && s.To-s.From != uint64(len(s.Envelopes)) {
			t.Fatalf("%d to %d with %d", s.From, s.To, len(s.Envelopes))
		}
	})
}

func FuzzCheckpoint(f *testing.F) {
	s := newSigner(f)
	b, err := Checkpoint{Origin: s.Public().Origin, Size: 12}.sign(s)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := peekCheckpoint(b)
		if err == nil && !bytes.HasPrefix(b, []byte(c.Text())) {
			t.Fatalf("%q read as %+v", b, c)
		}
	})
}
