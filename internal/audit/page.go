package audit

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"unicode"
)

// page is a text for people with what others wrote in it: names, reasons, who did
// something. Whoever made a bundle chose them, and must not draw on the screen with
// them, as with a line that says that all is in order.
type page struct{ strings.Builder }

// say adds a text. What is put into it is made plain, the text itself is ours.
func (p *page) say(format string, args ...any) {
	for i, arg := range args {
		if text := reflect.ValueOf(arg); text.Kind() == reflect.String {
			args[i] = plain(text.String())
		}
	}
	_, _ = fmt.Fprintf(p, format, args...) // it never fails: a strings.Builder
}

// plain writes whatever does not show, or moves what does, as an escape: line
// breaks, what steers a terminal, what turns the direction of writing.
func plain(text string) string {
	var out strings.Builder
	for _, r := range text {
		if unicode.IsPrint(r) {
			out.WriteRune(r)
			continue
		}
		out.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
	}
	return out.String()
}
