package main

import (
	"cmp"
	"fmt"
	"iter"
	"log/slog"
	"os"
	"os/user"
	"slices"

	"filippo.io/age"

	"github.com/saypro/backupd/cmd/backupd/internal/show"
	"github.com/saypro/backupd/internal/clock"
	"github.com/saypro/backupd/internal/config"
	"github.com/saypro/backupd/internal/engine"
)

// app is what the commands share: the flags of all of them, and where they
// read and write.
type app struct {
	configPath string
	json       bool
	logLevel   string
	logFormat  string
	noProgress bool

	stdin          *os.File
	stdout, stderr *os.File
	style, errs    show.Style // for stdout and stderr
	clock          clock.Clock
	screen         *show.Screen
	log            *slog.Logger
	level          slog.LevelVar

	identities []age.Identity // given besides the configured ones

	answered bool // the document of --json has been printed
}

func newApp(stdin, stdout, stderr *os.File) *app {
	a := &app{
		stdin: stdin, stdout: stdout, stderr: stderr,
		style: show.StyleFor(stdout), errs: show.StyleFor(stderr),
		clock: clock.System,
	}
	a.screen = show.NewScreen(stderr, a.clock, false)
	a.level.Set(slog.LevelWarn)
	return a
}

// prepare puts the flags of all commands to work once they are known.
func (a *app) prepare() error {
	a.screen = show.NewScreen(a.stderr, a.clock, a.noProgress)
	if a.logLevel != "" {
		var level slog.Level
		if err := level.UnmarshalText([]byte(a.logLevel)); err != nil {
			return fmt.Errorf("%w: --log-level %q: it is debug, info, warn or error", engine.ErrUsage, a.logLevel)
		}
		a.level.Set(level)
	}
	options := &slog.HandlerOptions{Level: &a.level, ReplaceAttr: timeInUTC}
	switch a.logFormat {
	case "text":
		a.log = slog.New(slog.NewTextHandler(a.screen, options))
	case "json":
		a.log = slog.New(slog.NewJSONHandler(a.screen, options))
	default:
		return fmt.Errorf("%w: --log-format %q: it is text or json", engine.ErrUsage, a.logFormat)
	}
	return nil
}

// logAtLeast makes the log show records from level on, unless the user chose.
func (a *app) logAtLeast(level slog.Level) {
	if a.logLevel == "" {
		a.level.Set(level)
	}
}

func timeInUTC(groups []string, attr slog.Attr) slog.Attr {
	if len(groups) == 0 && attr.Key == slog.TimeKey {
		attr.Value = slog.TimeValue(attr.Value.Time().UTC())
	}
	return attr
}

// configFile returns the path of the configuration file.
func (a *app) configFile() string {
	if a.configPath != "" {
		return a.configPath
	}
	if path := os.Getenv(configEnv); path != "" {
		return path
	}
	return defaultConfig
}

// config loads the configuration. Whatever keeps it from being read is a
// problem of configuration.
func (a *app) config() (*config.Config, error) {
	cfg, err := config.Load(a.configFile())
	if err != nil {
		return nil, asConfig(err)
	}
	return cfg, nil
}

// outline reads what of the configuration needs no secrets. It is empty when
// there is nothing to read: whoever needs the whole will say why.
func (a *app) outline() config.Outline {
	o, err := config.LoadOutline(a.configFile())
	if err != nil {
		return config.Outline{}
	}
	return o
}

// inOrder sorts names of sites as the configuration has them, which is the
// order of preference; what it does not name comes last.
func (a *app) inOrder(names iter.Seq[string]) []string {
	order := a.outline().SiteOrder
	place := func(name string) int {
		if i := slices.Index(order, name); i >= 0 {
			return i
		}
		return len(order)
	}
	return slices.SortedFunc(names, func(x, y string) int {
		return cmp.Or(cmp.Compare(place(x), place(y)), cmp.Compare(x, y))
	})
}

// asConfig marks err as a problem of configuration without a word more: it
// names file and line itself.
func asConfig(err error) error { return &marked{err, engine.ErrConfig} }

// marked is an error that matches a sentinel besides what it is.
type marked struct {
	error
	as error
}

func (m *marked) Unwrap() []error { return []error{m.error, m.as} }

func (a *app) engineOptions() engine.Options {
	return engine.Options{Clock: a.clock, Log: a.log, Version: buildVersion().Version, By: osUser(), Identities: a.identities}
}

// osUser names whoever runs the program.
func osUser() string {
	u, err := user.Current()
	if err != nil {
		return fmt.Sprintf("uid %d", os.Getuid())
	}
	return u.Username
}
