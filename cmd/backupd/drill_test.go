package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/saypro/backupd/internal/drill"
	"github.com/saypro/backupd/internal/evidence"
)

// named finds the commands that a text names, between backquotes or quotes.
var named = regexp.MustCompile("[`']backupd ([^`']*(?:'[a-z]+[^`']*)*)[`']")

// unquoted finds what may be a command and is not marked as one.
var unquoted = regexp.MustCompile("(?:^|[^`'/a-z])backupd ([a-z]+)")

func isCommand(name string) bool {
	cmd, _, err := newRoot(newApp(os.Stdin, os.Stdout, os.Stderr)).Find([]string{name})
	return err == nil && cmd.HasParent()
}

func TestScenariosNameCommandsThatExist(t *testing.T) {
	all, err := drill.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		commands := map[string]bool{}
		for _, text := range textsOf(s) {
			for _, m := range named.FindAllStringSubmatch(text, -1) {
				checkCommand(t, s.Name, m[1])
				commands[m[1]] = true
			}
			for _, m := range unquoted.FindAllStringSubmatch(text, -1) {
				if isCommand(m[1]) {
					t.Errorf("%s: backupd %s stands without quotes, so that nothing checks it: %s", s.Name, m[1], text)
				}
			}
		}
		if s.Kind == drill.Tabletop && len(commands) < 4 {
			t.Errorf("%s names %d commands", s.Name, len(commands))
		}
	}
}

func textsOf(s *drill.Scenario) []string {
	out := append([]string{s.Title, s.Situation}, s.NotShown...)
	for _, in := range s.Injects {
		out = append(append(out, in.Text, in.Question), in.Expected...)
	}
	for _, step := range s.Steps {
		out = append(append(out, step.Text), step.Expected...)
	}
	for _, m := range s.Messages {
		out = append(out, m.Says)
	}
	return out
}

// checkCommand finds the command and lets it parse its flags and arguments.
func checkCommand(t *testing.T, where, line string) {
	t.Helper()
	root := newRoot(newApp(os.Stdin, os.Stdout, os.Stderr))
	cmd, rest, err := root.Find(words(line))
	if err != nil || cmd == root {
		t.Errorf("%s: backupd %s: there is no such command: %v", where, line, err)
		return
	}
	if err := cmd.ParseFlags(rest); err != nil {
		t.Errorf("%s: backupd %s: %v", where, line, err)
	}
	for _, arg := range cmd.Flags().Args() {
		if cmd.HasSubCommands() {
			t.Errorf("%s: backupd %s: %s is no command below it", where, line, arg)
		}
	}
}

// words splits a command line, with its double quotes.
func words(line string) (out []string) {
	for _, m := range regexp.MustCompile(`"([^"]*)"|(\S+)`).FindAllStringSubmatch(line, -1) {
		out = append(out, m[1]+m[2])
	}
	return out
}

func TestReportFormat(t *testing.T) {
	for _, c := range []struct{ format, out, want string }{
		{"", "", "md"}, {"", "a.html", "html"}, {"", "a.json", "json"}, {"", "a.txt", "md"}, {"", "a.HTML", "html"}, {"", "a.docx", ""}, {"md", "a.docx", "md"}, {"html", "a.md", "html"}, {"pdf", "", ""},
	} {
		got, err := reviewFormat(c.format, c.out)
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%q, %q: %q, %v", c.format, c.out, got, err)
		}
	}
}

// A function that is too late with the time of people does not pass in the table
// either, and a draft that was made before that is said to be old.
func TestExerciseShowsWhatPeopleMissed(t *testing.T) {
	x := &drill.Exercise{
		ID: "full-scale-2026-11-25", Kind: drill.FullScale, State: drill.StateMissed, Review: "/var/lib/backupd/reviews/x.html", ReviewStale: true,
		Steps: []evidence.DrillStep{
			{ID: "restore-payments", Kind: drill.StepRestore, Function: "payments", Level: "L5", Seconds: 1800, RTOSeconds: 3600, Status: evidence.Pass},
			{ID: "switch", Kind: drill.StepPeople, Seconds: 2400, Status: evidence.Pass},
		},
	}
	out := printed(t, func(a *app) error { return a.showExercise(x) })
	for _, want := range []string{"fail", "backupd drill report full-scale-2026-11-25 -o FILE"} {
		if !strings.Contains(out, want) {
			t.Errorf("it lacks %q:\n%s", want, out)
		}
	}
	if strings.Contains(out, "pass\n") {
		t.Errorf("it passes:\n%s", out)
	}
}

// printed is what a command prints on standard output.
func printed(t *testing.T, show func(a *app) error) string {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "stdout"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := show(newApp(os.Stdin, f, f)); err != nil {
		t.Fatal(err)
	}
	out, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}
