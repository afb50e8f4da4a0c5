package main

import (
	"slices"

	"github.com/spf13/cobra"

	"github.com/saypro/backupd/internal/config"
	"github.com/saypro/backupd/internal/verify"
)

// complete offers fixed values for a flag.
func complete(cmd *cobra.Command, flag string, values ...string) {
	// Fails only for a flag that does not exist, which a test would show.
	_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
}

// completeFromConfig offers names out of the configuration for a flag.
func (a *app) completeFromConfig(cmd *cobra.Command, flag string, names func(config.Outline) []string) {
	_ = cmd.RegisterFlagCompletionFunc(flag, func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return a.names(names), cobra.ShellCompDirectiveNoFileComp
	})
}

// functions offers the names of functions that were not given yet, up to most
// of them; any number when most is 0.
func (a *app) functions(most int) cobra.CompletionFunc { return a.notYet(functionNames, most) }

// sites offers the names of sites that were not given yet.
func (a *app) sites() cobra.CompletionFunc { return a.notYet(siteNames, 0) }

func (a *app) notYet(all func(config.Outline) []string, most int) cobra.CompletionFunc {
	return func(_ *cobra.Command, given []string, _ string) ([]string, cobra.ShellCompDirective) {
		if most > 0 && len(given) >= most {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		names := slices.DeleteFunc(slices.Clone(a.names(all)), func(name string) bool { return slices.Contains(given, name) })
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}

// names asks the configuration. One that cannot be read has none: somebody who
// presses Tab is not helped by an error.
func (a *app) names(of func(config.Outline) []string) []string { return of(a.outline()) }

func functionNames(o config.Outline) []string { return slices.Sorted(slices.Values(o.FunctionOrder)) }
func siteNames(o config.Outline) []string     { return o.SiteOrder }

// levels returns the proof levels that --level takes, each with its meaning for
// the shell to show. The last one is a cold start, which has a flag of its own.
func levels() []string {
	var out []string
	for _, level := range verify.Levels[:len(verify.Levels)-1] {
		out = append(out, cobra.CompletionWithDesc(level, verify.Meaning(level)))
	}
	return out
}
