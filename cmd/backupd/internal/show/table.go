package show

import (
	"io"
	"strings"
	"unicode/utf8"
)

// Table is text in aligned columns.
type Table struct {
	// Head names the columns. A name that begins with ">" is of a column of
	// numbers, aligned to the right.
	Head []string
	rows [][]string
}

// Row adds a line, one cell per column.
func (t *Table) Row(cells ...string) { t.rows = append(t.rows, cells) }

// Empty reports whether no row was added.
func (t *Table) Empty() bool { return len(t.rows) == 0 }

// Write writes the table to w.
func (t *Table) Write(w io.Writer, style Style) error {
	right := make([]bool, len(t.Head))
	head := make([]string, len(t.Head))
	for i, name := range t.Head {
		head[i], right[i] = strings.CutPrefix(name, ">")
	}
	widths := t.widths(head)
	var b strings.Builder
	for i, name := range head {
		head[i] = style.Bold(name)
	}
	writeRow(&b, head, widths, right)
	for _, row := range t.rows {
		writeRow(&b, row, widths, right)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (t *Table) widths(head []string) []int {
	widths := make([]int, len(head))
	for _, row := range append([][]string{head}, t.rows...) {
		for i, cell := range row {
			widths[i] = max(widths[i], width(cell))
		}
	}
	return widths
}

func writeRow(b *strings.Builder, row []string, widths []int, right []bool) {
	var line strings.Builder
	for i, cell := range row {
		if i > 0 {
			line.WriteString("  ")
		}
		pad := strings.Repeat(" ", widths[i]-width(cell))
		if right[i] {
			line.WriteString(pad + cell)
		} else {
			line.WriteString(cell + pad)
		}
	}
	b.WriteString(strings.TrimRight(line.String(), " "))
	b.WriteByte('\n')
}

// width returns how many columns text takes on a terminal, colours not
// counted.
func width(text string) int {
	n := 0
	for {
		before, after, found := strings.Cut(text, "\x1b[")
		n += utf8.RuneCountInString(before)
		if !found {
			return n
		}
		_, text, _ = strings.Cut(after, "m")
	}
}
