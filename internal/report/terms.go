package report

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"github.com/saypro/backupd/internal/evidence"
)

// toldFromHere says that a policy of an earlier version told less.
const toldFromHere = "what is promised besides objectives is told from here on; what it was before is not known"

// differences collects sentences about what differs.
type differences struct {
	of  string
	out []string
}

func (d *differences) note(what, before, after string) {
	if before == after {
		return
	}
	if d.of != "" {
		what = d.of + ": " + what
	}
	d.out = append(d.out, fmt.Sprintf("%s %s, before %s", what, cmp.Or(after, "none"), cmp.Or(before, "none")))
}

// notes compares values by name.
func notes[V any](d *differences, what string, before, after map[string]V, say func(V) string) {
	for _, name := range union(sortedKeys(before), sortedKeys(after)) {
		told := func(in map[string]V) string {
			if v, there := in[name]; there {
				return say(v)
			}
			return ""
		}
		d.note(what+" "+name, told(before), told(after))
	}
}

// every is a rhythm in words.
func every(seconds float64) string {
	if seconds == 0 {
		return "never"
	}
	return span(seconds)
}

func yes(is bool) string { return map[bool]string{true: "yes", false: "no"}[is] }

// termsChanges says what changed of what is promised of the whole.
func termsChanges(old, now *evidence.Terms) []string {
	switch {
	case now == nil:
		return nil
	case old == nil:
		return []string{toldFromHere}
	}
	var d differences
	d.note("sites that must hold a recovery point:", strconv.Itoa(old.MinSites), strconv.Itoa(now.MinSites))
	d.note("everything at the sites is read every", every(old.ScrubEverySeconds), every(now.ScrubEverySeconds))
	d.note("negative controls every", every(old.ControlsEverySeconds), every(now.ControlsEverySeconds))
	d.note("what was given up is kept for", span(old.SweepGraceSeconds), span(now.SweepGraceSeconds))
	d.note("recipients of keys:", list(old.Recipients), list(now.Recipients))
	d.note("identity for cold starts:", yes(old.ColdIdentity), yes(now.ColdIdentity))
	notes(&d, "lock of site", old.Sites, now.Sites, func(s evidence.SiteTerms) string {
		if s.Lock == "" {
			return "none"
		}
		return s.Lock + " for " + span(s.LockSeconds)
	})
	notes(&d, "place (its digest) of site", old.Sites, now.Sites, func(s evidence.SiteTerms) string { return s.Kind + " " + digestStart(s.Place) })
	notes(&d, "place (its digest) of source", old.Sources, now.Sources, digestStart)
	return d.out
}

// functionTermsChanges says what changed of what is promised of a function.
func functionTermsChanges(name string, old, now *evidence.FunctionTerms) []string {
	if old == nil || now == nil {
		return nil // told once, of the whole
	}
	d := differences{of: name}
	d.note("cron", old.Cron, now.Cron)
	d.note("failed runs tolerated:", strconv.Itoa(old.TolerateFailedRuns), strconv.Itoa(now.TolerateFailedRuns))
	d.note("large objects:", yes(old.LargeObjects), yes(now.LargeObjects))
	d.note("each recovery point is proven within", every(old.RotateSeconds), every(now.RotateSeconds))
	d.note("cold starts every", every(old.ColdEverySeconds), every(now.ColdEverySeconds))
	a, b := old.Suspicion, now.Suspicion
	d.note("suspicion is switched off:", a.Off, b.Off)
	d.note("rows that may vanish at once:", inPercent(a.RowsDrop), inPercent(b.RowsDrop))
	d.note("rows that may change at once:", inPercent(a.RowsChanged), inPercent(b.RowsChanged))
	d.note("tables are watched from so many rows on:", strconv.Itoa(a.MinRows), strconv.Itoa(b.MinRows))
	notes(&d, "not watched:", a.Ignored, b.Ignored, func(reason string) string { return "because: " + reason })
	notes(&d, "canary", a.Canaries, b.Canaries, digestStart)
	notes(&d, "check", old.Checks, now.Checks, checkTerm)
	return d.out
}

// checkTerm says what a check expects.
func checkTerm(c evidence.CheckTerm) string {
	var words []string
	if c.Expect != "" {
		words = append(words, "expects "+c.Expect)
	}
	if c.SameAtSource {
		words = append(words, "must be the same as at the source")
	}
	if c.Skip != "" {
		words = append(words, "is skipped: "+c.Skip)
	}
	return strings.Join(words, ", ")
}

func inPercent(share float64) string { return strconv.FormatFloat(100*share, 'f', -1, 64) + "%" }

// digestStart is the begin of a digest.
func digestStart(digest string) string { return digest[:min(12, len(digest))] }
