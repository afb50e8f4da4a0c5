package show

import (
	"os"

	"golang.org/x/term"
)

// Style colours text, or leaves it alone. The zero value leaves it alone.
type Style struct{ on bool }

// StyleFor returns the style for f: colours on a terminal that has them,
// unless the user set NO_COLOR.
func StyleFor(f *os.File) Style {
	return Style{on: IsTerminal(f) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

// IsTerminal reports whether a person watches f.
func IsTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

func (s Style) wrap(code, text string) string {
	if !s.on || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// Good marks what is as it should be.
func (s Style) Good(text string) string { return s.wrap("32", text) }

// Bad marks what is broken.
func (s Style) Bad(text string) string { return s.wrap("1;31", text) }

// Warn marks what needs attention.
func (s Style) Warn(text string) string { return s.wrap("33", text) }

// Dim marks what is secondary.
func (s Style) Dim(text string) string { return s.wrap("2", text) }

// Bold marks what the eye should find first.
func (s Style) Bold(text string) string { return s.wrap("1", text) }

// State colours the name of a state by what it means. A state that is not
// known does not look good.
func (s Style) State(state string) string {
	switch state {
	case "good", "durable", "created", "present", "ok", "passed", "in step":
		return s.Good(state)
	case "late", "missing", "failed", "FAILED", "away", "damaged", "unsound", "held up":
		return s.Bad(state)
	default:
		return s.Warn(state)
	}
}
