package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"github.com/saypro/backupd/cmd/backupd/internal/show"
	"github.com/saypro/backupd/internal/engine"
	"github.com/saypro/backupd/internal/server"
)

// statusPause is the time between two reports to systemd without a watchdog.
const statusPause = 30 * time.Second

// tellSystemd reports readiness, then the state and signs of life until ctx
// ends. Without systemd it does nothing.
func (a *app) tellSystemd(ctx context.Context, ops server.Operations) error {
	told, err := daemon.SdNotify(false, daemon.SdNotifyReady)
	if err != nil {
		a.log.Warn("tell systemd that the service is ready", "error", err)
	}
	if !told {
		return nil
	}
	watchdog, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		a.log.Warn("read the watchdog's interval from systemd", "error", err)
	}
	pause := statusPause
	if watchdog > 0 {
		pause = watchdog / 3 // so that one that comes late is not the last
	}
	a.signOfLife(ctx, ops, pause)
	for a.clock.Sleep(ctx, pause) == nil {
		a.signOfLife(ctx, ops, pause)
	}
	_, _ = daemon.SdNotify(false, daemon.SdNotifyStopping)
	return nil
}

// signOfLife answers the watchdog, but only if the engine does: a service that
// hangs is better restarted. An error is an answer.
func (a *app) signOfLife(ctx context.Context, ops server.Operations, patience time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	answered := make(chan string, 1)
	go func() {
		status, err := ops.Status(ctx)
		answered <- summary(status, err)
	}()
	select {
	case line := <-answered:
		_, _ = daemon.SdNotify(false, daemon.SdNotifyWatchdog+"\nSTATUS="+line)
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			a.log.Error("the engine does not answer; the watchdog will notice")
		}
	}
}

// summary is the state in one line, worst first.
func summary(s engine.Status, err error) string {
	if err != nil {
		return "state unknown: " + strings.ReplaceAll(err.Error(), "\n", "; ")
	}
	for _, f := range s.Functions {
		if f.State != engine.StateGood {
			return fmt.Sprintf("%s is %s: exposure %s of RPO %s", f.Function, f.State,
				show.OptionalSeconds(f.ExposureAnySeconds), show.Seconds(f.RPOSeconds))
		}
	}
	for _, f := range s.Functions {
		if f.Degraded {
			return f.Function + " is degraded, but within its RPO"
		}
	}
	if len(s.Reasons) > 0 {
		return "all functions are within their RPO, but " + s.Reasons[0]
	}
	if len(s.Functions) == 1 {
		return s.Functions[0].Function + " is within its RPO at every site"
	}
	return fmt.Sprintf("all %d functions are within their RPO at every site", len(s.Functions))
}
