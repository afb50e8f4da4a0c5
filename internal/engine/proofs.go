package engine

import (
	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/config"
	"github.com/saypro/backupd/internal/verify"
)

// proofKey names a copy: a function or a snapshot of it, at a site.
type proofKey struct{ function, snapshot, site string }

// proofs are the newest proofs that ended, for each thing one may ask about.
type proofs struct {
	of     map[proofKey]*catalog.Proof // by function and site, by snapshot and site
	passed map[proofKey]*catalog.Proof // by function and site, those that restored
}

// verdict reports whether a proof says what its function is to be proven for:
// it passed to the level that is configured, or it found a difference. A proof
// to a lower level neither stands for it nor clears what it found, unless the
// recovery point cannot be proven any further.
func verdict(f config.Function, p *catalog.Proof) bool {
	return p.Difference || p.Passed && (p.Level >= f.Prove.Level || p.Lowered)
}

// restoring is the lowest level that restores: below it nothing is proven in
// the sense of proven exposure.
const restoring = "L3"

// newestProofs reads the record of proofs.
func (e *Engine) newestProofs() (proofs, error) {
	out := proofs{of: map[proofKey]*catalog.Proof{}, passed: map[proofKey]*catalog.Proof{}}
	err := e.catalog.Proofs(func(p *catalog.Proof) bool {
		if p.Ended.IsZero() {
			return true // running, or cut short: it says nothing
		}
		byFunction := proofKey{function: p.Function, site: p.Site}
		keep(out.of, proofKey{snapshot: p.Snapshot, site: p.Site}, p)
		if verdict(e.cfg.Functions[p.Function], p) {
			keep(out.of, byFunction, p)
		}
		if p.Passed && p.Level >= restoring {
			keep(out.passed, byFunction, p)
		}
		return true
	})
	return out, err
}

// keep notes the first one seen, which is the newest.
func keep(m map[proofKey]*catalog.Proof, k proofKey, p *catalog.Proof) {
	if m[k] == nil {
		m[k] = p
	}
}

// describe tells of a proof for people; nil stays nil.
func (e *Engine) describe(p *catalog.Proof) *Proof {
	if p == nil {
		return nil
	}
	out := &Proof{
		Function: p.Function, Snapshot: p.Snapshot, Site: p.Site, Level: p.Level, Passed: p.Passed, Difference: p.Difference,
		Meaning: verify.Meaning(p.Level), At: p.Ended.UTC(), AgeSeconds: e.clock.Now().Sub(p.Ended).Seconds(),
		DurationSeconds: p.Ended.Sub(p.Started).Seconds(), Error: p.Error,
	}
	if s, err := e.repository.Info(p.Snapshot); err == nil {
		out.RecoveryPoint = s.RecoveryPoint.UTC()
	}
	return out
}
