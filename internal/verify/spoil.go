package verify

import (
	"context"
	"fmt"

	"github.com/saypro/backupd/internal/progress"
)

// Spoil does harm to what a proof has restored. It is called before the checks
// of each level begin, with the address of the scratch database, empty below
// L4.
type Spoil func(ctx context.Context, level, scratch string) error

// ProveSpoiled is [Verifier.Prove] for negative controls: the same proof, of
// which somebody spoils the scratch database on the way. Such a proof never
// passes, whatever it finds, so that nobody can make a bad copy look good with
// it: Result.Difference tells whether the harm was noticed, and Result.Level how
// far it went unnoticed.
func (v *Verifier) ProveSpoiled(ctx context.Context, req Request, spoil Spoil, report progress.Reporter) (Result, error) {
	if spoil == nil {
		return Result{}, fmt.Errorf("%w: nothing is to be spoiled", ErrRequest)
	}
	return v.prove(ctx, req, spoil, report)
}

// spoilt lets the harm be done, if this is a negative control.
func (p *proof) spoilt(ctx context.Context, level string) error {
	if p.spoil == nil {
		return nil
	}
	if err := p.spoil(ctx, level, p.url); err != nil {
		return fmt.Errorf("spoil the scratch database before %s: %w", level, err)
	}
	return nil
}
