package engine_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/saypro/backupd/internal/engine"
	"github.com/saypro/backupd/internal/evidence"
)

// ofEvidenceKey is what a check says of the key that signs.
func (w *world) ofEvidenceKey(t *testing.T) engine.Finding {
	t.Helper()
	for _, f := range engine.Check(t.Context(), w.cfg, w.options()) {
		if f.Group == "keys" && f.Subject == "evidence" {
			return f
		}
	}
	t.Fatal("nothing is said of the key that signs")
	return engine.Finding{}
}

// The key that signs is looked at like the one that opens: without it every
// command fails.
func TestCheckLooksAtTheEvidenceKey(t *testing.T) {
	w := newWorld(t, extra{})
	w.take(t, "payments")
	public := w.Evidence().PublicKey()
	path := w.cfg.Evidence.KeyFile
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if f := w.ofEvidenceKey(t); !f.OK || f.Hint != "" { // the log is in use
		t.Errorf("in order: %+v", f)
	}
	if f := engine.SigningKeyFinding(w.cfg, public.String(), nil); !f.OK {
		t.Errorf("in order: %+v", f)
	}
	w.shut(t)
	if f := w.ofEvidenceKey(t); !f.OK || f.Hint != "" || !strings.Contains(f.Detail, public.ID) {
		t.Errorf("in order: %+v", f)
	}
	other, err := evidence.NewSigner(public.Origin)
	if err != nil {
		t.Fatal(err)
	}
	// What a running service says of its key stands in place of what was seen from
	// outside, where nobody knows whether the log holds anything.
	asked := []engine.Finding{engine.SigningKeyFinding(w.cfg, public.String(), nil)}
	heard := engine.Heard([]engine.Finding{{Group: "keys", Subject: "evidence", Hint: "run 'backupd init'"}, {OK: true, Group: "keys", Subject: "escrow"}}, asked)
	if len(heard) != 2 || heard[0].Subject != "escrow" || !heard[1].OK || heard[1].Hint != "" {
		t.Errorf("heard: %+v", heard)
	}
	if f := engine.SigningKeyFinding(w.cfg, public.String(), engine.ErrDegraded); f.OK || f.Detail != engine.ErrDegraded.Error() {
		t.Errorf("a key that signs nothing: %+v", f)
	}
	for name, c := range map[string]struct {
		edit   func() error
		detail string
		hint   string
	}{
		"gone":    {func() error { return os.Remove(path) }, "the key that signs the evidence log is gone: " + path, "--start-over"},
		"garbled": {func() error { return os.WriteFile(path, whole[:len(whole)-9], 0o600) }, "not a key", "mv " + path},
		"another": {func() error { return os.WriteFile(path, []byte(other.Private()), 0o600) }, "and key " + public.ID + " signs", "mv " + path},
		"open":    {func() error { return os.Chmod(path, 0o644) }, "mode 0644", "chmod 600"},
		"shared":  {func() error { return replace(w.cfg.Keys.IdentityFile, path) }, "the file of an identity", "evidence.key_file"},
	} {
		if err := c.edit(); err != nil {
			t.Fatal(err)
		}
		if f := w.ofEvidenceKey(t); f.OK || !strings.Contains(f.Detail, c.detail) || !strings.Contains(f.Hint, c.hint) {
			t.Errorf("%s: %+v", name, f)
		}
		if name == "garbled" || name == "another" {
			_, err := engine.Init(t.Context(), w.cfg, w.options())
			if err == nil || !strings.Contains(err.Error(), "--start-over") {
				t.Errorf("%s: another init: %v", name, err)
			}
			if _, err = engine.StartEvidenceOver(t.Context(), w.cfg, w.options()); err == nil || !strings.Contains(err.Error(), "mv "+path) {
				t.Errorf("%s: starting over: %v", name, err)
			}
		}
		if err := replace("", path); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, whole, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(filepath.Dir(path), "evidence.bak"), whole, 0o600); err != nil {
		t.Fatal(err)
	}
	if f := w.ofEvidenceKey(t); !f.OK || !strings.Contains(f.Hint, "evidence.bak") {
		t.Errorf("with a copy beside it: %+v", f)
	}
	if _, err := engine.StartEvidenceOver(t.Context(), w.cfg, w.options()); err == nil || !strings.Contains(err.Error(), "nothing is lost") {
		t.Errorf("starting over with the key there: %v", err)
	}
	w.open(t)
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	s, err := w.Status(t.Context())
	if err != nil || !strings.Contains(strings.Join(s.Warnings, "\n"), "mode 0644") {
		t.Errorf("%q %v", s.Warnings, err)
	}
}

// replace puts a link to a file in the place of another, or nothing.
func replace(by, path string) error {
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		return err
	}
	if by == "" {
		return nil
	}
	return os.Symlink(by, path)
}
