package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"
)

// printer writes the story: numbered steps, commands, short outputs.
type printer struct {
	out      io.Writer
	terminal bool
	step     int
	pending  bool // a line that says what is waited for is on the terminal
}

func newPrinter(out *os.File) *printer {
	return &printer{out: out, terminal: term.IsTerminal(int(out.Fd()))}
}

func (p *printer) write(line string) {
	if p.pending {
		_, _ = io.WriteString(p.out, "\r\x1b[K")
		p.pending = false
	}
	_, _ = io.WriteString(p.out, line+"\n") // without an output there is nobody to tell
}

func (p *printer) style(code, text string) string {
	if !p.terminal {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// title begins the next step.
func (p *printer) title(format string, args ...any) {
	p.step++
	p.write("")
	p.write(p.style("1", fmt.Sprintf("%2d  %s", p.step, fmt.Sprintf(format, args...))))
}

// say adds a line to the step.
func (p *printer) say(format string, args ...any) {
	p.write("    " + fmt.Sprintf(format, args...))
}

// command shows a command as somebody would type it.
func (p *printer) command(text string) { p.write("    " + p.style("36", "$ "+text)) }

// good and problem end something well or badly.
func (p *printer) good(format string, args ...any) {
	p.write("    " + p.style("32", "✓ "+fmt.Sprintf(format, args...)))
}

func (p *printer) problem(format string, args ...any) {
	p.write("    " + p.style("31", "✗ "+fmt.Sprintf(format, args...)))
}

// maxLines is how much of an output is shown.
const maxLines = 20

// output shows what a command has printed, not more than fits a glance.
func (p *printer) output(text string) {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	if text == "" {
		return
	}
	more := 0
	if len(lines) > maxLines {
		more = len(lines) - maxLines + 1
		lines = lines[:maxLines-1]
	}
	for _, line := range lines {
		p.write("      " + shorten(strings.TrimRight(line, " \r")))
	}
	if more > 0 {
		p.write(fmt.Sprintf("      … and %d lines more", more))
	}
}

// maxColumns is how much of a line is shown.
const maxColumns = 150

func shorten(line string) string {
	if runes := []rune(line); len(runes) > maxColumns {
		return string(runes[:maxColumns-1]) + "…"
	}
	return line
}

// waiting shows on a terminal what is waited for, in place.
func (p *printer) waiting(what, state string, since time.Duration) {
	if !p.terminal {
		return
	}
	line := fmt.Sprintf("    … %s, %d s", what, int(since.Seconds()))
	if state != "" {
		line += ": " + state
	}
	if runes := []rune(line); len(runes) > 110 {
		line = string(runes[:110])
	}
	_, _ = io.WriteString(p.out, "\r\x1b[K"+line)
	p.pending = true
}

// size writes bytes as people read them.
func size(n int64) string {
	switch {
	case n >= 10<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 10<<10:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%d bytes", n)
}

// seconds writes a duration with what matters of it.
func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
