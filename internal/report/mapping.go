package report

import (
	"fmt"

	"github.com/saypro/backupd/internal/objective"
)

// requirement is what a framework asks for, in our words, and how to tell what
// a period has for it.
type requirement struct {
	framework, name, asks string
	supports              func(*Period) []string
}

// requirements are told in this order. The texts of the standards are not
// quoted: what each asks for is put in short.
var requirements = []requirement{
	{
		"SOC 2", "A1.2", "backups and the means of recovery are designed, operated and monitored",
		func(p *Period) []string {
			return some(p.policyEvidence(), p.inventoryEvidence(), p.runEvidence(), p.exposureEvidence())
		},
	},
	{
		"SOC 2", "A1.3", "recovery is tested, and whether backed-up data is whole and complete",
		func(p *Period) []string { return some(p.proofEvidence(), p.drillEvidence(), p.controlEvidence()) },
	},
	{
		"SOC 2", "CC7.5", "one recovers from incidents, learns from it and follows up",
		func(p *Period) []string { return some(p.restoreEvidence(), p.actionEvidence(), p.suspectEvidence()) },
	},
	{
		"ISO 22301", "8.5", "exercises and tests, planned, with scenarios, reported on and followed up",
		func(p *Period) []string { return some(p.drillEvidence(), p.actionEvidence()) },
	},
	{
		"ISO 22301", "9.1", "what is promised is measured, analysed and evaluated",
		func(p *Period) []string { return some(p.exposureEvidence(), p.recoveryTimeEvidence()) },
	},
	{
		"ISO 27001", "A.8.13", "copies are kept and regularly tested under an agreed policy",
		func(p *Period) []string {
			return some(p.policyEvidence(), p.inventoryEvidence(), p.runEvidence(), p.proofEvidence())
		},
	},
	{
		"ISO 27001", "A.5.30", "readiness is planned against objectives of continuity, and tested",
		func(p *Period) []string { return some(p.policyEvidence(), p.recoveryTimeEvidence(), p.drillEvidence()) },
	},
	{
		"PCI DSS", "12.10", "response to incidents covers recovery and backups, is tested and improved",
		func(p *Period) []string { return some(p.drillEvidence(), p.actionEvidence()) },
	},
	{
		"NIST SP 800-53", "CP-4", "the contingency plan is tested, reviewed and corrected",
		func(p *Period) []string { return some(p.drillEvidence(), p.actionEvidence()) },
	},
	{
		"NIST SP 800-53", "CP-9", "backups are made as often as the objectives ask, and tested for being reliable and whole",
		func(p *Period) []string {
			return some(p.runEvidence(), p.exposureEvidence(), p.proofEvidence(), p.sampleEvidence(), p.controlEvidence())
		},
	},
	{
		"NIST SP 800-53", "CP-10", "one can recover to a known state within the objectives",
		func(p *Period) []string {
			return some(p.proofEvidence(), p.recoveryTimeEvidence(), p.restoreEvidence())
		},
	},
}

// mapping says for each requirement which records of this very period support
// it.
func (p *Period) mapping() []Mapping {
	var out []Mapping
	for _, r := range requirements {
		m := Mapping{Framework: r.framework, Requirement: r.name, Asks: r.asks, Supports: r.supports(p)}
		m.None = len(m.Supports) == 0
		out = append(out, m)
	}
	return out
}

// some drops what is empty.
func some(texts ...string) []string {
	out := []string{}
	for _, t := range texts {
		if t != "" {
			out = append(out, t)
		}
	}
	return out
}

func (p *Period) policyEvidence() string {
	if len(p.Policies) == 0 {
		return ""
	}
	changed := 0
	for _, policy := range p.Policies {
		if !policy.Before {
			changed++
		}
	}
	return fmt.Sprintf("the policy in force, record %d, and what it promised for %s (%s recorded in the period)",
		p.Policies[len(p.Policies)-1].Sequence, plural(len(p.Policies[len(p.Policies)-1].Functions), "function"), plural(changed, "policy"))
}

func (p *Period) runEvidence() string {
	var n Runs
	for _, f := range p.Functions {
		n.Begun += f.Runs.Begun
		n.Done += f.Runs.Done
		n.Degraded += f.Runs.Degraded
		n.Failed += f.Runs.Failed + f.Runs.CutShort
		n.Unanswered += f.Runs.Unanswered
	}
	if n.Begun == 0 {
		return ""
	}
	return fmt.Sprintf("%s with intent and result: %s done, %s at some sites only, %s failed or cut short, %s without an end",
		plural(n.Begun, "snapshot"), count(n.Done), count(n.Degraded), count(n.Failed), count(n.Unanswered))
}

func (p *Period) exposureEvidence() string {
	judged, violations := 0, 0
	for _, f := range p.Functions {
		for _, v := range f.Views {
			if v.Scope == objective.ScopeAny && !v.Proven && v.Attainment != nil {
				judged++
				violations += len(v.Violations)
			}
		}
	}
	if judged == 0 {
		return ""
	}
	return fmt.Sprintf("exposure of %s at every moment, per site, with %s of the RPO seen from any site, each with its cause",
		plural(judged, "function"), plural(violations, "violation"))
}

func (p *Period) proofEvidence() string {
	if len(p.Proofs) == 0 {
		return ""
	}
	passed := 0
	for _, line := range p.Proofs {
		if line.Finding == Passed {
			passed++
		}
	}
	return fmt.Sprintf("%s by restoring: %s passed, %s did not; records %d to %d",
		plural(len(p.Proofs), "proof"), count(passed), count(len(p.Proofs)-passed), p.Proofs[0].Sequence, p.Proofs[len(p.Proofs)-1].Sequence)
}

func (p *Period) recoveryTimeEvidence() string {
	timed := 0
	for _, line := range p.Proofs {
		if line.Finding == Passed && line.Seconds > 0 && line.Level >= "L3" {
			timed++
		}
	}
	if timed == 0 {
		return ""
	}
	return fmt.Sprintf("the machine time of %s against the RTO, by phase", plural(timed, "full restore"))
}

func (p *Period) controlEvidence() string {
	planted, caught := 0, 0
	for _, c := range p.Controls {
		planted += c.Planted
		caught += c.Caught
	}
	if planted == 0 {
		return ""
	}
	return fmt.Sprintf("%s planted on purpose, %s caught, %s missed", plural(planted, "fault"), count(caught), count(planted-caught))
}

func (p *Period) drillEvidence() string {
	if len(p.Drills) == 0 {
		return ""
	}
	var names []string
	for _, d := range p.Drills {
		names = append(names, d.Kind+" "+d.ID)
	}
	if len(names) > 6 {
		names = append(names[:5], plural(len(p.Drills)-5, "more exercise"))
	}
	return fmt.Sprintf("%s: %s", plural(len(p.Drills), "exercise"), list(names))
}

func (p *Period) actionEvidence() string {
	if len(p.Actions) == 0 {
		return ""
	}
	n := map[string]int{}
	for _, a := range p.Actions {
		n[a.State]++
	}
	return fmt.Sprintf("%s from exercises: %s closed by a passed test, %s open, %s late",
		plural(len(p.Actions), "action"), count(n["closed"]), count(n["open"]), count(n["late"]))
}

func (p *Period) restoreEvidence() string {
	if len(p.Restores) == 0 {
		return ""
	}
	return plural(len(p.Restores), "restore") + " on request, with the recovery point, the target and the time taken"
}

func (p *Period) suspectEvidence() string {
	if len(p.Suspects) == 0 {
		return ""
	}
	return plural(len(p.Suspects), "record") + " of suspicious recovery points"
}

func (p *Period) inventoryEvidence() string {
	if p.Inventory == nil {
		return ""
	}
	return fmt.Sprintf("the inventory of record %d: what the sources hold, and what of it no function covers", p.Inventory.Sequence)
}

func (p *Period) sampleEvidence() string {
	points := 0
	for _, x := range p.Programme {
		points += x.Sample.Points
	}
	if points == 0 {
		return ""
	}
	return plural(points, "recovery point") + " restored with a verdict, with the rule that chose each and what that says of the others"
}
