package report

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"strings"

	"github.com/saypro/backupd/internal/evidence"
)

//go:embed page/*.html
var pageFiles embed.FS

//go:embed page/style.css
var style string

// csp lets a browser load and run nothing: the page is all there is. Its one
// style is allowed by its hash.
func csp() string {
	sum := sha256.Sum256([]byte(style))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'"
}

// pages are the templates of both reports. Their own texts apart, all that they
// show is escaped by html/template.
var pages = template.Must(template.New("").Funcs(template.FuncMap{
	"csp":      csp,
	"style":    func() template.CSS { return template.CSS(style) },
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
	"mark":     mark,
	"chip":     func(v Verdict) template.HTML { return mark(gradeOf(v), string(v)) },
	"finding":  func(f Finding) template.HTML { return mark(gradeOf(f), string(f)) },
	"outcome":  func(o evidence.Outcome) template.HTML { return mark(gradeOf(o), string(o)) },
	"check":    func(s evidence.Status) template.HTML { return mark(gradeOf(s), string(s)) },
	"step":     func(s string) template.HTML { return mark(gradeOf(s), s) },
	"class":    func(v any) string { return gradeOf(v) },
	"table":    tableMark,
	"bars":     bars,
	"pair":     func(title string, rows []violationRow) violationTable { return violationTable{title, rows} },
}).ParseFS(pageFiles, "page/*.html"))

// The grades of what is told. They differ by shape and sign as well as by
// colour, and only good looks good.
const (
	gradeGood    = "good"
	gradeWarn    = "warn"
	gradeBad     = "bad"
	gradeUnknown = "unknown"
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

// signs go before the words of a grade.
var signs = map[string]string{gradeGood: "●", gradeWarn: "▲", gradeBad: "■", gradeUnknown: "○"}

func mark(grade, text string) template.HTML {
	return template.HTML(fmt.Sprintf(`<span class="chip %s">%s %s</span>`, grade, signs[grade], template.HTMLEscapeString(text)))
}

func tableMark(t evidence.Table) template.HTML { return mark(tableGrade(t)) }

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
