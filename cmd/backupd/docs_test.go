package main

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/saypro/backupd/internal/drill"
	"github.com/saypro/backupd/internal/engine"
	"github.com/saypro/backupd/internal/evidence"
	"github.com/saypro/backupd/internal/repository"
	"github.com/saypro/backupd/internal/restore"
	"github.com/saypro/backupd/internal/server"
	"github.com/saypro/backupd/internal/snapshot"
	"github.com/saypro/backupd/internal/verify"
)

// documents are what commands print with --json. Every type that they are made
// of must be described in docs/cli.md.
var documents = []any{
	failureDocument{},
	escrow{},
	build{},
	engine.Finding{},
	engine.InitReport{},
	engine.KeyList{},
	engine.KeyAddResult{},
	engine.KeyRotateResult{},
	engine.EvidenceKey{},
	engine.ClockSet{},
	evidence.About{},
	evidence.Verification{},
	repository.Inspection{},
	repository.Rebuilt{},
	engine.Status{},
	reported{},
	engine.Objectives{},
	engine.Sites{},
	engine.SyncResult{},
	engine.PruneResult{},
	engine.SweepResult{},
	engine.ScrubResult{},
	engine.RecoveryPoint{},
	engine.SuspectPoint{},
	snapshot.Result{},
	restore.Plan{},
	restore.Result{},
	verify.Result{},
	evidence.Controls{},
	drillList{},
	drillTemplate{},
	drill.Review{},
}

func manual(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// field is one field of a document: its name, and whether it may be left out.
type field struct {
	Name     string
	Optional bool
}

// typeName is the name of a type as the manual writes it.
func typeName(t reflect.Type) string { return strings.TrimPrefix(t.String(), "main.") }

// described collects the fields of t and of every type below it.
func described(t reflect.Type, into map[string][]field) {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		described(t.Elem(), into)
		return
	case reflect.Struct:
	default:
		return
	}
	if t.PkgPath() == "time" || into[typeName(t)] != nil {
		return
	}
	fields := []field{}
	into[typeName(t)] = fields
	for i := range t.NumField() {
		name, options, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		fields = append(fields, field{name, options != ""})
		described(t.Field(i).Type, into)
	}
	into[typeName(t)] = fields
}

var fieldRow = regexp.MustCompile("^\\| `([a-z0-9_]+)` \\| (\\*opt\\* )?")

// documented reads the tables of fields out of the manual.
func documented(text string) map[string][]field {
	found := map[string][]field{}
	var types []string
	for _, line := range strings.Split(text, "\n") {
		if names, ok := strings.CutPrefix(line, "<!-- fields: "); ok {
			types = strings.Fields(strings.TrimSuffix(names, " -->"))
			continue
		}
		if line == "" {
			types = nil
		}
		row := fieldRow.FindStringSubmatch(line)
		if row == nil {
			continue
		}
		for _, name := range types {
			found[name] = append(found[name], field{row[1], row[2] != ""})
		}
	}
	return found
}

func TestManualDescribesEveryFieldOfEveryDocument(t *testing.T) {
	want := map[string][]field{}
	for _, d := range documents {
		described(reflect.TypeOf(d), want)
	}
	// Nobody is told twice.
	if diff := cmp.Diff(want, documented(manual(t))); diff != "" {
		t.Errorf("docs/cli.md differs from the types (-types +manual):\n%s", diff)
	}
}

// section returns the part of the manual about one command.
func section(t *testing.T, text, command string) string {
	t.Helper()
	_, after, found := strings.Cut(text, "\n## backupd "+command)
	if !found || !strings.ContainsAny(after[:1], " \n") {
		t.Fatalf("docs/cli.md has no section on backupd %s", command)
	}
	part, _, _ := strings.Cut(after, "\n## ")
	return part
}

var flagRow = regexp.MustCompile("(?m)^\\| `--([a-z-]+)` \\|")

func flagsIn(part string) []string {
	var flags []string
	for _, m := range flagRow.FindAllStringSubmatch(part, -1) {
		flags = append(flags, m[1])
	}
	slices.Sort(flags)
	return flags
}

func flagsOf(set *pflag.FlagSet) []string {
	var flags []string
	set.VisitAll(func(f *pflag.Flag) {
		if f.Name != "help" && f.Name != "version" {
			flags = append(flags, f.Name)
		}
	})
	slices.Sort(flags)
	return flags
}

// own returns the flags that a command does not have from the root, those of the
// commands below it included.
func own(cmd *cobra.Command) *pflag.FlagSet {
	flags := cmd.LocalNonPersistentFlags()
	flags.AddFlagSet(cmd.PersistentFlags())
	for _, sub := range cmd.Commands() {
		flags.AddFlagSet(own(sub))
	}
	return flags
}

func TestManualDescribesEveryCommandAndFlag(t *testing.T) {
	text := manual(t)
	root := newRoot(newApp(os.Stdin, os.Stdout, os.Stderr))
	_, global, _ := strings.Cut(text, "\n## Flags of every command")
	global, _, _ = strings.Cut(global, "\n## ")
	if diff := cmp.Diff(flagsOf(root.PersistentFlags()), flagsIn(global)); diff != "" {
		t.Errorf("flags of every command (-program +manual):\n%s", diff)
	}
	for _, cmd := range root.Commands() {
		t.Run(cmd.Name(), func(t *testing.T) {
			if diff := cmp.Diff(flagsOf(own(cmd)), flagsIn(section(t, text, cmd.Name()))); diff != "" {
				t.Errorf("flags (-program +manual):\n%s", diff)
			}
			if cmd.Example == "" || cmd.Short == "" || cmd.GroupID == "" {
				t.Error("the help lacks an example, a line, or its place")
			}
		})
	}
	if n := strings.Count(text, "\n## backupd "); n != len(root.Commands()) {
		t.Errorf("%d commands in the manual, %d in the program", n, len(root.Commands()))
	}
}

func TestManualGivesEveryKindItsExitStatus(t *testing.T) {
	kinds := map[server.Kind]bool{}
	row := regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| ([0-4]) \\|")
	for _, m := range row.FindAllStringSubmatch(manual(t), -1) {
		kind := server.Kind(m[1])
		kinds[kind] = true
		status, err := strconv.Atoi(m[2])
		if err != nil {
			t.Fatal(err)
		}
		if got := exitStatus(&server.Failure{Message: "x", Kind: kind}); got != status {
			t.Errorf("kind %s ends in status %d, the manual says %d", kind, got, status)
		}
	}
	for _, kind := range server.Kinds() {
		if !kinds[kind] {
			t.Errorf("the manual lacks kind %s", kind)
		}
	}
	if len(kinds) != len(server.Kinds()) {
		t.Errorf("the manual has %d kinds, the program %d", len(kinds), len(server.Kinds()))
	}
}

func TestManualAndHelpAgreeOnLevels(t *testing.T) {
	text := manual(t)
	for _, level := range verify.Levels {
		if row := "| `" + level + "` | " + verify.Meaning(level) + " |"; !strings.Contains(text, row) {
			t.Errorf("the manual lacks %s", row)
		}
	}
}
