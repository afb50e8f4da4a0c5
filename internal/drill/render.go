package drill

import (
	"bytes"
	"fmt"
	"html/template"
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

var pageTemplate = template.Must(template.New("review").Funcs(template.FuncMap{
	"lines": func(text string) []string { return strings.Split(strings.TrimSpace(text), "\n") },
}).Parse(`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{{.Title}}</title><style>
body{font:15px/1.5 system-ui,sans-serif;color:#1b1f24;max-width:72rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.6rem}h2{font-size:1.15rem;margin:2rem 0 .5rem;border-bottom:1px solid #d0d7de;padding-bottom:.2rem}
table{border-collapse:collapse;width:100%;font-size:.9rem}th,td{border:1px solid #d0d7de;padding:.35rem .5rem;text-align:left;vertical-align:top}
th{background:#f6f8fa}p{margin:.4rem 0}.note{color:#57606a}
@media print{body{margin:0;max-width:none;font-size:11px}tr{break-inside:avoid}h2{break-after:avoid}}
</style></head><body><h1>{{.Title}}</h1>
{{range .Sections}}<h2>{{.Heading}}</h2>
{{with .Note}}<p class="note">{{.}}</p>
{{end}}{{with .List}}<ul>{{range .}}<li>{{.}}</li>
{{end}}</ul>
{{end}}{{if .Rows}}<table><thead><tr>{{range .Head}}<th>{{.}}</th>{{end}}</tr></thead><tbody>
{{range .Rows}}<tr>{{range .}}<td>{{range $i, $line := lines .}}{{if $i}}<br>{{end}}{{$line}}{{end}}</td>{{end}}</tr>
{{end}}</tbody></table>
{{end}}{{end}}</body></html>
`))

// HTML renders a review as one page that needs nothing else.
func (v *Review) HTML() ([]byte, error) {
	type section struct {
		Heading, Note string
		List, Head    []string
		Rows          [][]string
	}
	p := v.page()
	data := struct {
		Title    string
		Sections []section
	}{Title: p.title}
	for _, s := range p.sections {
		data.Sections = append(data.Sections, section{s.heading, s.note, s.list, s.head, s.rows})
	}
	var b bytes.Buffer
	if err := pageTemplate.Execute(&b, data); err != nil {
		return nil, fmt.Errorf("render the review of %s: %w", v.Exercise.ID, err)
	}
	return b.Bytes(), nil
}
