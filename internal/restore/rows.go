package restore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/saypro/backupd/internal/crash"
	"github.com/saypro/backupd/internal/progress"
	"github.com/saypro/backupd/internal/repository"
	"github.com/saypro/backupd/internal/rowhash"
	"github.com/saypro/backupd/internal/source/postgres"
)

// runBytes is how much of a table one COPY loads: enough that its start costs
// nothing, little enough that a big table keeps all workers busy and that what
// a worker holds in memory stays small.
const runBytes = 8 << 20

// rows loads the rows of the chosen tables.
type rows struct {
	*Loader
	to    *postgres.Target
	meter *progress.Meter

	mu   sync.Mutex
	sums []rowhash.Digest // of each of Snapshot.Tables, as sent
}

// stretch is what one COPY loads.
type stretch struct {
	table int
	run   repository.Run
}

func newRows(l *Loader, to *postgres.Target) *rows {
	return &rows{Loader: l, to: to, sums: make([]rowhash.Digest, len(l.Snapshot.Tables))}
}

// load loads all rows and checks that they are those of the commit.
func (r *rows) load(ctx context.Context) error {
	r.meter = r.Report.Meter(progress.Event{Function: r.Snapshot.Function, Phase: "load", Total: r.bytes()})
	work := make(chan stretch)
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error {
		defer close(work)
		return r.cut(groupCtx, work)
	})
	for range r.Jobs {
		group.Go(func() error {
			for s := range work {
				if err := r.copyIn(groupCtx, s); err != nil {
					return r.wrap("load "+r.Snapshot.Tables[s.table].Name, err)
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	r.meter.End()
	return r.checkSums()
}

// cut divides the tables into stretches and hands them to the workers.
func (r *rows) cut(ctx context.Context, work chan<- stretch) error {
	for _, i := range r.chosen {
		t := r.Snapshot.Tables[i]
		for run, err := range r.Reader.Runs(ctx, t.Data, runBytes) {
			if err != nil {
				return r.wrap("read "+t.Name, err)
			}
			select {
			case work <- stretch{table: i, run: run}:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	return nil
}

// copyIn loads one stretch.
func (r *rows) copyIn(ctx context.Context, s stretch) error {
	var sent rowhash.Writer
	pipeOut, pipeIn := io.Pipe()
	read := make(chan error, 1)
	go func() {
		err := r.Reader.CopyRun(ctx, s.run, io.MultiWriter(pipeIn, &sent, r.meter))
		_ = pipeIn.CloseWithError(err) // never fails
		read <- err
	}()
	loaded, err := r.to.CopyIn(ctx, r.header.Tables[s.table], pipeOut)
	_ = pipeOut.CloseWithError(errStopped) // never fails
	if readErr := <-read; readErr != nil && !errors.Is(readErr, errStopped) {
		return readErr
	}
	if err != nil {
		return err
	}
	digest, _ := sent.Sum()
	if loaded != s.run.Rows || digest.Rows != s.run.Rows || !sent.Whole() {
		return fmt.Errorf("%w: %d rows were read and the database took %d where the snapshot has %d",
			ErrDiffers, digest.Rows, loaded, s.run.Rows)
	}
	crash.Point(crash.RestoreStretch)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sums[s.table].Merge(digest)
	return nil
}

// checkSums compares what was sent, table by table, with the commit.
func (r *rows) checkSums() error {
	for _, i := range r.chosen {
		t := r.Snapshot.Tables[i]
		if got := r.sums[i]; got.Rows != t.Rows || got.String() != t.Digest {
			return r.wrap("load "+t.Name, fmt.Errorf("%w: %d rows with the digest %s, the commit says %d with %s",
				ErrDiffers, got.Rows, got, t.Rows, t.Digest))
		}
	}
	return nil
}
