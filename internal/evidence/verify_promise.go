package evidence

import (
	"fmt"
	"maps"
	"slices"
)

// promised takes in what is promised from a record on, and warns of what is less
// than before.
func (v *verifier) promised(seq uint64, r *Record) {
	before, now := v.promise, r.Policy
	if before != nil {
		for _, less := range lowered(before, now) {
			v.warn(Warning{Record: &seq, Kind: WarnLowered, Text: fmt.Sprintf("at %s %s", stamp(r.Time), less)})
		}
	}
	v.rhythm(seq, now, r.Time)
	v.promise, v.promisedAt = now, seq
}

// namesPromise reports whether a record is one that names the policy before it.
func (r *Record) namesPromise() bool { return r.Phase == Intent || r.Act == ActPolicy }

// underPromise checks that the policy that a record names as the newest before it
// is the newest that is there. What is missing is told once.
func (v *verifier) underPromise(seq uint64, r *Record) {
	if r.Promise == nil || v.unpromised[*r.Promise] {
		return
	}
	switch named := *r.Promise; {
	case v.promise == nil || v.promisedAt != named:
		v.unpromised[named] = true
		v.found(&seq, FoundPromise, "it says that record %d is the newest policy before it, and %s", named, v.newestPromise())
	case named <= v.out.From && seq >= v.out.From: // the bundle's first record is from before the period
		v.out.PromiseShown = true
	}
}

// beginsUnder takes in the first record of a bundle of a part: a policy there is the
// newest when the period begins. When there was an anchor before is not known: that
// counts from this record.
func (v *verifier) beginsUnder(r *Record) {
	v.out.PromiseShown = r.Policy != nil && v.out.From > 0
	if v.promise == nil {
		return
	}
	for to, every := range v.promise.Anchors {
		v.due[to] = dueFrom(r.Time, every)
	}
}

// unshownPromise warns when nothing shows what was promised when the period begins.
func (v *verifier) unshownPromise() {
	if v.out.From == 0 || v.out.From == v.out.To || v.out.PromiseShown || len(v.unpromised) > 0 {
		return
	}
	w := Warning{Kind: WarnUnpromised, From: v.out.First, Text: "no policy from before the period came along, and no record names one"}
	if n := len(v.earlierPolicies); n > 0 {
		w.Text = fmt.Sprintf("record %d is the newest policy that came along from before the period, and no record names it as the newest", v.earlierPolicies[n-1])
	}
	v.warn(w)
}

func (v *verifier) newestPromise() string {
	if v.promise == nil {
		return "none came along"
	}
	return fmt.Sprintf("that is record %d", v.promisedAt)
}

// promisedBefore takes in what was promised last before the period. When it was
// last anchored is not known: that counts from the first record.
func (v *verifier) promisedBefore() {
	for i := range v.earlierRecords {
		r := &v.earlierRecords[i]
		v.underPromise(r.Sequence, r)
		if r.Policy == nil {
			continue
		}
		v.promise, v.promisedAt = r.Policy, r.Sequence
		v.earlierPolicies = append(v.earlierPolicies, r.Sequence)
	}
}

// lowered says, a sentence each with before and after, what one promise has less
// of than the one before it.
func lowered(before, now *Policy) (out []string) {
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	for _, site := range before.Sites {
		if !slices.Contains(now.Sites, site) {
			say("site %s was dropped: %v before, %v now", site, before.Sites, now.Sites)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(before.Functions)) {
		f, kept := now.Functions[name]
		if !kept {
			say("function %s was dropped", name)
			continue
		}
		before.Functions[name].lowered(&f, func(format string, args ...any) { say("%s: "+format, append([]any{name}, args...)...) })
	}
	for _, to := range slices.Sorted(maps.Keys(before.Anchors)) {
		rarer("anchors by "+to, before.Anchors[to], now.Anchors[to], say)
	}
	if before.Terms != nil && now.Terms != nil {
		before.Terms.lowered(now.Terms, say)
	}
	return out
}

func (t *Terms) lowered(now *Terms, say func(string, ...any)) {
	if now.MinSites < t.MinSites {
		say("%d sites must hold a recovery point, and %d had to", now.MinSites, t.MinSites)
	}
	rarer("scrubs", t.ScrubEverySeconds, now.ScrubEverySeconds, say)
	rarer("negative controls", t.ControlsEverySeconds, now.ControlsEverySeconds, say)
	for _, name := range slices.Sorted(maps.Keys(t.Sites)) {
		was, is := t.Sites[name], now.Sites[name]
		switch {
		case was.Lock != "" && is.Lock == "":
			say("what site %s holds is locked no longer, and was for %s (%s)", name, inSeconds(was.LockSeconds), was.Lock)
		case is.LockSeconds < was.LockSeconds:
			say("what site %s holds is locked for %s, and was for %s", name, inSeconds(is.LockSeconds), inSeconds(was.LockSeconds))
		}
	}
}

func (f FunctionObjective) lowered(now *FunctionObjective, say func(string, ...any)) {
	for _, o := range []struct {
		name        string
		before, now float64
	}{{"RPO", f.RPOSeconds, now.RPOSeconds}, {"RTO", f.RTOSeconds, now.RTOSeconds}} {
		if o.now > o.before {
			say("the %s was raised from %s to %s", o.name, inSeconds(o.before), inSeconds(o.now))
		}
	}
	rarer("proofs", f.ProveEverySeconds, now.ProveEverySeconds, say)
	if slices.Index(levels, now.ProveLevel) < slices.Index(levels, f.ProveLevel) {
		say("proofs go to level %s, and went to %s", now.ProveLevel, f.ProveLevel)
	}
	if f.Source != now.Source {
		say("it is captured from %s, and was from %s", now.Source, f.Source)
	}
	for _, part := range f.Scope {
		if !slices.Contains(now.Scope, part) {
			say("%s is no longer captured: %v before, %v now", part, f.Scope, now.Scope)
		}
	}
	for _, check := range slices.Sorted(maps.Keys(f.Checks)) {
		switch definition, kept := now.Checks[check]; {
		case !kept:
			say("check %s was removed", check)
		case definition != f.Checks[check]:
			say("check %s is another one, with the digest %s, and was %s: it may ask for less", check, definition, f.Checks[check])
		}
	}
	f.keepsLess(now, say)
}

// keepsLess compares how many recovery points are kept. No rules keep all.
func (f FunctionObjective) keepsLess(now *FunctionObjective, say func(string, ...any)) {
	if len(now.Keep) == 0 {
		return
	}
	if len(f.Keep) == 0 {
		say("recovery points are given up by rules now, %v, and all were kept", now.Keep)
		return
	}
	for _, rule := range slices.Sorted(maps.Keys(f.Keep)) {
		if now.Keep[rule] < f.Keep[rule] {
			say("it keeps %d recovery points by the rule %s, and kept %d", now.Keep[rule], rule, f.Keep[rule])
		}
	}
}

// rarer says that something is promised more seldom; 0 seconds is not at all.
func rarer(what string, before, now float64, say func(string, ...any)) {
	if before > 0 && (now == 0 || now > before) {
		say("%s are promised %s, and were every %s", what, everyOrNone(now), inSeconds(before))
	}
}

func everyOrNone(s float64) string {
	if s == 0 {
		return "no longer"
	}
	return "every " + inSeconds(s).String()
}
