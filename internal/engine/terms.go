package engine

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/saypro/backupd/internal/config"
	"github.com/saypro/backupd/internal/evidence"
	"github.com/saypro/backupd/internal/source/postgres"
)

// termsOf is what the configuration promises of the whole besides objectives.
// A setting that weakens what is shown, once on record, cannot be changed for a
// night and back without a trace.
func termsOf(cfg *config.Config) *evidence.Terms {
	t := &evidence.Terms{
		MinSites: cfg.MinSites, ScrubEverySeconds: cfg.Scrub.Every.Seconds(), ControlsEverySeconds: cfg.Drills.ControlsEvery.Seconds(),
		SweepGraceSeconds: cfg.Sweep.Grace.Seconds(), Recipients: cfg.Keys.Recipients, ColdIdentity: cfg.Keys.DrillIdentityFile != "",
		Sites: map[string]evidence.SiteTerms{}, Sources: map[string]string{},
	}
	for name, s := range cfg.Sites {
		site := evidence.SiteTerms{Kind: s.Kind, Place: digestOf(s.Kind, s.Endpoint, s.Region, s.Bucket, s.Prefix, s.Path)}
		if s.Lock != nil {
			site.Lock, site.LockSeconds = s.Lock.Mode, s.Lock.For.Seconds()
		}
		t.Sites[name] = site
	}
	for name, s := range cfg.Sources {
		t.Sources[name] = digestOf(s.Kind, readable(s.URL.Reveal()))
	}
	return t
}

// functionTerms is the same of one function.
func functionTerms(f config.Function) *evidence.FunctionTerms {
	t := &evidence.FunctionTerms{
		Cron: f.Cron, TolerateFailedRuns: f.TolerateFailedRuns, LargeObjects: f.LargeObjects,
		RotateSeconds: f.Prove.Rotate.Seconds(), ColdEverySeconds: f.Prove.ColdEvery.Seconds(),
		Suspicion: evidence.SuspicionTerms{
			Off: f.Suspect.Off, RowsDrop: f.Suspect.RowsDrop.Share(), RowsChanged: f.Suspect.RowsChanged.Share(), MinRows: f.Suspect.MinRows,
			Ignored: map[string]string{}, Canaries: map[string]string{},
		},
		Checks: map[string]evidence.CheckTerm{},
	}
	for _, i := range f.Suspect.Ignore {
		t.Suspicion.Ignored[i.Table] = i.Reason
	}
	for name, c := range f.Suspect.Canary {
		t.Suspicion.Canaries[name] = postgres.Canary{Table: c.Table, Key: c.Key, SQL: c.SQL}.Definition()
	}
	for _, c := range f.Checks {
		t.Checks[c.Name] = evidence.CheckTerm{Expect: c.Expect, SameAtSource: c.SameAtSource, Skip: c.Skip}
	}
	return t
}

// digestOf stands for what must not be told.
func digestOf(parts ...string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q", parts))
	return hex.EncodeToString(sum[:])
}

// switchedOff says what of the function the configuration does not do that
// would show that something is wrong.
func switchedOff(f config.Function) (out []string) {
	if f.Suspect.Off != "" {
		out = append(out, "nothing makes a recovery point suspect (suspect.off): "+f.Suspect.Off)
	}
	if f.Prove.Rotate == 0 {
		out = append(out, "nothing bounds when each recovery point that is kept is proven (prove.rotate: never)")
	}
	return out
}

// switchedOffForAll is the same of the whole.
func switchedOffForAll(cfg *config.Config) (out []string) {
	if cfg.Scrub.Every == 0 {
		out = append(out, "nothing reads what the sites hold (scrub.every: never): rot shows when a proof or a restore needs it")
	}
	if cfg.Drills.ControlsEvery == 0 {
		out = append(out, "no negative controls are made by the service (drills.controls_every: never): nothing shows that its proofs would find a fault")
	}
	return out
}
