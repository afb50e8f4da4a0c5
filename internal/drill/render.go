package drill

import (
	"fmt"
	"strings"
)

// Markdown renders a review as Markdown.
func (v *Review) Markdown() []byte {
	p := v.page()
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n", inline(p.title))
	for _, s := range p.sections {
		fmt.Fprintf(&b, "\n## %s\n\n", s.heading)
		if s.note != "" {
			fmt.Fprintf(&b, "%s\n", inline(s.note))
		}
		if s.note != "" && len(s.list)+len(s.rows) > 0 {
			b.WriteByte('\n')
		}
		for _, item := range s.list {
			fmt.Fprintf(&b, "- %s\n", strings.ReplaceAll(inline(item), "\n", " "))
		}
		if len(s.rows) > 0 {
			row(&b, s.head)
			row(&b, strings.Split(strings.Repeat("---,", len(s.head)-1)+"---", ","))
		}
		for _, cells := range s.rows {
			row(&b, cells)
		}
	}
	return []byte(b.String())
}

func row(b *strings.Builder, cells []string) {
	b.WriteByte('|')
	for _, c := range cells {
		fmt.Fprintf(b, " %s |", strings.ReplaceAll(inline(c), "\n", "<br>"))
	}
	b.WriteByte('\n')
}

// inline keeps text from being taken for anything else: what people wrote is
// not trusted to be harmless in a table or a page.
func inline(text string) string {
	return strings.NewReplacer(`\`, `\\`, "|", `\|`, "<", "&lt;", ">", "&gt;", "\r", "").Replace(strings.TrimSpace(text))
}
