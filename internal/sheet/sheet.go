// Package sheet is how documents for people look: one style for all of them, on a
// screen, on a small one, in the dark and on paper, and marks that tell good
// from bad by shape and sign as well as by colour.
package sheet

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
)

//go:embed style.css
var style string

// The grades of what is told. Only good looks good.
const (
	Good    = "good"
	Warn    = "warn"
	Bad     = "bad"
	Unknown = "unknown"
)

// signs go before the words of a grade.
var signs = map[string]string{Good: "●", Warn: "▲", Bad: "■", Unknown: "○"}

// Sign is the sign of a grade.
func Sign(grade string) string { return signs[grade] }

// Mark is a word with its grade.
func Mark(grade, text string) template.HTML {
	return template.HTML(fmt.Sprintf(`<span class="chip %s">%s %s</span>`, grade, signs[grade], template.HTMLEscapeString(text)))
}

// Style is the style of a page, for its one style element.
func Style() template.CSS { return template.CSS(style) }

// Policy lets a browser load and run nothing: the page is all there is. Its one
// style is allowed by its hash.
func Policy() string {
	sum := sha256.Sum256([]byte(style))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'"
}
