package show

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/saypro/backupd/internal/clock"
	"github.com/saypro/backupd/internal/progress"
)

const (
	// drawPause is the time between two pictures on a terminal.
	drawPause = 200 * time.Millisecond
	// plainPause is the time between two reports where nobody watches.
	plainPause = 5 * time.Second
)

// Screen shows how far operations have come, and lets log lines and other
// text through without the two mixing. On a terminal it keeps a line for
// every active phase at the bottom and rewrites them in place; elsewhere it
// writes plain lines now and then. Safe for concurrent use.
type Screen struct {
	out   io.Writer
	clock clock.Clock
	size  func() (columns, rows int) // nil when nobody watches
	quiet bool                       // sentences only

	mu     sync.Mutex
	phases phases
	drawn  int // lines at the bottom that will be rewritten
}

// NewScreen returns a screen on f. A quiet one shows the sentences of an
// operation, but no counting.
func NewScreen(f *os.File, c clock.Clock, quiet bool) *Screen {
	s := &Screen{out: f, clock: c, quiet: quiet}
	if IsTerminal(f) && os.Getenv("TERM") != "dumb" {
		s.size = func() (int, int) {
			columns, rows, err := term.GetSize(int(f.Fd()))
			if err != nil || columns < 20 || rows < 4 {
				return 80, 24
			}
			return columns, rows
		}
	}
	return s
}

// Report takes an event in; it is a [progress.Reporter].
func (s *Screen) Report(e progress.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.Message != "" {
		_ = s.write(nameOf(e) + ": " + e.Message + "\n")
		return
	}
	s.phases.add(e, s.clock.Now())
}

// Write writes text, such as log lines, above the picture.
func (s *Screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(p), s.write(string(p))
}

// write takes the picture away and writes text in its place; the next picture
// follows below. The caller holds the lock.
func (s *Screen) write(text string) error {
	_, err := io.WriteString(s.out, s.erase()+text)
	return err
}

// erase returns what takes the picture away.
func (s *Screen) erase() string {
	if s.drawn == 0 {
		return ""
	}
	up := fmt.Sprintf("\x1b[%dA\r\x1b[J", s.drawn)
	s.drawn = 0
	return up
}

// Start begins to show, until the returned function is called, which takes
// the picture away.
func (s *Screen) Start(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var showing sync.WaitGroup
	showing.Go(func() { s.run(ctx) })
	return func() {
		cancel()
		showing.Wait()
		s.mu.Lock()
		defer s.mu.Unlock()
		_ = s.write("")
	}
}

func (s *Screen) run(ctx context.Context) {
	if s.quiet {
		return
	}
	pause, show := plainPause, s.plain
	if s.size != nil {
		pause, show = drawPause, s.draw
	}
	for s.clock.Sleep(ctx, pause) == nil {
		show()
	}
}

// plain writes a line for every phase that has moved.
func (s *Screen) plain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock.Now()
	for _, p := range s.phases.order {
		if !p.changed || p.over {
			continue
		}
		p.changed = false
		line := p.line(now)
		if p.finished() {
			p.told, line = true, p.lastLine()
		}
		_ = s.write(line + "\n")
	}
}

// draw rewrites the picture: phases that ended since become lasting lines,
// those that are active follow below.
func (s *Screen) draw() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock.Now()
	columns, rows := s.size()
	var b strings.Builder
	b.WriteString(s.erase())
	var active []string
	for _, p := range s.phases.order {
		switch {
		case p.finished() && !p.told:
			p.told = true
			b.WriteString(cut(p.lastLine(), columns) + "\n")
		case p.active():
			active = append(active, cut(p.line(now), columns))
		}
	}
	if room := rows - 2; len(active) > room {
		active = append(active[len(active)-room+1:], fmt.Sprintf("and %d more", len(active)-room+1))
	}
	for _, line := range active {
		b.WriteString(line + "\n")
	}
	s.drawn = len(active)
	_, _ = io.WriteString(s.out, b.String())
}

// cut shortens line so that it does not wrap.
func cut(line string, columns int) string {
	runes := []rune(line)
	if len(runes) < columns {
		return line
	}
	return string(runes[:columns-1])
}
