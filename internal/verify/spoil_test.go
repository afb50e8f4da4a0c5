package verify

import (
	"context"
	"errors"
	"slices"
	"testing"
)

// A proof whose scratch database may have been tampered with must not pass,
// even when the harm makes no difference.
func TestSpoiledProofNeverPasses(t *testing.T) {
	f := newFixture(t, small(t))
	var seen []string
	r, err := f.ProveSpoiled(t.Context(), Request{Function: "payments", From: "onsite"}, func(_ context.Context, level, scratch string) error {
		if (scratch != "") != (level > "L3") {
			t.Errorf("at %s the scratch database is %q", level, scratch)
		}
		seen = append(seen, level)
		return nil
	}, nil)
	if err != nil || r.Passed || r.Difference || r.Level != "L5" {
		t.Errorf("reached %q, passed %t, difference %t: %v", r.Level, r.Passed, r.Difference, err)
	}
	if !slices.Equal(seen, Levels[:slices.Index(Levels, "L5")+1]) {
		t.Errorf("called before %v", seen)
	}
	if p := lastProof(t, f.Bench.Catalog); p.Passed || p.Ended.IsZero() {
		t.Errorf("recorded as passed: %t", p.Passed)
	}
	if _, err := f.ProveSpoiled(t.Context(), Request{Function: "payments", From: "onsite"}, nil, nil); !errors.Is(err, ErrRequest) {
		t.Errorf("without any harm: %v", err)
	}
}

func TestHarmThatCannotBeDoneIsNoDifference(t *testing.T) {
	f := newFixture(t, small(t))
	broken := errors.New("no harm done")
	r, err := f.ProveSpoiled(t.Context(), Request{Function: "payments", From: "onsite", Level: "L1"},
		func(context.Context, string, string) error { return broken }, nil)
	if !errors.Is(err, broken) || r.Passed || r.Difference {
		t.Errorf("passed %t, difference %t: %v", r.Passed, r.Difference, err)
	}
}
