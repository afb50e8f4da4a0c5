package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/saypro/backupd/internal/config"
	"github.com/saypro/backupd/internal/engine"
	"github.com/saypro/backupd/internal/server"
)

func newServe(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "serve",
		Short:   "Keep the promises: the service",
		GroupID: groupSetup,
		Long: `Serve runs until it is stopped: it plans and makes recovery points so that each
function stays within its RPO, carries them to every site, and proves them.
The other commands talk to it over a socket in the data directory.

It stops on SIGTERM and SIGINT; a capture that runs then is abandoned, and
never listed half-done. Under systemd (Type=notify) it reports readiness and
state, and answers the watchdog.`,
		Example: `  backupd serve
  backupd serve --log-format json --log-level debug`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			a.logAtLeast(slog.LevelInfo)
			cfg, err := a.config()
			if err != nil {
				return err
			}
			return a.serve(cmd.Context(), cfg)
		},
	}
}

func (a *app) serve(ctx context.Context, cfg *config.Config) (err error) {
	if err := refuseSecond(ctx, cfg); err != nil {
		return err
	}
	e, err := engine.Open(ctx, cfg, a.engineOptions())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	l, err := server.Listen(ctx, cfg.DataDir)
	if err != nil {
		return err
	}
	v := buildVersion().Version
	a.log.Info("serving", "version", v, "config", a.configFile(), "socket", server.SocketPath(cfg.DataDir))
	work, ctx := errgroup.WithContext(ctx)
	work.Go(func() error { return e.Serve(ctx) })
	work.Go(func() error {
		return server.Serve(ctx, l, e, server.Options{Clock: a.clock, Log: a.log, Version: v})
	})
	work.Go(func() error { return a.tellSystemd(ctx, e) })
	if err := work.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	a.log.Info("stopped")
	return nil
}

// refuseSecond names the service that runs already, which is friendlier than
// to find the catalog locked.
func refuseSecond(ctx context.Context, cfg *config.Config) error {
	c, err := server.Dial(ctx, cfg.DataDir)
	if errors.Is(err, server.ErrNoService) {
		return nil
	}
	if err != nil {
		return err
	}
	pong := c.Service()
	return errors.Join(
		fmt.Errorf("%w: process %d, version %s, serves in %s", server.ErrServed, pong.PID, pong.Version, cfg.DataDir),
		c.Close())
}
