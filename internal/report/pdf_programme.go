package report

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/saypro/backupd/internal/sheet"
)

// found tells what the sources hold, and how the sites keep it.
func (d *paper) found(p *page) {
	d.heading("What the sources hold")
	i := p.Inventory
	if i == nil {
		d.none("No record up to the end of the period says what the sources hold; a running service records it daily. What no function covers is not known.")
		return
	}
	d.para(cmp.Or(upperFirst(p.Uncovered), "Every table that was found is in the scope of a function") +
		fmt.Sprintf(", by the newest inventory, record %d of %s; %s in the period.", i.Sequence, when(i.Time), plural(i.Looks, "look")))
	t := table([]float64{2, 3, 3, 4, 3}, "Source", "Database, server", "Tables in functions", "In no function: tables by schema", "Databases of no source")
	for _, name := range sortedKeys(i.Sources) {
		s := i.Sources[name]
		if s.Error != "" {
			t.row(words(name), graded(gradeUnknown, "not known", short(s.Error)), words(""), words(""), words(""))
			continue
		}
		t.row(words(name), twice(s.Database, s.Version), words(counts(s.Covered)), words(cmp.Or(counts(s.Uncovered), "none")+more(s.More)), words(cmp.Or(strings.Join(s.Databases, ", "), "none")))
	}
	d.table(t)
	for _, c := range i.Changes {
		d.bullet(c)
	}
	if len(i.Sites) == 0 {
		return
	}
	t = table([]float64{2, -1.6, -1.6, 2, 3, -1.6, 3, -1.6}, "Site", "Objects", "Size", "Lock", "All protected until", "Not protected", "Unread since", "Never read")
	for _, name := range sortedKeys(i.Sites) {
		s := i.Sites[name]
		lock, until, open := graded(gradeUnknown, "none", ""), "–", "–"
		if s.Lock != "" {
			lock, until, open = words(s.Lock), when(s.LockedUntil), count(s.Unprotected)
		}
		t.row(words(name), words(count(s.Objects)), words(size(s.Bytes)), lock, words(until), words(open), words(when(s.OldestRead)), words(count(s.NeverRead)))
	}
	d.table(t)
}

func upperFirst(text string) string {
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

func counts(m map[string]int) string {
	var out []string
	for _, name := range sortedKeys(m) {
		out = append(out, name+": "+count(m[name]))
	}
	return strings.Join(out, ", ")
}

func more(n int) string {
	if n == 0 {
		return ""
	}
	return " and " + count(n) + " names more"
}

// programme holds the proofs against what was planned.
func (d *paper) programme(p *page) {
	d.chapter("Test programme", "", "")
	if len(p.Programme) == 0 {
		d.none("No proof was promised and none was made: there is no programme.")
		return
	}
	d.para("What the rhythm of proofs in force comes to, what was done, and what that says. The bound holds with a confidence of 95 % if the points proven are taken as a random sample (Clopper and Pearson); only those chosen at random are one. " +
		"The size at which machine time alone would fill the RTO is an estimate in proportion.")
	t := table([]float64{2.2, -1.3, -1.3, -1.3, -1.3, 2, 2.2, -1.7, -1.7, -1.8, -1.8}, "Function, site", "Planned", "Ended", "Missed", "Passed", "Levels, exercises", "Chosen by", "Bad at most", "Median", "Worst, RTO", "RTO filled at")
	for _, x := range p.Programme {
		planned := "none"
		if x.Planned != nil {
			planned = fmt.Sprint(*x.Planned)
		}
		bound, middle, worst, filled := "no sample", "–", words("not measured"), "–"
		if x.Sample.AtMost != nil {
			bound = upTo(*x.Sample.AtMost)
		}
		if r := x.Recovery; r != nil {
			middle, worst = span(r.MedianSeconds), twice(span(r.WorstSeconds), orDash(r.RTOSeconds))
			if r.BreaksAtBytes > 0 {
				filled = size(r.BreaksAtBytes)
			}
		}
		missed := words("0")
		if x.Missed > 0 {
			missed = words(sheet.Sign(gradeBad) + " " + count(x.Missed))
		}
		t.row(twice(x.Function, x.Site), words(planned), words(count(x.Ended)), missed, words(count(x.Passed)), twice(cmp.Or(counts(x.Levels), "none"), strings.Join(x.Exercises, ", ")),
			words(counts(x.Sample.Rules)), words(bound), words(middle), worst, words(filled))
	}
	d.table(t)
}
