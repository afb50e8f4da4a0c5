package report

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"codeberg.org/go-pdf/fpdf"
	"github.com/go-fonts/liberation/liberationmonoregular"
	"github.com/go-fonts/liberation/liberationsansbold"
	"github.com/go-fonts/liberation/liberationsansregular"
	"golang.org/x/image/font/sfnt"

	"github.com/saypro/backupd/internal/sheet"
)

// The measures of a page, in millimetres.
const (
	pageMargin = 16.0
	pageWidth  = 210 - 2*pageMargin
	pageEnd    = 297 - 18.0
)

// colour is one of the colours of a document.
type colour struct{ r, g, b int }

var (
	inkColour     = colour{23, 32, 42}
	softColour    = colour{85, 96, 108}
	ruleColour    = colour{207, 213, 221}
	faintColour   = colour{238, 241, 244}
	whiteColour   = colour{255, 255, 255}
	lineColour    = colour{11, 92, 143}
	bandColour    = colour{156, 198, 226}
	areaColour    = colour{220, 235, 245}
	shadeColour   = colour{246, 205, 184}
	absentColour  = colour{213, 216, 220}
	badColour     = colour{176, 42, 0}
	warnColour    = colour{138, 90, 0}
	unknownColour = colour{90, 95, 102}
)

func gradeColour(grade string) colour {
	switch grade {
	case gradeGood:
		return lineColour
	case gradeWarn:
		return warnColour
	case gradeBad:
		return badColour
	default:
		return unknownColour
	}
}

// paper is a PDF that is being written, from top to bottom.
type paper struct {
	pdf   *fpdf.Fpdf
	face  *sfnt.Font
	known map[rune]bool // whether the font has it
	// lacking is set when something was written by its number.
	lacking bool
}

func newPaper(title, footer string, made time.Time) (*paper, error) {
	face, err := sfnt.Parse(liberationsansregular.TTF)
	if err != nil {
		return nil, fmt.Errorf("read the font of the report: %w", err)
	}
	d := &paper{pdf: fpdf.New("P", "mm", "A4", ""), face: face, known: map[rune]bool{}}
	pdf := d.pdf
	pdf.AddUTF8FontFromBytes("sans", "", liberationsansregular.TTF)
	pdf.AddUTF8FontFromBytes("sans", "B", liberationsansbold.TTF)
	pdf.AddUTF8FontFromBytes("mono", "", liberationmonoregular.TTF)
	// The same records make the same bytes.
	pdf.SetCreationDate(made)
	pdf.SetModificationDate(made)
	pdf.SetCatalogSort(true)
	pdf.SetTitle(title, true)
	pdf.SetCreator("backupd", true)
	pdf.SetLang("en")
	pdf.SetMargins(pageMargin, 16, pageMargin)
	pdf.SetAutoPageBreak(false, 0)
	pdf.SetCellMargin(0)
	pdf.AliasNbPages("{nb}")
	pdf.SetFooterFunc(func() {
		pdf.SetXY(pageMargin, 297-12)
		d.font("", 7.5, softColour)
		pdf.CellFormat(pageWidth-30, 4, d.clean(footer), "", 0, "L", false, 0, "")
		pdf.CellFormat(30, 4, fmt.Sprintf("page %d of {nb}", pdf.PageNo()), "", 0, "R", false, 0, "")
	})
	pdf.AddPage()
	return d, pdf.Error()
}

// write ends the document and writes it out.
func (d *paper) write(w io.Writer) error {
	if err := d.pdf.Output(w); err != nil {
		return fmt.Errorf("write the report as PDF: %w", err)
	}
	return nil
}

// clean makes a text one that the font can show: what it cannot is written by its
// number, never left out or taken for something else. Scripts that run from
// right to left are among that: this package cannot set them.
func (d *paper) clean(text string) string {
	var b strings.Builder
	for _, r := range strings.ToValidUTF8(text, "\ufffd") {
		switch {
		case r == '\n' || r == '\t':
			b.WriteByte(' ')
		case d.has(r):
			b.WriteRune(r)
		default:
			d.lacking = true
			fmt.Fprintf(&b, "<U+%04X>", r)
		}
	}
	return b.String()
}

func (d *paper) has(r rune) bool {
	known, ok := d.known[r]
	if !ok {
		i, err := d.face.GlyphIndex(nil, r)
		known = err == nil && i != 0 && unicode.IsPrint(r) && !unicode.In(r, unicode.Hebrew, unicode.Arabic, unicode.Mn) || r == '\u00a0'
		d.known[r] = known
	}
	return known
}

func (d *paper) font(style string, points float64, c colour) {
	d.pdf.SetFont("sans", style, points)
	d.pdf.SetTextColor(c.r, c.g, c.b)
}

func (d *paper) fill(c colour)   { d.pdf.SetFillColor(c.r, c.g, c.b) }
func (d *paper) stroke(c colour) { d.pdf.SetDrawColor(c.r, c.g, c.b) }

// need begins a new page unless there is so much room on this one.
func (d *paper) need(height float64) {
	if d.pdf.GetY()+height > pageEnd {
		d.pdf.AddPage()
	}
}

func (d *paper) title(text, lead string) {
	d.font("B", 20, inkColour)
	d.pdf.MultiCell(pageWidth, 8.5, d.clean(text), "", "L", false)
	d.font("", 10, softColour)
	d.pdf.Ln(1)
	d.pdf.MultiCell(pageWidth, 4.8, d.clean(lead), "", "L", false)
	d.pdf.Ln(3)
}

// chapter begins a chapter. With a grade its words follow in a chip.
func (d *paper) chapter(text, grade, words string) {
	d.need(34)
	d.pdf.Ln(6)
	d.font("B", 13, inkColour)
	y := d.pdf.GetY()
	title := d.clean(text)
	d.pdf.Bookmark(title, 0, -1)
	d.pdf.CellFormat(d.pdf.GetStringWidth(title)+4, 6.5, title, "", 0, "L", false, 0, "")
	if grade != "" {
		d.chip(d.pdf.GetX(), y+0.9, grade, words)
	}
	d.pdf.SetXY(pageMargin, y+7.5)
	d.stroke(inkColour)
	d.pdf.SetLineWidth(0.5)
	d.pdf.Line(pageMargin, y+7.5, pageMargin+pageWidth, y+7.5)
	d.pdf.SetLineWidth(0.2)
	d.pdf.Ln(2.5)
}

func (d *paper) heading(text string) {
	d.need(24)
	d.pdf.Ln(2.5)
	d.font("B", 10, inkColour)
	d.pdf.MultiCell(pageWidth, 5, d.clean(text), "", "L", false)
	d.pdf.Ln(0.8)
}

func (d *paper) para(text string) { d.lines(text, "", 9, 4.4, inkColour, 0) }
func (d *paper) note(text string) { d.lines(text, "", 8, 3.9, softColour, 0) }
func (d *paper) none(text string) { d.lines(text, "", 9, 4.4, softColour, 0) }

func (d *paper) bullet(text string) {
	d.need(5)
	d.font("", 9, inkColour)
	d.pdf.Text(pageMargin+0.8, d.pdf.GetY()+3.2, "•")
	d.lines(text, "", 9, 4.4, inkColour, 4)
}

// lines writes a text over as many lines, and pages, as it takes.
func (d *paper) lines(text, style string, points, height float64, c colour, indent float64) {
	d.font(style, points, c)
	for _, line := range d.split(text, pageWidth-indent-2) {
		d.need(height)
		d.font(style, points, c)
		d.pdf.SetX(pageMargin + indent)
		d.pdf.CellFormat(pageWidth-indent, height, line, "", 1, "L", false, 0, "")
	}
	d.pdf.Ln(1)
}

// mono writes text as it is, of characters of one width.
func (d *paper) mono(text string) {
	d.pdf.Ln(0.6)
	for _, line := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
		d.pdf.SetFont("mono", "", 7.4)
		for _, part := range d.split(line, pageWidth-5) {
			d.need(3.9)
			d.pdf.SetFont("mono", "", 7.4)
			d.pdf.SetTextColor(inkColour.r, inkColour.g, inkColour.b)
			d.fill(faintColour)
			d.pdf.SetX(pageMargin)
			d.pdf.CellFormat(pageWidth, 3.9, "  "+part, "", 1, "L", true, 0, "")
		}
	}
	d.pdf.Ln(1.5)
}

// split cuts a text into lines of a width, in the font that is set. A word that
// is wider than that is cut.
func (d *paper) split(text string, width float64) []string {
	var out []string
	line := ""
	put := func() { out, line = append(out, line), "" }
	for _, word := range strings.Split(d.clean(text), " ") {
		joined := word
		if line != "" {
			joined = line + " " + word
		}
		if d.pdf.GetStringWidth(joined) <= width {
			line = joined
			continue
		}
		if line != "" {
			put()
		}
		for _, r := range word {
			if line != "" && d.pdf.GetStringWidth(line+string(r)) > width {
				put()
			}
			line += string(r)
		}
	}
	put()
	return out
}

// facts writes names with their values.
func (d *paper) facts(pairs ...string) {
	for i := 0; i+1 < len(pairs); i += 2 {
		d.font("", 9, inkColour)
		rows := d.split(pairs[i+1], pageWidth-42)
		d.need(4.5 * float64(len(rows)))
		d.font("", 9, softColour)
		d.pdf.SetX(pageMargin)
		d.pdf.CellFormat(40, 4.5, d.clean(pairs[i]), "", 0, "L", false, 0, "")
		d.font("", 9, inkColour)
		for _, row := range rows {
			d.pdf.SetX(pageMargin + 40)
			d.pdf.CellFormat(pageWidth-40, 4.5, row, "", 1, "L", false, 0, "")
		}
	}
	d.pdf.Ln(1.5)
}

// figures writes the numbers that stand out, side by side.
func (d *paper) figures(figures []figure) {
	d.need(20)
	width := pageWidth / float64(len(figures))
	y := d.pdf.GetY() + 1
	d.stroke(ruleColour)
	for i, f := range figures {
		x := pageMargin + width*float64(i)
		d.pdf.Rect(x, y, width, 15, "D")
		d.font("B", 13, inkColour)
		d.pdf.SetXY(x+2, y+1.5)
		d.pdf.CellFormat(width-4, 6, d.clean(f.Value), "", 0, "L", false, 0, "")
		d.font("", 7, softColour)
		for j, line := range d.split(f.Label, width-4) {
			d.pdf.Text(x+3, y+10+3*float64(j), line)
		}
	}
	d.pdf.SetXY(pageMargin, y+18)
}

// chip writes the words of a grade in its shape, and returns how wide it is.
func (d *paper) chip(x, y float64, grade, words string) float64 {
	c := gradeColour(grade)
	d.font("B", 7.2, c)
	text := sheet.Sign(grade) + " " + d.clean(words)
	width := d.pdf.GetStringWidth(text) + 3.4
	d.stroke(c)
	switch grade {
	case gradeBad:
		d.fill(c)
		d.pdf.Rect(x, y, width, 4.2, "F")
		d.font("B", 7.2, whiteColour)
	case gradeUnknown:
		d.pdf.SetDashPattern([]float64{0.7, 0.6}, 0)
		d.pdf.Rect(x, y, width, 4.2, "D")
		d.pdf.SetDashPattern(nil, 0)
	default:
		d.pdf.RoundedRect(x, y, width, 4.2, 2, "1234", "D")
		if grade == gradeWarn {
			d.pdf.RoundedRect(x+.5, y+.5, width-1, 3.2, 1.6, "1234", "D")
		}
	}
	d.pdf.Text(x+1.7, y+3.05, text)
	return width
}

// card is a box with a bar of a grade at its left.
func (d *paper) card(name, grade, words string, sentences []string) {
	d.font("", 9, inkColour)
	height := 9.0
	for _, s := range sentences {
		height += 4.3 * float64(len(d.split(s, pageWidth-14)))
	}
	d.need(min(height, 200) + 3)
	y := d.pdf.GetY() + 1
	d.stroke(ruleColour)
	d.pdf.Rect(pageMargin, y, pageWidth, height, "D")
	d.fill(gradeColour(grade))
	d.pdf.Rect(pageMargin, y, 1.6, height, "F")
	d.font("B", 10, inkColour)
	name = d.clean(name)
	d.pdf.Text(pageMargin+5, y+5.2, name)
	d.chip(pageMargin+5+d.pdf.GetStringWidth(name)+4, y+1.9, grade, words)
	d.pdf.SetXY(pageMargin, y+7.4)
	for _, s := range sentences {
		d.font("", 9, inkColour)
		for _, line := range d.split(s, pageWidth-14) {
			d.pdf.SetX(pageMargin + 5)
			d.pdf.CellFormat(pageWidth-8, 4.3, line, "", 1, "L", false, 0, "")
		}
	}
	d.pdf.SetXY(pageMargin, y+height+2)
}

// sign leaves room for signatures.
func (d *paper) sign() {
	d.need(28)
	y := d.pdf.GetY() + 16
	width := pageWidth/2 - 6
	d.stroke(inkColour)
	for i, who := range signers {
		x := pageMargin + float64(i)*(width+12)
		d.pdf.Line(x, y, x+width, y)
		d.font("", 8, softColour)
		d.pdf.Text(x, y+4, who+": name, date, signature")
	}
	d.pdf.SetXY(pageMargin, y+8)
}
