package snapshot

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/saypro/backupd/internal/crash"
	"github.com/saypro/backupd/internal/progress"
	"github.com/saypro/backupd/internal/repository"
	"github.com/saypro/backupd/internal/rowhash"
	"github.com/saypro/backupd/internal/source/postgres"
	"github.com/saypro/backupd/internal/suspicion"
)

// tables copies the rows of all tables of a capture.
type tables struct {
	k       *taking
	capture *postgres.Capture
	w       *repository.Writer
	sources []postgres.Table
	stored  []repository.Table // one for each of sources, as they are finished
	meter   *progress.Meter

	mu    sync.Mutex
	parts [][]repository.Part // of each table that is not finished
	left  []int               // parts of each table that are still to come
	// judged is what the finished tables are judged by.
	judged map[string]suspicion.Table
}

// piece is one part of one table.
type piece struct {
	table, part int
	bytes       int64
}

func newTables(k *taking, capture *postgres.Capture, w *repository.Writer) *tables {
	d := &tables{k: k, capture: capture, w: w, sources: capture.Tables(), judged: map[string]suspicion.Table{}}
	d.stored = make([]repository.Table, len(d.sources))
	d.parts = make([][]repository.Part, len(d.sources))
	d.left = make([]int, len(d.sources))
	return d
}

// plan lists all parts, biggest first, so that no big one is left for the end
// when the other workers have nothing to do any more.
func (d *tables) plan() (pieces []piece, total int64) {
	for i, t := range d.sources {
		d.parts[i] = make([]repository.Part, len(t.Parts))
		d.left[i] = len(t.Parts)
		for j, p := range t.Parts {
			pieces = append(pieces, piece{i, j, p.Bytes})
			total += p.Bytes
		}
	}
	slices.SortStableFunc(pieces, func(a, b piece) int { return cmp.Compare(b.bytes, a.bytes) })
	return pieces, total
}

// copyAll copies every part of every table.
func (d *tables) copyAll(ctx context.Context) error {
	defer d.k.phases.Begin("copy")()
	pieces, total := d.plan()
	d.meter = d.k.report.Meter(progress.Event{Function: d.k.fn.Name, Phase: "copy", Total: total})
	workers := d.k.Connections[d.k.fn.Source]
	if workers <= 0 {
		workers = defaultConnections
	}
	for i := range d.sources {
		if d.left[i] == 0 {
			return d.k.wrap("copying "+d.sources[i].String(), errors.New("the capture gives no part of it"))
		}
	}
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(workers)
	for _, p := range pieces {
		group.Go(func() error {
			if err := groupCtx.Err(); err != nil {
				return err
			}
			return d.copyPiece(groupCtx, p)
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	d.meter.End()
	return nil
}

func (d *tables) copyPiece(ctx context.Context, p piece) error {
	table := d.sources[p.table]
	part, err := d.copyPart(ctx, table, table.Parts[p.part])
	if err != nil {
		return err
	}
	crash.Point(crash.SnapshotPart)
	d.mu.Lock()
	d.parts[p.table][p.part] = part
	d.left[p.table]--
	last := d.left[p.table] == 0
	d.mu.Unlock()
	if !last {
		return nil
	}
	d.stored[p.table], err = d.join(table, d.parts[p.table])
	d.parts[p.table] = nil
	return err
}

// rowBuffer is how many bytes of rows are handed on at once.
const rowBuffer = 64 << 10

// copyPart stores the rows of one part and checks that they are as many as the
// source says it sent.
func (d *tables) copyPart(ctx context.Context, table postgres.Table, part postgres.Part) (repository.Part, error) {
	wrap := func(err error) error { return d.k.wrap("copying "+table.String(), err) }
	rows, err := d.w.Rows()
	if err != nil {
		return repository.Part{}, wrap(err)
	}
	// The source hands over row by row; what follows does better with more.
	buffer := bufio.NewWriterSize(io.MultiWriter(rows, d.meter), rowBuffer)
	sent, err := d.capture.CopyPart(ctx, table, part, buffer)
	if err == nil {
		err = buffer.Flush()
	}
	stored, closeErr := rows.Close()
	switch {
	case err != nil:
		return stored, err
	case closeErr != nil:
		return stored, wrap(closeErr)
	case sent != stored.Digest.Rows:
		return stored, wrap(fmt.Errorf("the source sent %d rows, %d were stored", sent, stored.Digest.Rows))
	}
	return stored, nil
}

// join makes one table of its parts.
func (d *tables) join(table postgres.Table, parts []repository.Part) (repository.Table, error) {
	var digest rowhash.Digest
	var sample suspicion.Sampler
	for _, p := range parts {
		digest.Merge(p.Digest)
		sample.Merge(p.Sample)
	}
	judged := suspicion.Table{Rows: digest.Rows, Columns: table.Columns, Digest: digest.String(), Sample: sample.Sample()}
	d.mu.Lock()
	d.judged[table.String()] = judged
	d.mu.Unlock()
	data, err := d.w.Join(parts...)
	if err != nil {
		return repository.Table{}, d.k.wrap("storing "+table.String(), err)
	}
	// Where the parts were cut is of no use to a restore.
	bare := table
	bare.Parts = nil
	engine, err := json.Marshal(bare)
	return repository.Table{
		Name: table.String(), Engine: engine, Rows: digest.Rows, Bytes: data.Bytes,
		Digest: digest.String(), Data: data, Comment: table.Note,
	}, err
}
