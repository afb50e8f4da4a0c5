package engine_test

import (
	"strings"
	"testing"

	"github.com/saypro/backupd/internal/engine"
	"github.com/saypro/backupd/internal/repository"
)

// However often a key was made anew, that there is one escrow alone is said once.
func TestOneEscrowIsWarnedOfOnce(t *testing.T) {
	var keys []repository.KeyInfo
	for _, id := range []string{"01", "02", "03"} {
		keys = append(keys, repository.KeyInfo{ID: id, Opens: true, Wraps: []repository.KeyWrap{{Recipients: 2}}})
	}
	out := engine.KeyWarnings(keys, 2)
	if len(out) != 1 || !strings.Contains(out[0], "the keys 01, 02, 03: a second escrow") {
		t.Errorf("%q", out)
	}
	if out = engine.KeyWarnings(keys[:1], 2); len(out) != 1 || !strings.Contains(out[0], "key 01: a second escrow") {
		t.Errorf("%q", out)
	}
}

// A disk on which nothing fits is not in order.
func TestRoomOnTheDisk(t *testing.T) {
	for free, want := range map[int64]bool{3 << 20: false, 127 << 20: false, 200 << 20: true, 2 << 30: true} {
		if ok, hint := engine.Room(free); ok != want || (hint == "") != (free == 2<<30) {
			t.Errorf("%d MiB: %t, %q", free>>20, ok, hint)
		}
	}
}
