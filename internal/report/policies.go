package report

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/saypro/backupd/internal/evidence"
)

// addPolicies reads the policy that was in force when the period began, and
// every one since.
func (p *Period) addPolicies(l Log) error {
	records, err := l.all(evidence.ActPolicy, "", time.Time{}, p.readTo)
	if err != nil {
		return err
	}
	var before *evidence.Policy
	for _, r := range records {
		if r.Policy == nil {
			continue
		}
		now := Policy{
			Sequence: r.Sequence, Time: r.Time.UTC(), By: r.By, SHA256: r.Policy.SHA256, Sites: r.Policy.Sites,
			Functions: p.only(r.Policy.Functions), Before: r.Time.Before(p.From), Changes: []string{},
		}
		if before != nil {
			now.Changes = p.changes(*before, *r.Policy)
		}
		before = r.Policy
		if n := len(p.Policies); n > 0 && now.Before {
			p.Policies[n-1] = now // only the last one before the period counts
			continue
		}
		p.Policies = append(p.Policies, now)
	}
	for i := range p.Policies {
		if p.Policies[i].Before {
			p.Policies[i].Changes = []string{}
		}
		p.Sites = union(p.Sites, p.Policies[i].Sites)
	}
	return nil
}

// only keeps the function that the report is about.
func (p *Period) only(functions map[string]evidence.FunctionObjective) map[string]evidence.FunctionObjective {
	if p.Function == "" {
		return functions
	}
	out := map[string]evidence.FunctionObjective{}
	if f, ok := functions[p.Function]; ok {
		out[p.Function] = f
	}
	return out
}

// changes says in sentences what a policy changes.
func (p *Period) changes(from, to evidence.Policy) []string {
	out := []string{}
	if !slices.Equal(from.Sites, to.Sites) {
		out = append(out, fmt.Sprintf("sites: %s, before %s", list(to.Sites), list(from.Sites)))
	}
	out = append(out, termsChanges(from.Terms, to.Terms)...)
	a, b := p.only(from.Functions), p.only(to.Functions)
	for _, name := range union(sortedKeys(a), sortedKeys(b)) {
		old, was := a[name]
		now, is := b[name]
		switch {
		case !was:
			out = append(out, fmt.Sprintf("%s is new: RPO %s, RTO %s", name, span(now.RPOSeconds), span(now.RTOSeconds)))
		case !is:
			out = append(out, fmt.Sprintf("%s is no longer protected", name))
		default:
			out = append(out, objectiveChanges(name, old, now)...)
		}
	}
	return out
}

func objectiveChanges(name string, old, now evidence.FunctionObjective) []string {
	var out []string
	differ := func(what, before, after string) {
		if before != after {
			out = append(out, fmt.Sprintf("%s: %s %s, before %s", name, what, cmp.Or(after, "none"), cmp.Or(before, "none")))
		}
	}
	differ("RPO", span(old.RPOSeconds), span(now.RPOSeconds))
	differ("RTO", span(old.RTOSeconds), span(now.RTOSeconds))
	differ("priority", strconv.Itoa(old.Priority), strconv.Itoa(now.Priority))
	differ("source", old.Source, now.Source)
	differ("scope", list(old.Scope), list(now.Scope))
	differ("proofs every", span(old.ProveEverySeconds), span(now.ProveEverySeconds))
	differ("proofs to level", old.ProveLevel, now.ProveLevel)
	differ("recovery points kept", kept(old.Keep), kept(now.Keep))
	if !maps.Equal(old.Checks, now.Checks) {
		out = append(out, name+": its own checks, "+checksChange(old.Checks, now.Checks))
	}
	return append(out, functionTermsChanges(name, old.Terms, now.Terms)...)
}

func checksChange(old, now map[string]string) string {
	var words []string
	for _, check := range union(sortedKeys(old), sortedKeys(now)) {
		switch a, b := old[check], now[check]; {
		case a == "":
			words = append(words, check+" is new")
		case b == "":
			words = append(words, check+" is gone")
		case a != b:
			words = append(words, check+" has another definition")
		}
	}
	return list(words)
}

// kept is a rule of retention in words, "24 hourly, 7 daily".
func kept(rules map[string]int) string {
	var words []string
	for _, name := range sortedKeys(rules) {
		words = append(words, fmt.Sprintf("%d %s", rules[name], name))
	}
	return list(words)
}

// objective returns what was promised of a function at the end of the period;
// of one that is gone by then, what was promised last.
func (p *Period) objective(function string) (evidence.FunctionObjective, bool) {
	for _, policy := range slices.Backward(p.Policies) {
		if o, ok := policy.Functions[function]; ok {
			return o, true
		}
	}
	return evidence.FunctionObjective{}, false
}

// names are the functions that the period is about: all that a policy in force
// in it names, and all of which a record tells.
func (p *Period) names(l Log) ([]string, error) {
	if p.Function != "" {
		return []string{p.Function}, nil
	}
	out, err := l.captured(p.From, p.readTo)
	if err != nil {
		return nil, err
	}
	for _, policy := range p.Policies {
		out = union(out, sortedKeys(policy.Functions))
	}
	for _, x := range p.Proofs {
		out = union(out, []string{x.Function})
	}
	for _, x := range p.Failures {
		out = union(out, []string{x.Function})
	}
	for _, x := range p.Unanswered {
		out = union(out, []string{x.Function})
	}
	out = slices.DeleteFunc(out, func(name string) bool { return name == "" })
	slices.Sort(out)
	return out, nil
}

// captured are the functions of which a snapshot is recorded in a period: those
// with a roll-up of a day, and where there is none, those of the records.
func (l Log) captured(from, to time.Time) ([]string, error) {
	rolled, err := l.all(evidence.ActDay, "", from, time.Time{})
	if err != nil {
		return nil, err
	}
	var out []string
	days := map[string]evidence.Day{}
	for _, r := range rolled {
		if r.Day == nil {
			continue
		}
		days[r.Day.Date] = *r.Day
		if begin, err := time.Parse(time.DateOnly, r.Day.Date); err == nil && begin.Before(to) {
			out = union(out, []string{r.Function})
		}
	}
	for _, s := range stretches(days, from, to) {
		if s.day != nil {
			continue
		}
		for r, err := range l.Find(evidence.ActSnapshot, "", s.from, s.to) {
			if err != nil {
				return nil, readError(evidence.ActSnapshot, err)
			}
			out = union(out, []string{r.Function})
		}
	}
	return out, nil
}
