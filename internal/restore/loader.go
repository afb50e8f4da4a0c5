package restore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"time"

	"github.com/saypro/backupd/internal/clock"
	"github.com/saypro/backupd/internal/crash"
	"github.com/saypro/backupd/internal/progress"
	"github.com/saypro/backupd/internal/repository"
	"github.com/saypro/backupd/internal/snapshot/content"
	"github.com/saypro/backupd/internal/source/postgres"
)

// Loader fills a database with a snapshot. Restores and proofs share it.
type Loader struct {
	Snapshot *repository.Snapshot
	// Reader is where all of the snapshot is read from.
	Reader *repository.Reader
	// Tables restricts what is loaded to these tables and what they need;
	// none means everything.
	Tables []postgres.TableName
	// NoOwner and Scratch are those of the target, see
	// [postgres.TargetOptions].
	NoOwner bool
	Scratch bool
	// Jobs is how many connections load at once; 0 means to choose.
	Jobs int
	// StallTimeout is how long nothing may move between us and the target
	// before it counts as hung; see [postgres.TargetOptions].
	StallTimeout time.Duration
	// TempDir takes the schema archive while the Loader is open.
	TempDir string
	Phases  *progress.Phases
	Report  progress.Reporter

	header     *content.Header
	chosen     []int // indexes of the tables to be loaded, biggest first
	globals    postgres.Globals
	structure  postgres.Structure
	sequences  []postgres.Sequence
	outside    []postgres.Reference
	archive    string // path of the schema archive
	unrestored []postgres.Unrestored
}

// Loaded says what [Loader.Load] brought.
type Loaded struct {
	Rows  int64
	Bytes int64 // of the rows as the source gave them
	// Unrestored are foreign keys that were not restored as they were, with
	// the reasons.
	Unrestored []string
}

// defaultJobs is how many connections load at once when nobody says: enough
// to keep the processors busy, few enough to bound the memory.
func defaultJobs() int { return min(4, max(2, runtime.NumCPU())) }

// Open reads what describes the snapshot, its schema archive into a file that
// [Loader.Close] removes. An unknown table matches [ErrRequest].
func (l *Loader) Open(ctx context.Context) error {
	defer l.Phases.Begin("fetch")()
	if l.Jobs <= 0 {
		l.Jobs = defaultJobs()
	}
	l.Report.Report(progress.Event{Function: l.Snapshot.Function, Phase: "fetch"})
	var err error
	if l.header, err = content.ReadHeader(l.Snapshot); err != nil {
		return err
	}
	if l.archive, err = fetchArchive(ctx, l.Reader, l.Snapshot, l.TempDir); err != nil {
		return err
	}
	crash.Point(crash.RestoreFetched)
	for name, v := range map[string]any{
		content.Globals: &l.globals, content.Structure: &l.structure,
		content.Sequences: &l.sequences, content.Outside: &l.outside,
	} {
		if err := content.ReadJSON(ctx, l.Reader, l.Snapshot, name, v); err != nil {
			return err
		}
	}
	return l.chooseTables()
}

// scope is what of a database the snapshot, or what is chosen of it, covers.
func (l *Loader) scope() postgres.Scope {
	if len(l.Tables) == 0 {
		return l.header.Scope.Scope
	}
	s := postgres.Scope{Function: l.Snapshot.Function}
	for _, name := range l.Tables {
		s.Tables = append(s.Tables, name.String())
	}
	return s
}

// Connect opens the database at url as a target for this snapshot.
func (l *Loader) Connect(ctx context.Context, url string, c clock.Clock, log *slog.Logger) (*postgres.Target, error) {
	return postgres.Connect(ctx, postgres.TargetOptions{
		URL: url, NoOwner: l.NoOwner, Scratch: l.Scratch, Jobs: l.Jobs, Tables: l.Tables, Clock: c, Log: log,
		StallTimeout: l.StallTimeout,
	})
}

// Point is the consistency point, with the properties of the database.
func (l *Loader) Point() postgres.Point { return l.header.Point }

// Close removes the schema archive.
func (l *Loader) Close() error { return removeFile(l.archive) }

// Load fills the target. Everything that is not exactly as the commit says is
// an error; so is every single error of the engine.
func (l *Loader) Load(ctx context.Context, to *postgres.Target) (Loaded, error) {
	end := l.Phases.Begin("load")
	err := l.loadData(ctx, to)
	end()
	if err != nil {
		return Loaded{}, err
	}
	defer l.Phases.Begin("index")()
	l.Report.Report(progress.Event{Function: l.Snapshot.Function, Phase: "index"})
	if l.unrestored, err = to.PostData(ctx, l.archive, l.Jobs, l.outside); err != nil {
		return Loaded{}, err
	}
	crash.Point(crash.RestoreIndexed)
	return l.loaded(), nil
}

func (l *Loader) loadData(ctx context.Context, to *postgres.Target) error {
	l.Report.Report(progress.Event{Function: l.Snapshot.Function, Phase: "load", Total: l.bytes()})
	if err := to.PreData(ctx, l.archive, l.globals); err != nil {
		return err
	}
	crash.Point(crash.RestorePreData)
	if err := newRows(l, to).load(ctx); err != nil {
		return err
	}
	crash.Point(crash.RestoreRows)
	if err := to.SetSequences(ctx, l.sequences); err != nil {
		return err
	}
	crash.Point(crash.RestoreSequences)
	return nil
}

func (l *Loader) loaded() Loaded {
	out := Loaded{Bytes: l.bytes()}
	for _, i := range l.chosen {
		out.Rows += l.Snapshot.Tables[i].Rows
	}
	for _, u := range l.unrestored {
		out.Unrestored = append(out.Unrestored, u.String())
	}
	return out
}

// bytes is the size of the rows to be loaded.
func (l *Loader) bytes() (n int64) {
	for _, i := range l.chosen {
		n += l.Snapshot.Tables[i].Bytes
	}
	return n
}

// wrap says which snapshot an error is about and what was being done.
func (l *Loader) wrap(doing string, err error) error {
	return fmt.Errorf("snapshot %s of %s: %s: %w", l.Snapshot.ID, l.Snapshot.Function, doing, err)
}

// errStopped ends the reading of rows that nobody takes any more.
var errStopped = errors.New("nobody takes the rows any more")
