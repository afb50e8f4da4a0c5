package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/saypro/backupd/internal/drill"
	"github.com/saypro/backupd/internal/engine"
)

// drillScenario is a scenario in short.
type drillScenario struct {
	Name       string   `json:"name"`
	Kind       string   `json:"kind"`
	Title      string   `json:"title"`
	Objectives []string `json:"objectives"`
}

// scenario returns the scenario that a user names: one that comes with the
// program, or one in a file, which is recognized by its path.
func scenario(name string) (*drill.Scenario, []byte, error) {
	raw, err := drill.ShippedFile(name)
	if errors.Is(err, drill.ErrUnknown) {
		raw, err = os.ReadFile(name)
		if err != nil {
			return nil, nil, fmt.Errorf("%w: no scenario %q comes with the program ('backupd drill list'), and as a file: %w", engine.ErrUsage, name, err)
		}
	}
	if err != nil {
		return nil, nil, err
	}
	s, err := drill.Parse(raw)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %s: %w", engine.ErrUsage, name, err)
	}
	return s, raw, nil
}

// isFile reports whether a user means a file and not a name.
func isFile(name string) bool {
	return strings.ContainsRune(name, os.PathSeparator) || strings.HasSuffix(name, ".yaml") || strings.HasSuffix(name, ".yml")
}

// readInput reads a file that a user names, "-" for standard input.
func (a *app) readInput(what, path string) ([]byte, error) {
	var raw []byte
	var err error
	if path == "-" {
		raw, err = io.ReadAll(a.stdin)
	} else {
		raw, err = os.ReadFile(path)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: read the %s: %w", engine.ErrUsage, what, err)
	}
	return raw, nil
}

// scenarioNames offers the scenarios that come with the program.
func scenarioNames(_ *cobra.Command, given []string, _ string) ([]string, cobra.ShellCompDirective) {
	all, err := drill.Shipped()
	if err != nil || len(given) > 0 {
		return nil, cobra.ShellCompDirectiveDefault
	}
	var names []string
	for _, s := range all {
		names = append(names, cobra.CompletionWithDesc(s.Name, s.Title))
	}
	return names, cobra.ShellCompDirectiveDefault
}
