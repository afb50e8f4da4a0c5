package show

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/saypro/backupd/internal/clock"
	"github.com/saypro/backupd/internal/progress"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const mib = 1 << 20

// terminal is a screen that writes into memory as to a terminal.
func terminal(columns, rows int) (*Screen, *strings.Builder, *clock.Fake) {
	c := clock.NewFake(time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC))
	out := &strings.Builder{}
	return &Screen{out: out, clock: c, size: func() (int, int) { return columns, rows }}, out, c
}

// visible plays what was written to a terminal and returns what stands there.
func visible(written string) string {
	var lines []string
	for written != "" {
		var n int
		if _, err := fmt.Sscanf(written, "\x1b[%dA", &n); err == nil {
			lines = lines[:len(lines)-n]
			_, written, _ = strings.Cut(written, "\x1b[J")
			continue
		}
		line, rest, _ := strings.Cut(written, "\n")
		lines, written = append(lines, line), rest
	}
	return strings.Join(lines, "\n")
}

func TestPhaseShowsRatePercentAndTimeLeft(t *testing.T) {
	s, out, c := terminal(100, 24)
	for i := int64(0); i <= 4; i++ {
		s.Report(progress.Event{Function: "payments", Phase: "copy", Done: i * 100 * mib, Total: 1000 * mib})
		s.draw()
		c.Advance(time.Second)
	}
	c.Advance(-time.Second)
	s.draw()
	if got, want := visible(out.String()), "payments copy  400 MiB of 1000 MiB, 40%, 100 MiB/s, 6.0s left"; got != want {
		t.Errorf("the terminal shows\n%q, want\n%q", got, want)
	}
}

func TestHundredPercentMeansDone(t *testing.T) {
	s, out, c := terminal(100, 24)
	s.Report(progress.Event{Phase: "load", Done: 0, Total: 1 << 62})
	s.Report(progress.Event{Phase: "load", Done: 1<<62 - 1, Total: 1 << 62})
	s.draw()
	if got := visible(out.String()); strings.Contains(got, "100%") || !strings.Contains(got, " 99%") {
		t.Errorf("unfinished work is shown as %q", got)
	}
	c.Advance(2 * time.Second)
	s.Report(progress.Event{Phase: "load", Done: 1 << 62, Total: 1 << 62})
	s.draw()
	s.draw()
	if got, want := visible(out.String()), "load  4.00 EiB in 2.0s, 2.00 EiB/s"; got != want {
		t.Errorf("finished work is shown as %q, want %q once", got, want)
	}
}

func TestTextGoesAboveThePictureAndStays(t *testing.T) {
	s, out, c := terminal(100, 24)
	s.Report(progress.Event{Function: "payments", Phase: "upload", Site: "cloud", Done: 1, Total: 3, Unit: "objects"})
	s.draw()
	s.Report(progress.Event{Function: "payments", Phase: "upload", Site: "cloud", Message: "connection refused, trying again"})
	if _, err := s.Write([]byte("level=WARN msg=x\n")); err != nil {
		t.Fatal(err)
	}
	c.Advance(time.Second)
	s.draw()
	want := "payments upload cloud: connection refused, trying again\nlevel=WARN msg=x\npayments upload cloud  1 objects of 3 objects, 33%"
	if got := visible(out.String()); got != want {
		t.Errorf("the terminal shows\n%s\nwant\n%s", got, want)
	}
}

func TestPictureFitsTheTerminal(t *testing.T) {
	s, out, _ := terminal(30, 6)
	for i := range 20 {
		s.Report(progress.Event{Function: fmt.Sprint("a function with a long name ", i), Phase: "copy", Done: 1, Total: 2})
	}
	s.draw()
	lines := strings.Split(visible(out.String()), "\n")
	if len(lines) != 4 {
		t.Errorf("%d lines on a terminal of 6", len(lines))
	}
	for _, line := range lines {
		if len(line) >= 30 {
			t.Errorf("%q wraps", line)
		}
	}
	if last := lines[len(lines)-1]; last != "and 17 more" {
		t.Errorf("the rest is shown as %q", last)
	}
}

func TestPhaseWithoutKnownEndIsOverWhenTheNextBegins(t *testing.T) {
	s, out, c := terminal(100, 24)
	s.Report(progress.Event{Function: "payments", Phase: "lock"})
	c.Advance(75 * time.Second)
	s.draw()
	if got := visible(out.String()); got != "payments lock  1m15s" {
		t.Errorf("the terminal shows %q", got)
	}
	s.Report(progress.Event{Function: "payments", Phase: "copy", Done: 1, Unit: "tables"})
	s.draw()
	if got := visible(out.String()); got != "payments copy  1 tables" {
		t.Errorf("the terminal shows %q", got)
	}
	s.Report(progress.Event{Function: "payments", Phase: "lock"}) // once more
	c.Advance(2 * time.Second)
	s.draw()
	if got := visible(out.String()); got != "payments lock  2.0s" {
		t.Errorf("the terminal shows %q", got)
	}
}

func TestWaitingForOtherPhasesDoesNotCount(t *testing.T) {
	s, out, c := terminal(100, 24)
	s.Report(progress.Event{Phase: "load", Total: 100 * mib})
	c.Advance(time.Minute) // structure is made first
	s.Report(progress.Event{Phase: "load", Total: 100 * mib})
	c.Advance(time.Second)
	s.Report(progress.Event{Phase: "load", Done: 50 * mib, Total: 100 * mib})
	s.draw()
	if got, want := visible(out.String()), "load  50.0 MiB of 100 MiB, 50%, 50.0 MiB/s, 1.0s left"; got != want {
		t.Errorf("the terminal shows %q, want %q", got, want)
	}
	c.Advance(time.Second)
	s.Report(progress.Event{Phase: "load", Done: 100 * mib, Total: 100 * mib})
	c.Advance(10 * time.Second) // until somebody looks
	s.draw()
	if got, want := visible(out.String()), "load  100 MiB in 2.0s, 50.0 MiB/s"; got != want {
		t.Errorf("the terminal shows %q, want %q", got, want)
	}
}

func TestElsewhereThanOnATerminalLinesArePlainAndFew(t *testing.T) {
	c := clock.NewFake(time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC))
	out := &strings.Builder{}
	s := &Screen{out: out, clock: c}
	stop := s.Start(context.Background())
	for i := int64(0); i < 50; i++ { // ten seconds
		for c.Sleepers() == 0 {
			time.Sleep(time.Millisecond)
		}
		s.Report(progress.Event{Phase: "copy", Done: i * mib, Total: 100 * mib})
		c.Advance(200 * time.Millisecond)
	}
	stop()
	got := out.String()
	if n := strings.Count(got, "\n"); n < 1 || n > 2 {
		t.Errorf("%d lines in ten seconds:\n%s", n, got)
	}
	if strings.ContainsAny(got, "\x1b\r") {
		t.Errorf("control characters where there is no terminal: %q", got)
	}
}

func TestQuietScreenShowsSentencesOnly(t *testing.T) {
	c := clock.NewFake(time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC))
	out := &strings.Builder{}
	s := &Screen{out: out, clock: c, quiet: true}
	stop := s.Start(context.Background())
	s.Report(progress.Event{Phase: "copy", Done: 1, Total: 2})
	s.Report(progress.Event{Phase: "fetch", Site: "onsite", Message: "packs/ab is missing, asking cloud"})
	stop()
	if got, want := out.String(), "fetch onsite: packs/ab is missing, asking cloud\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestScreenIsSafeForManyReportersAtOnce(t *testing.T) {
	s, _, _ := terminal(80, 24)
	s.clock = clock.System
	stop := s.Start(context.Background())
	var reporters sync.WaitGroup
	for g := range 4 {
		reporters.Go(func() {
			for i := int64(0); i < 5000; i++ {
				s.Report(progress.Event{Function: fmt.Sprint(g), Phase: "copy", Done: i, Total: 5000})
			}
			_, _ = s.Write([]byte("a line\n"))
		})
	}
	reporters.Wait()
	s.draw()
	stop()
}
