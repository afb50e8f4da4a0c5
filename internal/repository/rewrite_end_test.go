package repository

import (
	"fmt"
	"testing"
	"time"
)

// Rewriting comes to an end although snapshots are taken between the sweeps: what
// they find again they find in the new packs. A small pack, of which header and
// footer are the most, is not rewritten at all.
func TestRewritingComesToAnEnd(t *testing.T) {
	b, rnd := newBench(t), seeded(t)
	tiny := b.write(t, "accounts", map[string][]byte{"t": []byte("1\tonly\n")})
	b.durable(t, tiny)
	snaps, want := b.history(t, rnd, 5, 8)
	doomed := map[string]string{}
	for _, s := range snaps[:4] {
		doomed[s.ID] = "no rule keeps it"
	}
	if err := b.Condemn(t.Context(), doomed); err != nil {
		t.Fatal(err)
	}
	last := want[snaps[4].ID]
	var told []string
	for range 4 {
		b.clock.Advance(25 * time.Hour)
		out := b.sweep(t, SweepOptions{MaxRewrite: 1 << 30})
		told = append(told, fmt.Sprintf("%d of %d bytes", out.Rewritten.Objects, out.Rewritten.Bytes))
		s := b.write(t, "payments", last)
		b.durable(t, s)
		want[s.ID] = last
		if len(told) == 1 && out.Rewritten.Objects == 0 {
			t.Errorf("the pack of which half is dead was not rewritten: %+v", out)
		}
		if len(told) > 2 && out.Rewritten.Objects > 0 {
			t.Errorf("packs are rewritten again and again: %v", told)
		}
		b.matches(t, []*Snapshot{s, snaps[4]}, want)
	}
}
