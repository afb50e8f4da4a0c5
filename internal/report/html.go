package report

import (
	"embed"
	"fmt"
	"html/template"
	"io"
	"strings"

	"github.com/saypro/backupd/internal/evidence"
	"github.com/saypro/backupd/internal/sheet"
)

//go:embed page/*.html
var pageFiles embed.FS

// pages are the templates of both reports. Their own texts apart, all that they
// show is escaped by html/template.
var pages = template.Must(template.New("").Funcs(template.FuncMap{
	"csp":      sheet.Policy,
	"style":    sheet.Style,
	"when":     when,
	"until":    until,
	"span":     span,
	"spanOr":   spanOr,
	"size":     size,
	"count":    func(n any) string { return grouped(fmt.Sprint(n)) },
	"plural":   plural,
	"join":     func(words []string) string { return strings.Join(words, ", ") },
	"keep":     kept,
	"phases":   phaseText,
	"levels":   func() []Level { return Levels },
	"silence":  func() string { return span(silenceLimit.Seconds()) },
	"attained": func(v View) string { return v.attained() },
	"mark":     sheet.Mark,
	"sign":     sheet.Sign,
	"short":    short,
	"upTo":     upTo,
	"chip":     func(v Verdict) template.HTML { return sheet.Mark(gradeOf(v), string(v)) },
	"finding":  func(f Finding) template.HTML { return sheet.Mark(gradeOf(f), string(f)) },
	"outcome":  func(o evidence.Outcome) template.HTML { return sheet.Mark(gradeOf(o), string(o)) },
	"check":    func(s evidence.Status) template.HTML { return sheet.Mark(gradeOf(s), string(s)) },
	"step":     func(s string) template.HTML { return sheet.Mark(gradeOf(s), s) },
	"class":    func(v any) string { return gradeOf(v) },
	"table":    tableMark,
	"bars":     bars,
	"pair":     func(title string, rows []violationRow) violationTable { return violationTable{title, rows} },
}).ParseFS(pageFiles, "page/*.html"))

// The grades of what is told. They differ by shape and sign as well as by
// colour, and only good looks good.
const (
	gradeGood    = sheet.Good
	gradeWarn    = sheet.Warn
	gradeBad     = sheet.Bad
	gradeUnknown = sheet.Unknown
)

// grade says how something is to look: what no rule knows is unknown.
func gradeOf(v any) string {
	switch v {
	case Kept, Passed, evidence.Done, evidence.Pass, LevelHolds:
		return gradeGood
	case Partly, evidence.Degraded:
		return gradeWarn
	case Broken, Difference, evidence.Different, evidence.Failed, evidence.CutShort, CutShort, evidence.Fail, LevelFails:
		return gradeBad
	default:
		return gradeUnknown
	}
}

func tableMark(t evidence.Table) template.HTML { return sheet.Mark(tableGrade(t)) }

// bars draws the phases of a recovery.
func bars(phases map[string]float64, total float64) template.HTML {
	list := phasesOf(phases)
	top := total
	for _, p := range list {
		top = max(top, p.Seconds)
	}
	if top <= 0 {
		top = 1
	}
	const left, width, row = 90.0, 720.0, 22.0
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="bars" viewBox="0 0 940 %g" role="img" aria-label="Time by phase">`, row*float64(len(list))+6)
	for i, p := range list {
		y := row * float64(i)
		fmt.Fprintf(&b, `<text class="blab" x="%g" y="%g">%s</text><rect class="bar" x="%g" y="%g" width="%s" height="13"/><text x="%s" y="%g">%s</text>`,
			left-8, y+13, template.HTMLEscapeString(p.Name), left, y+3, num(max(width*p.Seconds/top, 1)), num(left+max(width*p.Seconds/top, 1)+7), y+13, span(p.Seconds))
	}
	b.WriteString(`</svg>`)
	return template.HTML(b.String())
}

// HTML writes the report as one page that needs nothing else.
func (p *Period) HTML(w io.Writer) error {
	if err := pages.ExecuteTemplate(w, "period", p.page()); err != nil {
		return fmt.Errorf("write the report as HTML: %w", err)
	}
	return nil
}

// HTML writes the report as one page that needs nothing else.
func (p *Proof) HTML(w io.Writer) error {
	if err := pages.ExecuteTemplate(w, "proof", proofPage{Proof: p, P: titled{p.title()}, Figures: p.figures(), Conclusion: p.conclusion(), Signers: signers, SelectionText: p.selectionText()}); err != nil {
		return fmt.Errorf("write the report as HTML: %w", err)
	}
	return nil
}

// signers are who signs at the end.
var signers = []string{"Reviewed by", "Approved by"}

type titled struct{ Title string }

type proofPage struct {
	*Proof
	P             titled
	Figures       []figure
	Conclusion    string
	Signers       []string
	SelectionText string
}
