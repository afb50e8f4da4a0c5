package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
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
// of our own when there is none. Only the engine needs the whole configuration:
// the service has read it already, with secrets that a user may not have.
func (a *app) connect(ctx context.Context) (operations, error) {
	if dir := a.outline().DataDir; dir != "" {
		client, err := a.dial(ctx, dir)
		if err == nil {
			return client, nil
		}
		if !errors.Is(err, server.ErrNoService) {
			return nil, err
		}
	}
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
	client, err := a.dial(ctx, cfg.DataDir)
	if err == nil {
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

func (a *app) dial(ctx context.Context, dataDir string) (*server.Client, error) {
	client, err := server.Dial(ctx, dataDir)
	if err != nil {
		return nil, err
	}
	own := buildVersion().Version
	if theirs := client.Service().Version; theirs != own {
		a.log.Warn("the service is of another version than this command", "service", theirs, "command", own)
	}
	return client, nil
}

// unknownName is how the service says that it knows no function or site of a
// name.
var unknownName = regexp.MustCompile(`(function|site) "([^"]+)" is not configured`)

// explainUnknown adds to a service's refusal of a name that the configuration
// file has: the service read another one.
func (a *app) explainUnknown(ops operations, err error) error {
	client, served := ops.(*server.Client)
	if err == nil || !served {
		return err
	}
	named := unknownName.FindStringSubmatch(err.Error())
	if named == nil {
		return err
	}
	o := a.outline()
	if !slices.Contains(append(o.FunctionOrder, o.SiteOrder...), named[2]) {
		return err
	}
	return fmt.Errorf("%w; %s has it: the running service (process %d) started with another configuration, restart it",
		err, a.configFile(), client.Service().PID)
}

// using connects, lets do work, and closes again. Progress shows meanwhile.
func (a *app) using(ctx context.Context, do func(operations) error) error {
	ops, err := a.connect(ctx)
	if err != nil {
		return err
	}
	hide := a.screen.Start(ctx)
	defer hide()
	return errors.Join(a.explainUnknown(ops, do(ops)), ops.Close())
}
