package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/saypro/backupd/internal/config"
	"github.com/saypro/backupd/internal/engine"
	"github.com/saypro/backupd/internal/server"
)

// operations is whoever does the work: the running service, or an engine of
// our own.
type operations interface {
	server.Operations
	Close() error
}

var (
	_ operations = (*engine.Engine)(nil)
	_ operations = (*server.Client)(nil)
)

const (
	// startTries is how often a service that starts, or another command that
	// ends, is given another try, and startPause the time in between: a
	// service holds the catalog for a moment before it listens.
	startTries = 5
	startPause = 300 * time.Millisecond
)

// connect returns the service that runs in the data directory, or an engine
// of our own when there is none.
func (a *app) connect(ctx context.Context) (operations, error) {
	cfg, err := a.config()
	if err != nil {
		return nil, err
	}
	for range startTries {
		var ops operations
		ops, err = a.dialOrOpen(ctx, cfg)
		if !errors.Is(err, engine.ErrCatalogBusy) {
			return ops, err
		}
		if err := a.clock.Sleep(ctx, startPause); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%w: nobody answers on %s, so it is not a service but another command that works on its own; wait until it ends",
		engine.ErrCatalogBusy, server.SocketPath(cfg.DataDir))
}

func (a *app) dialOrOpen(ctx context.Context, cfg *config.Config) (operations, error) {
	client, err := server.Dial(ctx, cfg.DataDir)
	if err == nil {
		own := buildVersion().Version
		if theirs := client.Service().Version; theirs != own {
			a.log.Warn("the service is of another version than this command", "service", theirs, "command", own)
		}
		return client, nil
	}
	if !errors.Is(err, server.ErrNoService) {
		return nil, err
	}
	e, err := engine.Open(ctx, cfg, a.engineOptions())
	if err != nil {
		return nil, err
	}
	return e, nil
}

// using connects, lets do work, and closes again. Progress shows meanwhile.
func (a *app) using(ctx context.Context, do func(operations) error) error {
	ops, err := a.connect(ctx)
	if err != nil {
		return err
	}
	hide := a.screen.Start(ctx)
	defer hide()
	return errors.Join(do(ops), ops.Close())
}
