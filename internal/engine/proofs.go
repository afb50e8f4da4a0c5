package engine

import (
	"time"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/config"
	"github.com/saypro/backupd/internal/selection"
	"github.com/saypro/backupd/internal/verify"
)

// proofKey names a copy: a function or a snapshot of it, at a site.
type proofKey struct{ function, snapshot, site string }

// proofs are the newest proofs that ended, for each thing one may ask about.
type proofs struct {
	of map[proofKey]*catalog.Proof // by function and site, by snapshot and site
	// passed are those by snapshot and site that restored or found a
	// difference, verdicts those that say what the function is proven for.
	passed, verdicts map[proofKey]*catalog.Proof
	// looked is when a proof last came to a verdict on a snapshot, from whatever
	// site, failed when one last ended without since then.
	looked, failed map[string]time.Time
	// cold are the cold starts by function and site.
	cold map[proofKey]*catalog.Proof
	// past are the rules of the last proofs on schedule by function and site,
	// newest first.
	past map[proofKey][]selection.Rule
	// extra is when the last proof of a function beside the turns began.
	extra map[string]time.Time
}

// pastRules is how many proofs back the turns of a site are told.
const pastRules = 32

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
	out := proofs{
		of: map[proofKey]*catalog.Proof{}, passed: map[proofKey]*catalog.Proof{}, verdicts: map[proofKey]*catalog.Proof{},
		looked: map[string]time.Time{}, failed: map[string]time.Time{}, past: map[proofKey][]selection.Rule{},
		cold: map[proofKey]*catalog.Proof{}, extra: map[string]time.Time{},
	}
	err := e.catalog.Proofs(func(p *catalog.Proof) bool {
		if p.Extra {
			out.extra[p.Function] = latest(out.extra[p.Function], p.Started)
		}
		if p.Ended.IsZero() {
			return true // running, or cut short: it says nothing
		}
		if p.Cold {
			keep(out.cold, proofKey{function: p.Function, site: p.Site}, p)
			if !p.Passed && !p.Difference {
				return true // it may have come as far as any other; nothing is wrong with the copy
			}
		}
		f := e.cfg.Functions[p.Function]
		byFunction, bySnapshot := proofKey{function: p.Function, site: p.Site}, proofKey{snapshot: p.Snapshot, site: p.Site}
		keep(out.of, bySnapshot, p)
		p.Result = nil // it is large, and nobody asks for it here
		if p.Scheduled && !p.Extra && p.Rule != "" && len(out.past[byFunction]) < pastRules {
			out.past[byFunction] = append(out.past[byFunction], selection.Rule(p.Rule))
		}
		if out.looked[p.Snapshot].IsZero() {
			if verdict(f, p) {
				out.looked[p.Snapshot] = p.Ended
			} else if out.failed[p.Snapshot].IsZero() {
				out.failed[p.Snapshot] = p.Ended
			}
		}
		if verdict(f, p) {
			keep(out.of, byFunction, p)
			keep(out.verdicts, bySnapshot, p)
		}
		if p.Difference || p.Passed && p.Level >= restoring {
			keep(out.passed, bySnapshot, p)
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

// restored reports whether the last word on a copy is that it was restored.
func (p proofs) restored(snapshot, site string) bool {
	last := p.passed[proofKey{snapshot: snapshot, site: site}]
	return last != nil && last.Passed
}

// proven reports whether the last verdict on a copy is that it passed.
func (p proofs) proven(snapshot, site string) bool {
	last := p.verdicts[proofKey{snapshot: snapshot, site: site}]
	return last != nil && last.Passed
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
