package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/config"
	"github.com/saypro/backupd/internal/evidence"
)

// evidenceSubject names the key that signs the evidence log in findings.
const evidenceSubject = "evidence"

// evidenceKey looks at the key that signs the evidence log. While a service
// runs, which key signs is asked by the command.
func (c *checker) evidenceKey() {
	var head []byte
	var err error
	if _, statErr := os.Stat(catalogPath(c.cfg)); statErr == nil {
		head, err = catalog.PeekEvidenceHead(catalogPath(c.cfg))
	}
	if err != nil && !errors.Is(err, catalog.ErrInUse) {
		c.bad("keys", evidenceSubject, err.Error(), "")
		return
	}
	origin, keyID, err := evidence.HeadOrigin(head)
	if err != nil {
		c.bad("keys", evidenceSubject, err.Error(), "")
		return
	}
	c.findings = append(c.findings, signingKey(c.cfg, origin, keyID))
}

// SigningKeyFinding says whether the key file holds the key with which a running
// service signs, in the form of the note package, or says why that signs nothing.
func SigningKeyFinding(cfg *config.Config, public string, err error) Finding {
	k, parseErr := evidence.ParsePublicKey(public)
	f := Finding{Group: "keys", Subject: evidenceSubject}
	if parseErr == nil {
		f = signingKey(cfg, k.Origin, k.ID)
	}
	switch {
	case !f.OK && parseErr == nil: // with the way out
	case err != nil:
		f.OK, f.Detail = false, err.Error()
	case parseErr != nil:
		f.Detail = parseErr.Error()
	}
	return f
}

// Heard returns the findings of a check with those of a running service, which
// knows better which key signs.
func Heard(found, asked []Finding) []Finding {
	signs := func(f Finding) bool { return f.Group == "keys" && f.Subject == evidenceSubject }
	if slices.ContainsFunc(asked, signs) {
		found = slices.DeleteFunc(found, signs)
	}
	return append(found, asked...)
}

// signingKey looks at the key file of a log that was signed last with that key;
// both are empty when it is not known, or there is no log yet.
func signingKey(cfg *config.Config, origin, keyID string) Finding {
	path := cfg.Evidence.KeyFile
	f := Finding{Group: "keys", Subject: evidenceSubject}
	s, err := evidence.ReadKeyFile(path)
	if next, nextErr := evidence.ReadKeyFile(path + ".next"); nextErr == nil && keyID != "" && next.Public().ID == keyID {
		s, err = next, nil // a rotation that was cut short, which the next start brings to its end
	}
	switch {
	case sameFile(path, cfg.Keys.IdentityFile) || sameFile(path, cfg.Keys.DrillIdentityFile):
		f.Detail, f.Hint = path+" is the file of an identity, too", "give the key that signs a file of its own: evidence.key_file"
	case errors.Is(err, fs.ErrNotExist) && origin == "":
		f.Detail, f.Hint = err.Error(), "run 'backupd init', which makes it"
	case errors.Is(err, fs.ErrNotExist):
		f.Detail, f.Hint = fmt.Sprintf("%v: %s, the key of the log %s, is not there", evidence.ErrKeyLost, path, origin), evidence.PutKeyBack
	case errors.Is(err, evidence.ErrKey):
		f.Detail, f.Hint = err.Error(), fmt.Sprintf("move it away (mv %s %s.garbled) and %s", path, path, evidence.PutKeyBack)
	case err != nil:
		f.Detail, f.Hint = err.Error(), "let the service's user read it"
	case origin != "" && (s.Public().Origin != origin || s.Public().ID != keyID):
		f.Detail = fmt.Sprintf("%s holds key %s of %s, and key %s signs the log %s", path, s.Public().ID, s.Public().Origin, keyID, origin)
		f.Hint = fmt.Sprintf("move it away (mv %s %s.other) and %s", path, path, evidence.PutKeyBack)
	case exposedKey(path) != "":
		f.Detail, f.Hint = exposedKey(path), "chmod 600 "+path+"; when somebody else may have read it, then 'backupd audit key --rotate'"
	default:
		f.OK, f.Detail = true, fmt.Sprintf("key %s of %s in %s, which opens no backup; keep a copy with the escrow", s.Public().ID, s.Public().Origin, path)
		f.Hint = copiesBeside(path)
	}
	return f
}

// exposedKey says that others may sign, too; empty when they may not.
func exposedKey(path string) string {
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm()&0o077 == 0 {
		return ""
	}
	return fmt.Sprintf("others may read the key that signs the evidence log, and sign in its name: %s has mode %04o", path, info.Mode().Perm())
}

func sameFile(a, b string) bool {
	x, err1 := os.Stat(a)
	y, err2 := os.Stat(b)
	return err1 == nil && err2 == nil && os.SameFile(x, y)
}

// copiesBeside names copies of keys of logs that lie in the same folder: they are
// lost with it, and one more to be stolen.
func copiesBeside(path string) string {
	const most = 4 << 10 // what a key file is longer than has another purpose
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return ""
	}
	var found []string
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() || info.Size() > most || e.Name() == filepath.Base(path) {
			continue
		}
		if _, err := evidence.ReadKeyFile(filepath.Join(filepath.Dir(path), e.Name())); err == nil {
			found = append(found, e.Name())
		}
	}
	if len(found) == 0 {
		return ""
	}
	return fmt.Sprintf("beside it lies another key that signs (%s): a copy belongs where the escrow is, not on this host, and what is not used is to be destroyed", strings.Join(found, ", "))
}
