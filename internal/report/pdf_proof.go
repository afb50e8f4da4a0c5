package report

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/saypro/backupd/internal/evidence"
)

// PDF writes the report as a PDF.
func (p *Proof) PDF(w io.Writer) error {
	d, err := newPaper(p.title(), fmt.Sprintf("%s · log of %s records, root %s", p.title(), count(p.Cover.Size), p.Cover.Root), p.Cover.Generated)
	if err != nil {
		return err
	}
	d.title(p.title(), "One restore into scratch and what was found, from the signed records of the evidence log alone. All times are UTC.")
	sentences := some(p.conclusion(), p.Problem)
	if p.Objection != "" {
		sentences = append(sentences, "CONTRADICTION: "+p.Objection)
	}
	d.card("Outcome", gradeOf(p.Finding), string(p.Finding), sentences)
	d.figures(p.figures())
	d.proofSubject(p)
	d.proofContext(p)
	d.proofLevels(p)
	d.proofTime(p)
	d.proofChecks(p)
	d.proofTables(p)
	d.proofPlace(p)
	d.chapter("Not proven", "", "")
	for _, text := range p.NotProven {
		d.bullet(text)
	}
	d.verification(p.Cover)
	return d.write(w)
}

func (d *paper) proofSubject(p *Proof) {
	d.chapter("What was proven", "", "")
	announced := "no intent is recorded"
	if p.Intent != nil {
		announced = fmt.Sprintf("record %d, before it began", *p.Intent)
		if !p.IntentTime.IsZero() {
			announced = fmt.Sprintf("record %d of %s, before it began", *p.Intent, when(p.IntentTime))
		}
	}
	d.facts("Function", p.Function, "Recovery point", when(p.RecoveryPoint)+", snapshot "+p.Snapshot, "Site", p.Site+", and no other", "Chosen", p.selectionText(),
		"Commit object", cmp.Or(p.Commit, "not recorded"),
		"Size", fmt.Sprintf("%s of data, %s read from the site; %s, %s rows restored", size(p.BytesRaw), size(p.Fetched), plural(p.Tables, "table"), count(p.Rows)),
		"Announced", announced, "Result", fmt.Sprintf("record %d of %s", p.Sequence, when(p.Time)), "Asked for by", cmp.Or(p.By, "not recorded"), "Exercise", cmp.Or(p.Drill, "none"))
}

// proofContext tells of the policy, the capture and the proofs before.
func (d *paper) proofContext(p *Proof) {
	if x := p.Policy; x != nil {
		f := x.Functions[p.Function]
		d.facts("Policy in force", fmt.Sprintf("record %d of %s: RPO %s, RTO %s, scope %s; SHA-256 %s", x.Sequence, when(x.Time), span(f.RPOSeconds), span(f.RTOSeconds),
			cmp.Or(strings.Join(f.Scope, ", "), "the whole database"), x.SHA256))
	}
	if c := p.Captured; c != nil {
		var durable []string
		for _, site := range sortedKeys(c.Durable) {
			durable = append(durable, site+" since "+when(c.Durable[site]))
		}
		d.facts("Captured", fmt.Sprintf("record %d, %s to %s, %s rows, %s, %s of it new", c.Sequence, when(c.Started), until(c.Started, c.Ended), count(c.Rows), size(c.BytesRaw), size(c.BytesNew)),
			"Durable", cmp.Or(strings.Join(durable, ", "), "at no site that is recorded"))
	}
	for _, e := range p.Before {
		d.facts("Proof before", fmt.Sprintf("from %s, record %d, %s before this one: %s, %s", e.Site, e.Sequence, span(e.AgeSeconds), cmp.Or(e.Level, "no level"), e.Finding))
	}
}

func (d *paper) proofLevels(p *Proof) {
	d.chapter("Levels", "", "")
	t := table([]float64{1, 9, 2.4}, "Level", "What holds there", "")
	for _, s := range p.Steps {
		t.row(words(s.Level.Level), words(s.Meaning), graded(gradeOf(s.State), s.State, ""))
	}
	d.table(t)
}

func (d *paper) proofTime(p *Proof) {
	d.chapter("Time", "", "")
	d.bars(p.Phases, p.Seconds)
	if p.Seconds == 0 {
		d.none("No time was recorded.")
		return
	}
	text := span(p.Seconds) + " of machine time from begin to end"
	if p.RTOSeconds > 0 {
		text += "; the RTO is " + span(p.RTOSeconds)
	}
	d.para(text + ". Phases overlap. People notice, decide and switch over besides: this is no recovery time by itself.")
}

func (d *paper) proofChecks(p *Proof) {
	d.chapter("Checks", "", "")
	if len(p.Checks) == 0 {
		d.none("No check is recorded.")
		return
	}
	t := table([]float64{1, 3.4, 2, 2, 2, 4}, "Level", "Check", "Verdict", "Expected", "Observed", "Detail")
	for _, c := range p.Checks {
		t.row(words(c.Level), twice(c.Name, after("SHA-256 ", c.Definition)), graded(gradeOf(c.Status), string(c.Status), ""), words(strings.TrimSpace(c.Operator+" "+c.Expected)), words(c.Observed), words(c.Detail))
	}
	d.table(t)
}

func (d *paper) proofTables(p *Proof) {
	d.chapter("Tables", "", "")
	if len(p.Compared) == 0 {
		d.none("No table was compared.")
		return
	}
	t := table([]float64{3.4, -1.8, -1.8, 5.4, 2}, "Table", "Rows at the source", "Rows restored", "Digest at the source, as restored", "")
	for _, x := range p.Compared {
		digest := words(x.Digest)
		if x.Digest != x.FoundDigest {
			digest.below = cmp.Or(x.FoundDigest, "not read")
		}
		grade, chip := tableGrade(x)
		t.row(words(x.Name), words(count(x.Rows)), words(count(x.FoundRows)), digest, graded(grade, chip, ""))
	}
	d.table(t)
}

func tableGrade(t evidence.Table) (grade, words string) {
	switch {
	case t.FoundDigest == "":
		return gradeUnknown, "not compared"
	case same(t):
		return gradeGood, "equal"
	default:
		return gradeBad, "different"
	}
}

func (d *paper) proofPlace(p *Proof) {
	d.chapter("Where it ran", "", "")
	e := p.Environment
	host := cmp.Or(e.Host, "not recorded")
	if e.Processors > 0 {
		host += ", " + plural(e.Processors, "processor")
	}
	d.facts("Host", host, "Restored into", cmp.Or(e.Engine, "not recorded"), "Catalog", cmp.Or(e.Catalog, "not recorded"), "Key", cmp.Or(e.Key, "not recorded"),
		"At the same time", cmp.Or(strings.Join(e.Concurrent, ", "), "nothing that is recorded"), "Program", "backupd "+p.Program)
}
