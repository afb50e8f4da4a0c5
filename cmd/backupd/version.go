package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"

	"github.com/spf13/cobra"
)

// version is stamped at build time: -ldflags "-X main.version=v1.2.3".
var version string

// build says what program this is.
type build struct {
	// Version is the release, or what the sources say about themselves.
	Version string `json:"version"`
	// Commit is the revision of the sources, CommitTime its time.
	Commit     string `json:"commit,omitempty"`
	CommitTime string `json:"commit_time,omitempty"`
	// Modified is true when the sources differed from the commit.
	Modified bool `json:"modified"`
	// Go is the version of the compiler, Platform what it compiled for.
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

var buildVersion = sync.OnceValue(func() build {
	b := build{Version: version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if ok {
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				b.Commit = s.Value
			case "vcs.time":
				b.CommitTime = s.Value
			case "vcs.modified":
				b.Modified = s.Value == "true"
			}
		}
		if b.Version == "" {
			b.Version = info.Main.Version
		}
	}
	if b.Version == "" {
		b.Version = "(devel)"
	}
	return b
})

func newVersion(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Say which version this is",
		GroupID: groupSetup,
		Example: "  backupd version\n  backupd version --json",
		Args:    args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			b := buildVersion()
			return a.answer(b, nil, func() error { return a.showVersion(b) })
		},
	}
}

func (a *app) showVersion(b build) error {
	commit := ""
	if b.Commit != "" {
		commit = ", commit " + b.Commit
		if b.Modified {
			commit += " with changes"
		}
	}
	_, err := fmt.Fprintf(a.stdout, "backupd %s (%s, %s%s)\n", b.Version, b.Go, b.Platform, commit)
	return err
}
