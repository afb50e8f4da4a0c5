package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/saypro/backupd/cmd/backupd/internal/show"
	"github.com/saypro/backupd/internal/engine"
)

const (
	defaultConfig = "/etc/backupd/backupd.yaml"
	configEnv     = "BACKUPD_CONFIG"
)

const rootHelp = `backupd keeps two promises for each business function that runs on a database:
at most so much data lost (RPO) and at most so long down (RTO). It takes
recovery points often enough, keeps each one at every site, restores them, and
proves by restoring them that it can.

Begin with a configuration (configs/backupd.yaml explains every line), then:

  backupd check      is everything there that it needs?
  backupd init       make the keys, and the repository on every site
  backupd serve      keep the promises

While the service runs, commands talk to it over its socket in the data
directory; without one they do the work themselves.

Exit status: 0 done; 1 failed; 2 wrong usage or configuration; 3 done, but
degraded: a site lacks it; 4 a proof, a scrub, an audit or an exercise found
what must not be.`

// newRoot returns the command that all others hang from.
func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "backupd",
		Short: "Backups that keep their promises, and prove it",
		Long:  rootHelp,
		Example: `  backupd status
  backupd restore payments --to postgres://restore@db2.internal/payments --plan`,
		Version:           buildVersion().Version,
		SilenceErrors:     true,
		SilenceUsage:      true,
		Args:              noSuchCommand,
		RunE:              needsCommand,
		PersistentPreRunE: func(*cobra.Command, []string) error { return a.prepare() },
	}
	root.SuggestionsMinimumDistance = 2
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	root.SetVersionTemplate("backupd {{.Version}}\n")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return usageError(cmd, err) })
	root.SetHelpCommand(newHelp())
	a.addFlags(root)
	root.AddGroup(
		&cobra.Group{ID: groupSetup, Title: "Setting up:"},
		&cobra.Group{ID: groupDaily, Title: "Every day:"},
		&cobra.Group{ID: groupSpace, Title: "Copies and space:"},
		&cobra.Group{ID: groupNight, Title: "At 3 a.m.:"},
	)
	root.AddCommand(
		newCheck(a), newInit(a), newServe(a), newKey(a), newCatalog(a), newRepository(a),
		newStatus(a), newObjectives(a), newReport(a), newAudit(a), newSites(a), newSnapshot(a), newSnapshots(a), newSuspect(a), newVerify(a),
		newSync(a), newPrune(a), newHold(a), newRelease(a), newSweep(a), newScrub(a),
		newRestore(a), newDrill(a), newVersion(a),
	)
	return root
}

// The groups of commands in the help.
const (
	groupSetup = "setup"
	groupDaily = "daily"
	groupSpace = "space"
	groupNight = "night"
)

func (a *app) addFlags(root *cobra.Command) {
	f := root.PersistentFlags()
	f.StringVar(&a.configPath, "config", "", "configuration file (default $"+configEnv+", else "+defaultConfig+")")
	f.BoolVar(&a.json, "json", false, "print one JSON document on standard output and nothing else")
	f.StringVar(&a.logLevel, "log-level", "", "debug, info, warn or error (default info for serve, warn for the others)")
	f.StringVar(&a.logFormat, "log-format", "text", "text or json")
	f.BoolVar(&a.noProgress, "no-progress", false, "do not show how far an operation has come")
	_ = root.MarkPersistentFlagFilename("config", "yaml", "yml")
	complete(root, "log-level", "debug", "info", "warn", "error")
	complete(root, "log-format", "text", "json")
}

// noSuchCommand refuses a name that is no command, and suggests one that is.
func noSuchCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	err := fmt.Errorf("there is no command %q", args[0])
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		err = fmt.Errorf("%w; did you mean %s?", err, strings.Join(near, " or "))
	}
	return usageError(cmd, err)
}

// newHelp returns the command that shows the help of another. It refuses a name
// that is none, which the one of cobra does not.
func newHelp() *cobra.Command {
	return &cobra.Command{
		Use:     "help [COMMAND]",
		Short:   "Show the help of a command",
		Example: "  backupd help restore",
		RunE: func(cmd *cobra.Command, args []string) error {
			found, rest, err := cmd.Root().Find(args)
			if err != nil {
				return usageError(cmd.Root(), err)
			}
			if err := noSuchCommand(cmd.Root(), rest); err != nil {
				return err
			}
			found.InitDefaultHelpFlag()
			return found.Help()
		},
		ValidArgsFunction: func(cmd *cobra.Command, given []string, _ string) ([]string, cobra.ShellCompDirective) {
			var names []string
			if len(given) == 0 {
				for _, c := range cmd.Root().Commands() {
					names = append(names, cobra.CompletionWithDesc(c.Name(), c.Short))
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
	}
}

// needsCommand refuses to do nothing: a script that lost its arguments should
// not look as if it had succeeded.
func needsCommand(cmd *cobra.Command, _ []string) error {
	return usageError(cmd, errors.New("which command?"))
}

// usageError marks err as wrong usage and points to the help.
func usageError(cmd *cobra.Command, err error) error {
	return fmt.Errorf("%w: %w (see '%s --help')", engine.ErrUsage, err, cmd.CommandPath())
}

// args makes what check finds wrong usage.
func args(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		err := check(cmd, args)
		if err == nil {
			return nil
		}
		if strings.HasPrefix(err.Error(), "accepts ") { // how many there are to be, which the line says better
			given := "no argument is given"
			if len(args) > 0 {
				given = show.Plural(len(args), "argument") + " given, " + strings.Join(args, " ")
			}
			err = fmt.Errorf("%s; write it as: %s", given, strings.TrimSuffix(cmd.UseLine(), " [flags]"))
		}
		return usageError(cmd, err)
	}
}
