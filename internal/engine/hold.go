package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/saypro/backupd/internal/catalog"
)

// Hold keeps a snapshot from being deleted whatever the rules say, or with an
// empty reason lets it go again, and returns it as it stands then. One that was
// given up, and whose deletion has not begun, is spared.
func (e *Engine) Hold(ctx context.Context, req HoldRequest) (RecoveryPoint, error) {
	info, err := e.repository.Info(req.Snapshot)
	if err != nil {
		return RecoveryPoint{}, asUsage(err)
	}
	if err := e.tellPolicy(ctx); err != nil {
		return RecoveryPoint{}, fmt.Errorf("nothing is held or let go without being on record: %w", err)
	}
	err = e.repository.Hold(ctx, info.ID, req.Reason)
	if errors.Is(err, catalog.ErrCondemned) {
		return RecoveryPoint{}, fmt.Errorf("hold snapshot %s of %s: it is being deleted already: %w", info.ID, info.Function, err)
	}
	if err != nil {
		return RecoveryPoint{}, err
	}
	if err := e.tell(ctx, holdRecord(info.ID, info.Function, req.Reason)); err != nil {
		return RecoveryPoint{}, fmt.Errorf("what was asked for of snapshot %s is done: %w", info.ID, err)
	}
	if info, err = e.repository.Info(info.ID); err != nil {
		return RecoveryPoint{}, err
	}
	proofs, err := e.newestProofs()
	if err != nil {
		return RecoveryPoint{}, err
	}
	doubt, err := e.repository.Doubt(info.Function)
	p := e.describePoint(info, proofs)
	withDoubt(&p, info, doubt)
	return p, err
}
