package engine_test

import (
	"testing"
)

// What was recorded before a site was found to hold the log, and had not reached it
// then, is told as soon as it has; and what sites were found to hold calls for no
// further such record by itself.
func TestWhatReachesASiteLaterIsHeldOnRecord(t *testing.T) {
	w := newWorld(t, extra{})
	key := w.Evidence().PublicKey().String()
	w.take(t, "payments")
	w.again(t) // closing gives the evidence to the sites
	w.sync(t)
	w.take(t, "payments")
	end := w.Evidence().Size()
	w.check(t, key) // the sites lack the last records
	w.again(t)
	w.sync(t)
	for _, site := range w.cfg.SiteOrder {
		all := anchorsTo(w.check(t, key), "site "+site)
		if n := len(all); n != 2 || all[0].Size >= end || all[1].Size < end {
			t.Errorf("site %s: %+v, and %d records have reached it", site, all, end)
		}
	}
	for range 2 {
		w.again(t)
		w.sync(t)
		if v := w.check(t, key); len(v.Anchors) != 4 || !v.OK {
			t.Errorf("%+v %+v", v.Findings, v.Anchors)
		}
	}
}
