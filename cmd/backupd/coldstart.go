package main

import (
	"context"
	"log/slog"
	"os"

	"github.com/saypro/backupd/internal/clock"
	"github.com/saypro/backupd/internal/engine"
)

// coldStart is the empty host of 'backupd verify --cold', which starts it: it
// has no flags and no configuration, and is no command for people.
func coldStart(ctx context.Context) int {
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn, ReplaceAttr: timeInUTC}))
	err := engine.ColdStart(ctx, os.Stdin, os.Stdout, engine.Options{Clock: clock.System, Log: log, Version: buildVersion().Version})
	if err != nil {
		log.Error("cold start", "error", err)
		return 1
	}
	return 0
}
