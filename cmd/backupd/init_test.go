package main

import (
	"strings"
	"testing"

	"github.com/saypro/backupd/internal/engine"
)

// Whoever sets a host up is told what to keep of the key that signs, and what to
// give to the auditor.
func TestInitTellsOfTheEvidenceKey(t *testing.T) {
	const public = "github.com/saypro/backupd/log/00000000+0a0b0c0d+Abc"
	var b strings.Builder
	r := engine.InitReport{EvidenceKeyCreated: true, EvidenceKey: engine.EvidenceKey{KeyFile: "/etc/backupd/evidence.key", Public: public}}
	(&app{}).escrowInstructions(&b, r)
	for _, want := range []string{"/etc/backupd/evidence.key", "was made now", "with the escrow", public} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("it does not say %q:\n%s", want, b.String())
		}
	}
}
