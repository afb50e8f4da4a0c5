package report

// chart draws a chart as [chart.svg] does, in millimetres.
func (d *paper) chart(c *chart) {
	const left, height = 14.0, 34.0
	d.need(height + 18)
	d.font("B", 8.5, inkColour)
	caption := "Exposure seen from " + c.Title + ": "
	if c.Violations == 0 {
		caption += "within the RPO wherever it is known"
	} else {
		caption += plural(c.Violations, "violation")
	}
	s := c.scale()
	if s.log {
		caption += " (logarithmic scale)"
	}
	if zoom := c.zoomed(); zoom != "" {
		caption += "; " + zoom
	}
	d.pdf.CellFormat(pageWidth, 5, caption, "", 1, "L", false, 0, "")
	top := d.pdf.GetY() + 3.5
	p := plot{d, c, s, pageMargin + left, top, (pageWidth - left) / columns, height}
	p.bands(shadeColour, func(col column) bool { return col.Violated })
	p.ticks()
	p.bands(faintColour, func(col column) bool { return col.Unknown })
	p.bands(absentColour, func(col column) bool { return col.None && !col.Known })
	p.exposure()
	p.limits()
	p.marks()
	p.moments()
	d.stroke(ruleColour)
	d.pdf.Rect(p.left, top, columns*p.unit, height, "D")
	d.pdf.SetXY(pageMargin, top+height+6)
}

// plot is a chart at its place on a page.
type plot struct {
	d         *paper
	c         *chart
	s         scale
	left, top float64
	unit      float64 // width of a column
	tall      float64
}

func (p plot) x(column float64) float64  { return p.left + column*p.unit }
func (p plot) y(seconds float64) float64 { return p.top + p.tall*(1-p.s.height(seconds)) }

func (p plot) bands(c colour, is func(column) bool) {
	p.d.fill(c)
	for _, r := range p.c.runs(is) {
		p.d.pdf.Rect(p.x(float64(r[0])), p.top, max(float64(r[1]-r[0])*p.unit, 0.3), p.tall, "F")
	}
}

func (p plot) ticks() {
	p.d.stroke(ruleColour)
	p.d.pdf.SetLineWidth(0.1)
	for _, t := range p.s.ticks() {
		p.d.pdf.Line(p.left, p.y(t), p.x(columns), p.y(t))
		p.d.font("", 6.4, softColour)
		p.d.pdf.SetXY(p.left-14, p.y(t)-1.5)
		p.d.pdf.CellFormat(13, 3, span(t), "", 0, "R", false, 0, "")
	}
}

// exposure draws for each column an area up to its least exposure, a band up to
// its greatest, and a line along that.
func (p plot) exposure() {
	bottom := p.top + p.tall
	for i, col := range p.c.Columns {
		if !col.Known {
			continue
		}
		low, high := p.y(col.Min), p.y(col.Max)
		p.d.fill(areaColour)
		p.d.pdf.Rect(p.x(float64(i)), low, p.unit*1.02, bottom-low, "F")
		p.d.fill(bandColour)
		p.d.pdf.Rect(p.x(float64(i)), high, p.unit*1.02, low-high, "F")
	}
	p.d.stroke(lineColour)
	p.d.pdf.SetLineWidth(0.25)
	for _, r := range p.c.runs(func(col column) bool { return col.Known }) {
		p.d.pdf.MoveTo(p.x(float64(r[0])), p.y(p.c.Columns[r[0]].Max))
		for i := r[0]; i < r[1]; i++ {
			p.d.pdf.LineTo(p.x(float64(i)), p.y(p.c.Columns[i].Max))
			p.d.pdf.LineTo(p.x(float64(i+1)), p.y(p.c.Columns[i].Max))
		}
		p.d.pdf.DrawPath("D")
	}
}

func (p plot) limits() {
	p.d.stroke(badColour)
	p.d.pdf.SetLineWidth(0.35)
	p.d.pdf.SetDashPattern([]float64{1.6, 0.9}, 0)
	for _, l := range p.c.Limits {
		p.d.pdf.Line(p.x(l.From), p.y(l.Seconds), p.x(l.To), p.y(l.Seconds))
	}
	p.d.pdf.SetDashPattern(nil, 0)
	p.d.pdf.SetLineWidth(0.2)
}

func (p plot) marks() {
	p.d.fill(badColour)
	last := -10
	for _, r := range p.c.runs(func(col column) bool { return col.Violated }) {
		mid := (r[0] + r[1]) / 2
		if mid-last < 6 {
			continue
		}
		last = mid
		x := p.x(float64(mid) + .5)
		p.d.pdf.MoveTo(x, p.top-0.3)
		p.d.pdf.LineTo(x-0.9, p.top-2)
		p.d.pdf.LineTo(x+0.9, p.top-2)
		p.d.pdf.ClosePath()
		p.d.pdf.DrawPath("F")
	}
}

func (p plot) moments() {
	p.d.font("", 6.4, softColour)
	for _, m := range p.c.moments() {
		p.d.stroke(softColour)
		p.d.pdf.Line(p.x(m.X), p.top+p.tall, p.x(m.X), p.top+p.tall+1)
		p.d.pdf.SetXY(p.x(m.X)-8, p.top+p.tall+1.2)
		p.d.pdf.CellFormat(16, 3, m.Text, "", 0, "C", false, 0, "")
	}
}

// bars draws the phases of a recovery.
func (d *paper) bars(phases map[string]float64, total float64) {
	list := phasesOf(phases)
	top := total
	for _, p := range list {
		top = max(top, p.Seconds)
	}
	if top <= 0 {
		return
	}
	for _, p := range list {
		d.need(5)
		y := d.pdf.GetY()
		width := max((pageWidth-60)*p.Seconds/top, 0.3)
		d.font("", 8, inkColour)
		d.pdf.SetXY(pageMargin, y)
		d.pdf.CellFormat(22, 4.4, d.clean(p.Name), "", 0, "R", false, 0, "")
		d.fill(lineColour)
		d.pdf.Rect(pageMargin+25, y+0.7, width, 3, "F")
		d.font("", 8, softColour)
		d.pdf.Text(pageMargin+27+width, y+3.2, span(p.Seconds))
		d.pdf.SetXY(pageMargin, y+5)
	}
	d.pdf.Ln(1.5)
}
