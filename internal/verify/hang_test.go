package verify

import (
	"strings"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/config"
)

// A scratch server whose network hangs ends the proof, at whatever level, and
// proves nothing, neither good nor bad. What could not be cleared is left to
// the sweep.
func TestHungScratchEndsAProof(t *testing.T) {
	for _, level := range []string{"L3", "L5"} {
		t.Run(level, func(t *testing.T) {
			f := newFixture(t, small(t))
			link, _ := f.db.Link(t)
			f.Scratch.URL = config.Secret("postgres://postgres@" + link.Address() + "/postgres?sslmode=disable&connect_timeout=2")
			f.StallTimeout = time.Second
			f.before = func(p *proof, at string) {
				if at == level {
					link.Hang()
				}
			}
			start := time.Now()
			f.fails(t, level)
			if took := time.Since(start); took > 20*time.Second {
				t.Errorf("it ended after %s", took)
			}
			// At L3 there is no connection yet that could hang.
			if p := lastProof(t, f.Bench.Catalog); level != "L3" && !strings.Contains(p.Error, "nothing has moved for") {
				t.Errorf("recorded: %s", p.Error)
			}
			link.Restore()
			f.before = nil
			if err := f.SweepScratch(t.Context()); err != nil {
				t.Error(err)
			}
			if r := f.prove(t, "L5"); !r.Passed {
				t.Errorf("the next proof: %+v", r)
			}
		})
	}
}
