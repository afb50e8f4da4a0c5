package report

import (
	"slices"
	"testing"

	"github.com/saypro/backupd/internal/evidence"
)

// What weakens a proof is told in words.
func TestChangesOfTermsAreTold(t *testing.T) {
	of := func(edit func(*evidence.Policy, *evidence.FunctionTerms)) evidence.Policy {
		f := &evidence.FunctionTerms{
			RotateSeconds: 86400, Suspicion: evidence.SuspicionTerms{RowsDrop: 0.5},
			Checks: map[string]evidence.CheckTerm{"balanced": {Expect: "= 0"}},
		}
		p := evidence.Policy{Terms: &evidence.Terms{
			MinSites: 2, ControlsEverySeconds: 604800, Sites: map[string]evidence.SiteTerms{"cloud": {Kind: "s3", Lock: "compliance", LockSeconds: 86400 * 40}},
		}}
		edit(&p, f)
		p.Functions = map[string]evidence.FunctionObjective{"payments": {Terms: f}}
		return p
	}
	was := of(func(*evidence.Policy, *evidence.FunctionTerms) {})
	for want, edit := range map[string]func(*evidence.Policy, *evidence.FunctionTerms){
		"payments: check balanced expects >= 0, before expects = 0": func(_ *evidence.Policy, f *evidence.FunctionTerms) {
			f.Checks["balanced"] = evidence.CheckTerm{Expect: ">= 0"}
		},
		"payments: check balanced expects = 0, is skipped: later, before expects = 0": func(_ *evidence.Policy, f *evidence.FunctionTerms) {
			f.Checks["balanced"] = evidence.CheckTerm{Expect: "= 0", Skip: "later"}
		},
		"payments: suspicion is switched off: too loud, before none": func(_ *evidence.Policy, f *evidence.FunctionTerms) { f.Suspicion.Off = "too loud" },
		"payments: rows that may vanish at once: 100%, before 50%":   func(_ *evidence.Policy, f *evidence.FunctionTerms) { f.Suspicion.RowsDrop = 1 },
		"payments: each recovery point is proven within never, before 1d": func(_ *evidence.Policy, f *evidence.FunctionTerms) {
			f.RotateSeconds = 0
		},
		"negative controls every never, before 7d": func(p *evidence.Policy, _ *evidence.FunctionTerms) { p.Terms.ControlsEverySeconds = 0 },
		"lock of site cloud none, before compliance for 40d": func(p *evidence.Policy, _ *evidence.FunctionTerms) {
			p.Terms.Sites["cloud"] = evidence.SiteTerms{Kind: "s3"}
		},
		"sites that must hold a recovery point: 1, before 2": func(p *evidence.Policy, _ *evidence.FunctionTerms) { p.Terms.MinSites = 1 },
		toldFromHere: nil,
	} {
		before := was
		if edit == nil {
			before.Terms, edit = nil, func(*evidence.Policy, *evidence.FunctionTerms) {}
		}
		if got := (&Period{}).changes(before, of(edit)); !slices.Equal(got, []string{want}) {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
