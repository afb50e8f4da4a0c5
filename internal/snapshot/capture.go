package snapshot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/saypro/backupd/internal/crash"
	"github.com/saypro/backupd/internal/progress"
	"github.com/saypro/backupd/internal/repository"
	"github.com/saypro/backupd/internal/snapshot/content"
	"github.com/saypro/backupd/internal/source/postgres"
	"github.com/saypro/backupd/internal/suspicion"
)

// capture reads the source into the repository, up to the commit. The source
// is let go of as soon as everything is read.
func (k *taking) capture(ctx context.Context) (snap *repository.Snapshot, err error) {
	source := k.Sources[k.fn.Source]
	if source == nil {
		return nil, k.wrap("starting the capture", errNoSource)
	}
	scope := postgres.Scope{
		Function: k.fn.Name, Schemas: k.fn.Schemas, Tables: k.fn.Tables, LargeObjects: k.fn.LargeObjects,
	}
	lock := k.phases.Begin("lock")
	k.report.Report(progress.Event{Function: k.fn.Name, Phase: "lock"})
	capture, err := source.Capture(ctx, scope)
	lock()
	if err != nil {
		return nil, err
	}
	crash.Point(crash.SnapshotLocked)
	// It is closed as soon as everything is read; closing again does nothing.
	release := func() error { return capture.Close(context.WithoutCancel(ctx)) }
	defer func() { err = errors.Join(err, release()) }()

	err = k.Repository.Write(ctx, func(ctx context.Context, w *repository.Writer) error {
		var now suspicion.Point
		snap, now, err = k.read(ctx, capture, w)
		if err != nil {
			return err
		}
		crash.Point(crash.SnapshotRead)
		if err := release(); err != nil {
			return k.wrap("ending the capture", err)
		}
		crash.Point(crash.SnapshotReleased)
		next := k.judge(ctx, snap, now)
		if err := k.commit(ctx, w, snap, scope); err != nil {
			return err
		}
		k.remember(next, snap.ID)
		return nil
	})
	return snap, err
}

// read copies everything that the capture holds, and returns with it what it is
// judged by.
func (k *taking) read(ctx context.Context, capture *postgres.Capture, w *repository.Writer) (*repository.Snapshot, suspicion.Point, error) {
	now := suspicion.Point{}
	point := capture.Point()
	snap := &repository.Snapshot{
		Function: k.fn.Name, RecoveryPoint: point.Time.UTC(), Started: k.result.Started,
		Engine: content.Engine, Streams: map[string]repository.Stream{},
	}
	var err error
	if snap.Source, err = json.Marshal(point); err != nil {
		return nil, now, err
	}
	data := newTables(k, capture, w)
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error { return data.copyAll(groupCtx) })
	dumped := make(chan struct{})
	group.Go(func() error { return k.definitions(groupCtx, capture, w, snap, dumped) })
	group.Go(func() error {
		<-dumped // the checks take the place of pg_dump's session
		snap.Observed = k.observe(groupCtx, capture)
		return nil
	})
	group.Go(func() (err error) {
		now.Canaries, err = k.canaries(groupCtx, capture)
		return err
	})
	if err := group.Wait(); err != nil {
		return nil, now, err
	}
	snap.Tables, now.Tables = data.stored, data.judged

	// Sequences do not obey the snapshot: read last, they are at or ahead of
	// every value in the tables.
	sequences, err := capture.Sequences(ctx)
	if err != nil {
		return nil, now, err
	}
	if err := k.put(ctx, w, snap, content.Sequences, sequences); err != nil {
		return nil, now, err
	}
	k.result.Notes = append(notes(capture), notObserved(snap.Observed)...)
	return snap, now, nil
}

// definitions stores what describes the tables rather than fills them. It closes
// dumped once pg_dump has ended.
func (k *taking) definitions(ctx context.Context, capture *postgres.Capture, w *repository.Writer, snap *repository.Snapshot, dumped chan<- struct{}) error {
	defer k.phases.Begin("schema")()
	k.report.Report(progress.Event{Function: k.fn.Name, Phase: "schema"})
	schema, err := pipe(ctx, w, capture.Schema)
	close(dumped)
	if err != nil {
		return k.wrap("storing the schema", err)
	}
	snap.Streams[content.Schema] = schema
	structure, err := capture.Structure(ctx)
	if err != nil {
		return err
	}
	if k.result.Schema, err = digestOf(structure); err != nil {
		return err
	}
	if err := k.put(ctx, w, snap, content.Structure, structure); err != nil {
		return err
	}
	globals, err := capture.Globals(ctx)
	if err != nil {
		return err
	}
	if err := k.put(ctx, w, snap, content.Globals, globals); err != nil {
		return err
	}
	return k.put(ctx, w, snap, content.Outside, capture.Outside())
}

// put stores v as JSON under the name of a stream.
func (k *taking) put(ctx context.Context, w *repository.Writer, snap *repository.Snapshot, name string, v any) error {
	text, err := content.JSON(v)
	if err == nil {
		snap.Streams[name], err = w.Bytes(ctx, text)
	}
	if err != nil {
		return k.wrap("storing the "+name, err)
	}
	return nil
}

// wrap says in an error what was being done, in the words of package postgres.
func (k *taking) wrap(doing string, err error) error {
	return fmt.Errorf("function %s: source %s: %s: %w", k.fn.Name, k.fn.Source, doing, err)
}

// pipe stores what write writes. The error is that of whoever failed first.
func pipe(ctx context.Context, w *repository.Writer, write func(context.Context, io.Writer) error) (repository.Stream, error) {
	reader, writer := io.Pipe()
	written := make(chan error, 1)
	go func() {
		err := write(ctx, writer)
		_ = writer.CloseWithError(err) // never fails
		written <- err
	}()
	stream, err := w.Bytes(ctx, reader)
	_ = reader.CloseWithError(err) // never fails; ends the writing when storing has failed
	if writeErr := <-written; writeErr != nil {
		return stream, writeErr
	}
	return stream, err
}

// commit makes the snapshot exist.
func (k *taking) commit(ctx context.Context, w *repository.Writer, snap *repository.Snapshot, scope postgres.Scope) error {
	defer k.phases.Begin("commit")()
	k.report.Report(progress.Event{Function: k.fn.Name, Phase: "commit"})
	var err error
	snap.Scope, err = json.Marshal(content.NewScope(scope, k.fn.Source, k.fn.RPO, k.fn.RTO))
	if err != nil {
		return err
	}
	snap.Ended = k.Clock.Now().UTC()
	if err := w.Commit(ctx, snap); err != nil {
		return k.wrap("committing", err)
	}
	crash.Point(crash.SnapshotCommitted)
	return nil
}

// notes tells what an operator should know of what was captured.
func notes(capture *postgres.Capture) []string {
	out := slices.Clone(capture.Notes())
	for _, t := range capture.Tables() {
		if t.Note != "" {
			out = append(out, fmt.Sprintf("%s: %s", t, t.Note))
		}
	}
	for _, r := range capture.Outside() {
		out = append(out, fmt.Sprintf("foreign key %s of %s.%s refers to %s.%s, which is outside the scope: "+
			"it is restored only where that table exists", r.Constraint, r.Schema, r.Table, r.ToSchema, r.ToTable))
	}
	return out
}
