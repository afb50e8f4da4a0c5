package main

import (
	"errors"
	"testing"

	"github.com/saypro/backupd/internal/controls"
	"github.com/saypro/backupd/internal/evidence"
)

// Whatever is said besides, a round with a miss never ends in status 0.
func TestARoundWithAMissNeverEndsWell(t *testing.T) {
	red, missed := evidence.Fault{ID: "a", Red: true}, evidence.Fault{ID: "b"}
	for name, c := range map[string]struct {
		out  evidence.Controls
		err  error
		want error
	}{
		"all red":        {evidence.Controls{Clean: "L6", Faults: []evidence.Fault{red}}, nil, nil},
		"one missed":     {evidence.Controls{Clean: "L6", Faults: []evidence.Fault{red, missed}}, nil, controls.ErrMissed},
		"not clean":      {evidence.Controls{Faults: []evidence.Fault{red}}, nil, controls.ErrVoid},
		"nothing done":   {evidence.Controls{Clean: "L6"}, nil, controls.ErrVoid},
		"all red, error": {evidence.Controls{Clean: "L6", Faults: []evidence.Fault{red}}, errors.ErrUnsupported, errors.ErrUnsupported},
	} {
		err := controlsOutcome(c.out, c.err)
		if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%s: %v", name, err)
		}
		if status := exitStatus(err); (status == 0) != (c.want == nil) {
			t.Errorf("%s: exit status %d", name, status)
		}
	}
}
