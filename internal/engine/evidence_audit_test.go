package engine_test

import (
	"bytes"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/engine"
	"github.com/saypro/backupd/internal/evidence"
)

// check checks what the engine hands out with the key that it named first.
func (w *world) check(t *testing.T, keys ...string) *evidence.Verification {
	t.Helper()
	var b bytes.Buffer
	if err := w.WriteEvidence(t.Context(), engine.BundleRequest{}, &b); err != nil {
		t.Fatal(err)
	}
	var o evidence.VerifyOptions
	for _, text := range keys {
		k, err := evidence.ParsePublicKey(text)
		if err != nil {
			t.Fatal(err)
		}
		o.Keys = append(o.Keys, k)
	}
	v, err := evidence.Verify(t.Context(), bytes.NewReader(b.Bytes()), int64(b.Len()), o)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestWhatTheEngineRecordsIsInOrder does a bit of everything, rotates the key
// and loses it, and checks the evidence of it as an auditor does.
func TestWhatTheEngineRecordsIsInOrder(t *testing.T) {
	w := newWorld(t, extra{})
	first, err := w.EvidenceKey(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.take(t, "payments")
	w.take(t, "accounts")
	if _, err := w.Verify(t.Context(), engine.VerifyRequest{Functions: []string{"payments"}, From: "cloud", Level: "L5"}, nil); err != nil {
		t.Fatal(err)
	}
	w.sync(t)
	before := w.Evidence().Size()
	second, err := w.RotateEvidenceKey(t.Context())
	if end, err := w.Published(); err != nil || end != before {
		t.Errorf("of %d records before the rotation %d were given to the sites with the key before (%v)", before, end, err)
	}
	if err != nil || second.Before != first.Public || second.Public == first.Public {
		t.Fatal(second, err)
	}
	w.take(t, "payments")
	v := w.check(t, first.Public)
	for _, f := range v.Findings {
		t.Errorf("%s: %s", f.Kind, f.Text)
	}
	if v.Acts["snapshot done"] != 3 || v.Acts["proof done"] != 1 || len(v.Policies) != 1 || len(v.Keys) != 2 {
		t.Errorf("%v, %d policies, %+v", v.Acts, len(v.Policies), v.Keys)
	}
	if err := w.WriteEvidence(t.Context(), engine.BundleRequest{Since: time.Unix(9, 0), Until: time.Unix(8, 0)}, &bytes.Buffer{}); !errors.Is(err, engine.ErrUsage) {
		t.Errorf("a period that ends before it begins: %v", err)
	}

	w.shut(t)
	if err := os.Remove(w.cfg.Evidence.KeyFile); err != nil {
		t.Fatal(err)
	}
	w.open(t)
	if err := w.Evidence().Mute(); !errors.Is(err, evidence.ErrKeyLost) {
		t.Fatalf("opened without the key: %v", err)
	}
	w.shut(t)
	third, err := engine.StartEvidenceOver(t.Context(), w.cfg, w.options())
	if err != nil {
		t.Fatal(err)
	}
	w.open(t)
	w.take(t, "payments")
	if v := w.check(t, first.Public); v.OK {
		t.Error("the lost key is not seen")
	}
	if v := w.check(t, first.Public, third.Public); !v.OK {
		t.Errorf("with the new key given: %+v", v.Findings)
	}
}
