package report_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/drill"
	"github.com/saypro/backupd/internal/evidence"
	"github.com/saypro/backupd/internal/report"
)

// chromium runs the browser once, without a window, and returns what it says.
func chromium(t *testing.T, arguments ...string) string {
	t.Helper()
	program, err := exec.LookPath("chromium")
	if err != nil {
		if program, err = exec.LookPath("chromium-browser"); err != nil {
			t.Fatal("Chromium is missing; make test installs it")
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	arguments = append([]string{
		"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
		"--disable-sync", "--hide-scrollbars", "--user-data-dir=" + t.TempDir(), "--enable-logging=stderr", "--log-level=0",
	}, arguments...)
	out, err := exec.CommandContext(ctx, program, arguments...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", program, err, out)
	}
	return string(out)
}

// complaints are the lines in which the browser tells of the page: errors, and
// what the page's own policy kept it from.
func complaints(output string) (out []string) {
	for _, line := range strings.Split(output, "\n") {
		if strings.Contains(line, ":CONSOLE") || strings.Contains(line, "Content Security Policy") {
			out = append(out, line)
		}
	}
	return out
}

// probe is put into a copy of a page to measure it. The page itself runs
// nothing, so its policy has to make an exception for the copy.
const probe = `<script>addEventListener("load", () => {
  const wide = [...document.querySelectorAll("body *")].filter(e => !e.closest("svg, .scroll") && e.getBoundingClientRect().right > innerWidth + 1);
  document.title = JSON.stringify({
    overflow: document.documentElement.scrollWidth - innerWidth, wide: wide.slice(0, 3).map(e => e.outerHTML.slice(0, 120)),
    loaded: performance.getEntriesByType("resource").length, charts: document.querySelectorAll("svg.chart").length,
    styled: getComputedStyle(document.body).marginTop, bad: getComputedStyle(document.querySelector(".chip.bad") || document.body).backgroundColor,
    good: getComputedStyle(document.querySelector(".chip.good") || document.body).backgroundColor,
  });
})</script></body>`

type measured struct {
	Overflow float64  `json:"overflow"`
	Wide     []string `json:"wide"`
	Loaded   int      `json:"loaded"`
	Charts   int      `json:"charts"`
	Styled   string   `json:"styled"`
	Bad      string   `json:"bad"`
	Good     string   `json:"good"`
}

// measure opens a page in a window of that width and looks at it.
func measure(t *testing.T, page string, width int) measured {
	t.Helper()
	copied := strings.Replace(page, "default-src &#39;none&#39;;", "default-src &#39;none&#39;; script-src &#39;unsafe-inline&#39;;", 1)
	copied = strings.Replace(copied, "</body>", probe, 1)
	file := filepath.Join(t.TempDir(), "probe.html")
	if err := os.WriteFile(file, []byte(copied), 0o600); err != nil {
		t.Fatal(err)
	}
	out := chromium(t, fmt.Sprintf("--window-size=%d,1000", width), "--dump-dom", "file://"+file)
	_, title, ok := strings.Cut(out, "<title>")
	title, _, _ = strings.Cut(title, "</title>")
	var m measured
	title = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&").Replace(title)
	if err := json.Unmarshal([]byte(title), &m); !ok || err != nil {
		t.Fatalf("the page was not measured: %v: %.300s", err, title)
	}
	return m
}

// TestPagesInABrowser opens both reports as people do: on a screen, on a small
// one, and printed.
func TestPagesInABrowser(t *testing.T) {
	l := autumn(t).log()
	p := period(t, l, october())
	var different *report.Proof
	for _, x := range p.Proofs {
		if x.Finding == report.Difference {
			d, err := report.ForProof(t.Context(), l, report.ProofRequest{Sequence: x.Sequence, Generated: october().Generated, Generator: "v1.0.0", Verify: verifyCommands})
			if err != nil {
				t.Fatal(err)
			}
			different = d
		}
	}
	for name, c := range map[string]struct {
		page   string
		charts int
		pages  [2]int // printed, at least and at most
	}{
		"period": {written(t, func(w *bytes.Buffer) error { return p.HTML(w) }), 6, [2]int{6, 40}},
		"review": {reviewOf(t), 1, [2]int{2, 5}},
		"proof":  {written(t, func(w *bytes.Buffer) error { return different.HTML(w) }), 0, [2]int{2, 4}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, width := range []int{1200, 700, 500} {
				m := measure(t, c.page, width)
				if m.Overflow > 1 || len(m.Wide) > 0 {
					t.Errorf("at %d pixels the page is %v too wide: %v", width, m.Overflow, m.Wide)
				}
				if m.Loaded != 0 {
					t.Errorf("the page loads %d things from elsewhere", m.Loaded)
				}
				if m.Charts != c.charts {
					t.Errorf("%d charts, want %d", m.Charts, c.charts)
				}
				if m.Styled != "0px" || m.Bad == m.Good {
					t.Errorf("the style is not taken: margin %s, bad looks as %s, good as %s", m.Styled, m.Bad, m.Good)
				}
			}
			printPage(t, name, c.page, c.pages)
		})
	}
}

// reviewOf is the page of a review.
func reviewOf(t *testing.T) string {
	t.Helper()
	page, err := exampleReview().HTML()
	if err != nil {
		t.Fatal(err)
	}
	return string(page)
}

// exampleReview is of an exercise of two functions, one of which was late, and of
// people at a table.
func exampleReview() *drill.Review {
	long := strings.Repeat("p/0e/0ea94ccf436209122b04d32fff1898c6ecc3e8e71b02a5550902", 4)
	steps := []evidence.DrillStep{
		{ID: "restore-payments", Kind: drill.StepRestore, Function: "payments", Site: "cloud", Status: evidence.Pass, Level: "L5", RecoveryPoint: at("2026-10-15 10:00:00"), Snapshot: "9bb277447f61", LostSeconds: 120, RPOSeconds: 900, Seconds: 1200, RTOSeconds: 3600},
		{ID: "restore-accounts", Kind: drill.StepRestore, Function: "accounts-of-customers-of-the-marketplace", Site: "cloud", Status: evidence.Fail, Error: long, Level: "L5", RecoveryPoint: at("2026-10-15 10:00:00"), LostSeconds: 120, RPOSeconds: 900, WaitedSeconds: 1200, Seconds: 7200, RTOSeconds: 3600},
		{ID: "notice", Kind: drill.StepPeople, Text: "From the failure until somebody knows.", Status: evidence.Pass, Seconds: 600, Actual: long},
		{ID: "alarm", Kind: drill.StepInject, At: "0m", Text: "Fire.", Question: "Who leads?", Expected: "one\ntwo", Actual: long, Status: evidence.Fail, Error: "what was expected was missed"},
		{ID: "staff", Kind: drill.StepMessage, At: "15m", Text: "lead to staff, by telephone", Expected: "hands off", Status: evidence.Pass, Seconds: 600},
	}
	people := 600.0
	v := &drill.Review{Drafted: at("2026-10-16 08:00:00"), Size: 77, PeopleSeconds: &people, Exercise: &drill.Exercise{
		ID: "full-scale-2026-10-15", Scenario: "full-scale", Kind: drill.FullScale, Title: "Everything at once", State: drill.StateMissed, Reasons: []string{long}, Begun: at("2026-10-15 10:02:00"), Steps: steps,
		Actions: []drill.Action{{ID: "a1", Text: long, Owner: "operator", Due: "2026-10-20", State: drill.ActionLate}},
	}}
	for _, s := range steps[:2] {
		v.Measured = append(v.Measured, drill.Measured{
			Function: s.Function, Site: s.Site, Status: s.Status, Error: s.Error, Snapshot: s.Snapshot, RecoveryPoint: s.RecoveryPoint, Level: s.Level,
			LostSeconds: s.LostSeconds, RPOSeconds: s.RPOSeconds, WaitedSeconds: s.WaitedSeconds, ProofSeconds: s.Seconds, RTOSeconds: s.RTOSeconds,
		})
	}
	v.Timeline = []drill.Moment{{Time: at("2026-10-15 10:02:00"), Sequence: 70, What: long}}
	v.Predicted = []drill.Prediction{{Function: "payments", Site: "cloud", Says: "nothing predicted it"}}
	v.Summary = []string{"not everything held"}
	return v
}

// printPage opens the page as it is, hears whether the browser complains, and
// prints it. With BACKUPD_PICTURES set to a folder it leaves the pictures there,
// for people to look at.
func printPage(t *testing.T, name, page string, pages [2]int) {
	t.Helper()
	dir := t.TempDir()
	if keep := os.Getenv("BACKUPD_PICTURES"); keep != "" {
		dir = keep
	}
	file, printed := filepath.Join(dir, name+".html"), filepath.Join(dir, name+"-printed.pdf")
	if err := os.WriteFile(file, []byte(page), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, do := range [][]string{
		{"--window-size=1200,3000", "--screenshot=" + filepath.Join(dir, name+".png")},
		{"--no-pdf-header-footer", "--print-to-pdf=" + printed},
	} {
		if said := complaints(chromium(t, append(do, "file://"+file)...)); len(said) > 0 {
			t.Errorf("the browser complains: %v", said)
		}
	}
	if info, err := os.Stat(filepath.Join(dir, name+".png")); err != nil || info.Size() < 20_000 {
		t.Errorf("there is no picture of the page: %v", err)
	}
	if n := pageCount(t, printed); n < pages[0] || n > pages[1] {
		t.Errorf("%d printed pages, want %d to %d", n, pages[0], pages[1])
	}
}

func pageCount(t *testing.T, file string) int {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "pdfinfo", file).CombinedOutput()
	if err != nil {
		t.Fatalf("pdfinfo: %v: %s", err, out)
	}
	_, rest, _ := strings.Cut(string(out), "Pages:")
	n, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestPolicyIsEnforced shows that the page's policy is not for show: what is
// slipped into the page does not run and is heard of.
func TestPolicyIsEnforced(t *testing.T) {
	page := written(t, func(w *bytes.Buffer) error { return period(t, weekend().log(), weekendRequest()).HTML(w) })
	page = strings.Replace(page, "</body>", `<script>document.title = "ran"</script><img src="file:///etc/hostname"></body>`, 1)
	file := filepath.Join(t.TempDir(), "slipped.html")
	if err := os.WriteFile(file, []byte(page), 0o600); err != nil {
		t.Fatal(err)
	}
	out := chromium(t, "--dump-dom", "file://"+file)
	if strings.Contains(out, "<title>ran</title>") || len(complaints(out)) < 2 {
		t.Errorf("a script ran, or nobody complained: %v", complaints(out))
	}
}
