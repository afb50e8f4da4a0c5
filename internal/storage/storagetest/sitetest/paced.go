package sitetest

import (
	"bytes"
	"sync"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/clock"
	"github.com/saypro/backupd/internal/storage"
	"github.com/saypro/backupd/internal/storage/storagetest"
	"github.com/saypro/backupd/internal/testenv"
)

// Paced has a rate limit and several transfers at once against a site whose
// store gives up soon when nothing moves: each gets so little that it takes
// far longer than that in all, and none looks as if it had stalled.
func Paced(t *testing.T, site *testenv.Site) {
	const stall, transfers, size = 500 * time.Millisecond, 4, 150_000
	store := testenv.OpenSite(t, site.Name, site.Config(site.Prefix()), stall)
	storagetest.Put(t, store, "p/there", storagetest.Bytes(9, size))
	s := storage.WithRate(store, 400_000, clock.System)
	start := time.Now()
	var wg sync.WaitGroup
	for i := range transfers {
		wg.Go(func() {
			name := "p/" + string(rune('a'+i))
			content := storagetest.Bytes(uint64(i), size)
			if err := s.Put(t.Context(), storagetest.Object(name, content)); err != nil {
				t.Error(err)
			} else if !bytes.Equal(storagetest.Get(t, store, name), content) {
				t.Errorf("%s: other bytes came back", name)
			}
		})
		wg.Go(func() {
			if _, err := storagetest.Read(t.Context(), s, "p/there", 0, -1); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if took := time.Since(start); took < 2*stall {
		t.Errorf("all was through after %s", took)
	}
}
