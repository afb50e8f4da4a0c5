package report

// cell is what a table shows at one place: words, below them smaller ones, and
// a chip above them where there is a grade.
type cell struct {
	text, below string
	grade, chip string
}

func words(text string) cell        { return cell{text: text} }
func twice(text, below string) cell { return cell{text: text, below: below} }
func graded(grade, chip, below string) cell {
	return cell{grade: grade, chip: chip, below: below}
}

// cells makes a row of words.
func cells(texts ...string) []cell {
	var out []cell
	for _, t := range texts {
		out = append(out, words(t))
	}
	return out
}

// grid is a table: the share of the width and the head of each column, and the
// rows. A column with a negative share is of numbers.
type grid struct {
	heads  []string
	shares []float64
	rows   [][]cell
}

func table(shares []float64, heads ...string) *grid { return &grid{heads: heads, shares: shares} }

func (g *grid) row(c ...cell) { g.rows = append(g.rows, c) }

const (
	cellText   = 7.6 // points
	cellLine   = 3.5 // millimetres
	cellMargin = 0.9
)

// table writes a table; its head is repeated on every page.
func (d *paper) table(g *grid) {
	total := 0.0
	for _, s := range g.shares {
		total += max(s, -s)
	}
	widths := make([]float64, len(g.shares))
	for i, s := range g.shares {
		widths[i] = max(s, -s) / total * pageWidth
	}
	d.need(16)
	d.head(g, widths)
	for _, row := range g.rows {
		height := d.rowHeight(row, widths)
		if d.pdf.GetY()+height > pageEnd {
			d.pdf.AddPage()
			d.head(g, widths)
		}
		d.tableRow(g, row, widths, height)
	}
	d.pdf.Ln(2.5)
}

func (d *paper) head(g *grid, widths []float64) {
	d.font("B", 7.2, softColour)
	height := 0.0
	split := make([][]string, len(g.heads))
	for i, h := range g.heads {
		split[i] = d.split(h, widths[i]-1.5)
		height = max(height, cellLine*float64(len(split[i])))
	}
	y := d.pdf.GetY()
	x := pageMargin
	for i := range g.heads {
		for j, line := range split[i] {
			d.pdf.SetXY(x, y+height-cellLine*float64(len(split[i])-j))
			d.pdf.CellFormat(widths[i]-1.5, cellLine, line, "", 0, align(g.shares[i]), false, 0, "")
		}
		x += widths[i]
	}
	d.stroke(inkColour)
	d.pdf.SetLineWidth(0.3)
	d.pdf.Line(pageMargin, y+height+1, pageMargin+pageWidth, y+height+1)
	d.pdf.SetLineWidth(0.15)
	d.pdf.SetXY(pageMargin, y+height+1)
}

func align(share float64) string {
	if share < 0 {
		return "R"
	}
	return "L"
}

// maxCellLines bounds a cell so that a row fits on a page. What is longer ends
// with the remark that it does.
const maxCellLines = 60

func (d *paper) cellLines(c cell, width float64) (text, below []string) {
	if c.text != "" {
		d.font("", cellText, inkColour)
		text = bounded(d.split(c.text, width-1.5))
	}
	if c.below != "" {
		d.font("", cellText-.4, softColour)
		below = bounded(d.split(c.below, width-1.5))
	}
	return text, below
}

func bounded(lines []string) []string {
	if len(lines) <= maxCellLines {
		return lines
	}
	return append(lines[:maxCellLines-1:maxCellLines-1], "… (more in the JSON form)")
}

func (d *paper) rowHeight(row []cell, widths []float64) float64 {
	height := 0.0
	for i, c := range row {
		text, below := d.cellLines(c, widths[i])
		h := cellLine * float64(len(text)+len(below))
		if c.chip != "" {
			h += 5
		}
		height = max(height, h)
	}
	return height + 2*cellMargin
}

func (d *paper) tableRow(g *grid, row []cell, widths []float64, height float64) {
	y := d.pdf.GetY()
	x := pageMargin
	for i, c := range row {
		at := y + cellMargin
		if c.chip != "" {
			d.chip(x, at, c.grade, c.chip)
			at += 5
		}
		text, below := d.cellLines(c, widths[i])
		d.font("", cellText, inkColour)
		for _, line := range text {
			d.pdf.SetXY(x, at)
			d.pdf.CellFormat(widths[i]-1.5, cellLine, line, "", 0, align(g.shares[i]), false, 0, "")
			at += cellLine
		}
		d.font("", cellText-.4, softColour)
		for _, line := range below {
			d.pdf.SetXY(x, at)
			d.pdf.CellFormat(widths[i]-1.5, cellLine, line, "", 0, align(g.shares[i]), false, 0, "")
			at += cellLine
		}
		x += widths[i]
	}
	d.stroke(ruleColour)
	d.pdf.Line(pageMargin, y+height, pageMargin+pageWidth, y+height)
	d.pdf.SetXY(pageMargin, y+height)
}
