package report

import (
	"fmt"
	"html/template"
	"math"
	"strconv"
	"strings"
)

// The measures of a chart in units of its drawing.
const (
	chartLeft   = 64.0
	chartTop    = 16.0
	chartHeight = 150.0
	chartWidth  = chartLeft + columns + 12
	chartBottom = 30.0
)

// svg draws a chart. Everything in it is numbers and words of this package, but
// for the title, which is escaped.
func (c *chart) svg(function string) template.HTML {
	s := c.scale()
	y := func(seconds float64) float64 { return chartTop + chartHeight*(1-s.height(seconds)) }
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="chart" viewBox="0 0 %g %g" role="img" aria-label="%s">`,
		chartWidth, chartTop+chartHeight+chartBottom, template.HTMLEscapeString(c.caption(function)))
	fmt.Fprintf(&b, `<rect class="plot" x="%g" y="%g" width="%d" height="%g"/>`, chartLeft, chartTop, columns, chartHeight)
	c.bands(&b, "viol", func(col column) bool { return col.Violated })
	for _, t := range s.ticks() {
		fmt.Fprintf(&b, `<path class="grid" d="M%g %sh%d"/><text class="ylab" x="%g" y="%s">%s</text>`,
			chartLeft, num(y(t)), columns, chartLeft-6, num(y(t)+3.5), span(t))
	}
	c.bands(&b, "unk", func(col column) bool { return col.Unknown })
	c.bands(&b, "none", func(col column) bool { return col.None && !col.Known })
	fmt.Fprintf(&b, `<path class="area" d="%s"/><path class="band" d="%s"/><path class="line" d="%s"/>`, c.area(y), c.band(y), c.line(y))
	for _, l := range c.Limits {
		fmt.Fprintf(&b, `<path class="rpo" d="M%s %sH%s"/>`, num(chartLeft+l.From), num(y(l.Seconds)), num(chartLeft+l.To))
	}
	c.marks(&b)
	for _, m := range c.moments() {
		x := chartLeft + m.X
		fmt.Fprintf(&b, `<path class="tick" d="M%s %gv5"/><text class="xlab" x="%s" y="%g">%s</text>`, num(x), chartTop+chartHeight, num(x), chartTop+chartHeight+18, m.Text)
	}
	b.WriteString(`</svg>`)
	return template.HTML(b.String())
}

// num writes a coordinate: a hundredth of a unit is less than anybody sees.
func num(f float64) string { return strconv.FormatFloat(math.Round(f*100)/100, 'f', -1, 64) }

// bands shades the columns that are so.
func (c *chart) bands(b *strings.Builder, class string, is func(column) bool) {
	for _, r := range c.runs(is) {
		fmt.Fprintf(b, `<rect class="%s" x="%g" y="%g" width="%d" height="%g"/>`, class, chartLeft+float64(r[0]), chartTop, r[1]-r[0], chartHeight)
	}
}

// marks put a wedge above each shaded stretch, so that one of a single column
// is seen, without colours as well.
func (c *chart) marks(b *strings.Builder) {
	last := -10
	for _, r := range c.runs(func(col column) bool { return col.Violated }) {
		mid := (r[0] + r[1]) / 2
		if mid-last < 6 {
			continue
		}
		last = mid
		fmt.Fprintf(b, `<path class="mark" d="M%g %gl-4 -8h8z"/>`, chartLeft+float64(mid)+0.5, chartTop-1)
	}
}

// runs are the stretches of columns that are so, as first and next.
func (c *chart) runs(is func(column) bool) [][2]int {
	var out [][2]int
	for i, col := range c.Columns {
		if !is(col) {
			continue
		}
		if n := len(out); n > 0 && out[n-1][1] == i {
			out[n-1][1]++
			continue
		}
		out = append(out, [2]int{i, i + 1})
	}
	return out
}

// area fills each column from the bottom to its least exposure.
func (c *chart) area(y func(float64) float64) string {
	var b strings.Builder
	for _, r := range c.runs(func(col column) bool { return col.Known }) {
		fmt.Fprintf(&b, "M%g %g", chartLeft+float64(r[0]), chartTop+chartHeight)
		for i := r[0]; i < r[1]; i++ {
			fmt.Fprintf(&b, "V%sh1", num(y(c.Columns[i].Min)))
		}
		fmt.Fprintf(&b, "V%gz", chartTop+chartHeight)
	}
	return b.String()
}

// band draws each column from its least to its greatest exposure.
func (c *chart) band(y func(float64) float64) string {
	var b strings.Builder
	for i, col := range c.Columns {
		if col.Known {
			fmt.Fprintf(&b, "M%g %sV%s", chartLeft+float64(i)+0.5, num(y(col.Min)), num(y(col.Max)))
		}
	}
	return b.String()
}

// line goes along the greatest exposure of each column: the peaks.
func (c *chart) line(y func(float64) float64) string {
	var b strings.Builder
	for _, r := range c.runs(func(col column) bool { return col.Known }) {
		for i := r[0]; i < r[1]; i++ {
			step := "V"
			if i == r[0] {
				step = fmt.Sprintf("M%g ", chartLeft+float64(i))
			}
			fmt.Fprintf(&b, "%s%sh1", step, num(y(c.Columns[i].Max)))
		}
	}
	return b.String()
}

// caption says in words what a chart shows.
func (c *chart) caption(function string) string {
	text := fmt.Sprintf("Exposure of %s seen from %s, %s to %s", function, c.Title, when(c.From), when(c.To))
	if c.Violations == 0 {
		return text + ": within the RPO wherever it is known"
	}
	return text + ": " + plural(c.Violations, "violation") + " of the RPO"
}

// zoomed says what a chart shows, when that is not the whole period.
func (c *chart) zoomed() string {
	if !c.Zoomed {
		return ""
	}
	return when(c.From) + " to " + until(c.From, c.To) + ", all that is judged of the period"
}
