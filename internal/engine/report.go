package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/saypro/backupd/internal/clock"
	"github.com/saypro/backupd/internal/evidence"
	"github.com/saypro/backupd/internal/report"
)

// Report writes a report from the evidence log.
func (e *Engine) Report(ctx context.Context, req report.Request, w io.Writer) (report.Made, error) {
	checkpoint, err := e.evidence.Checkpoint()
	if err != nil {
		return report.Made{}, fmt.Errorf("report: %w", err)
	}
	key := e.evidence.PublicKey()
	at, _, err := evidence.OpenCheckpoint(checkpoint, key)
	if err != nil {
		return report.Made{}, fmt.Errorf("report: %w", err)
	}
	log := report.Log{Reader: e.evidence, Next: at.Size, Checkpoint: string(checkpoint), Key: key.String()}
	return writeReport(ctx, log, req, e.clock, e.version, w)
}

// ReportBundle writes a report from a bundle of the evidence log, which it
// verifies with the key first. It needs no configuration.
func ReportBundle(ctx context.Context, file, key string, req report.Request, o Options, w io.Writer) (report.Made, error) {
	public, err := evidence.ParsePublicKey(key)
	if err != nil {
		return report.Made{}, fmt.Errorf("%w: --key: %w", ErrUsage, err)
	}
	f, err := os.Open(file)
	if err != nil {
		return report.Made{}, fmt.Errorf("report: %w", err)
	}
	defer func() { _ = f.Close() }() // it was only read
	info, err := f.Stat()
	if err != nil {
		return report.Made{}, fmt.Errorf("report: %w", err)
	}
	log, err := report.OpenBundle(ctx, f, info.Size(), public)
	if err != nil {
		return report.Made{}, fmt.Errorf("report of %s: %w", file, err)
	}
	return writeReport(ctx, log, req, o.Clock, o.Version, w)
}

func writeReport(ctx context.Context, log report.Log, req report.Request, c clock.Clock, version string, w io.Writer) (report.Made, error) {
	now := c.Now().UTC().Truncate(time.Second)
	made, err := report.Write(ctx, log, req, report.Maker{Generated: now, Generator: version}, w)
	if errors.Is(err, report.ErrNotThere) {
		err = fmt.Errorf("%w: %w", ErrUsage, err)
	}
	return made, err
}
