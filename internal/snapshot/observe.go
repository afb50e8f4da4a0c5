package snapshot

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/saypro/backupd/internal/config"
	"github.com/saypro/backupd/internal/progress"
	"github.com/saypro/backupd/internal/repository"
	"github.com/saypro/backupd/internal/source/postgres"
)

// checkPatience is what a function's own checks may cost its source at each
// snapshot: they run beside the copying, and may not hold the snapshot open for
// much longer than that.
var checkPatience = postgres.Patience{Each: 10 * time.Second, All: 30 * time.Second}

// observe runs the checks that are to give the same answer on every restored
// copy. One that fails or takes too long is recorded as not observed: it says
// nothing of the snapshot.
func (k *taking) observe(ctx context.Context, capture *postgres.Capture) []repository.Observed {
	var asked []config.Check
	var queries []string
	for _, c := range k.fn.Checks {
		if c.SameAtSource && c.Skip == "" {
			asked, queries = append(asked, c), append(queries, c.SQL)
		}
	}
	if len(asked) == 0 {
		return nil
	}
	defer k.phases.Begin("checks")()
	k.report.Report(progress.Event{Function: k.fn.Name, Phase: "checks"})
	var out []repository.Observed
	for i, got := range capture.Observe(ctx, queries, checkPatience) {
		o := repository.Observed{Name: asked[i].Name, Definition: asked[i].Definition(), Value: got.Value}
		if got.Err != nil {
			o.Value, o.Error = "", got.Err.Error()
		}
		out = append(out, o)
	}
	return out
}

// notObserved tells which checks gave no answer.
func notObserved(observed []repository.Observed) []string {
	var out []string
	for _, o := range observed {
		if o.Error != "" {
			out = append(out, fmt.Sprintf("the check %s was not observed in the source: %s", o.Name, o.Error))
		}
	}
	return out
}

// digestOf is the SHA-256 of what defines everything in the scope.
func digestOf(structure postgres.Structure) (string, error) {
	text, err := json.Marshal(structure)
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), err
}
