package restore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"syscall"

	"github.com/saypro/backupd/internal/repository"
	"github.com/saypro/backupd/internal/snapshot/content"
	"github.com/saypro/backupd/internal/source/postgres"
)

// fetchArchive writes the schema archive of a snapshot into a file that only
// we can read and returns its path, also with an error when there is a file. When
// there is no room in dir it goes where the system has temporary files: a full
// disk must not keep anybody from a restore.
func fetchArchive(ctx context.Context, reader *repository.Reader, s *repository.Snapshot, dir string) (path string, err error) {
	path, err = fetchArchiveInto(ctx, reader, s, dir)
	if !errors.Is(err, syscall.ENOSPC) || dir == "" {
		return path, err
	}
	if err := removeFile(path); err != nil {
		return path, err
	}
	return fetchArchiveInto(ctx, reader, s, "")
}

func fetchArchiveInto(ctx context.Context, reader *repository.Reader, s *repository.Snapshot, dir string) (path string, err error) {
	fail := func(err error) (string, error) {
		return path, fmt.Errorf("snapshot %s of %s: fetch its schema: %w", s.ID, s.Function, err)
	}
	stream, err := content.Stream(s, content.Schema)
	if err != nil {
		return "", err
	}
	file, err := os.CreateTemp(dir, "backupd-schema-*")
	if err != nil {
		return fail(err)
	}
	path = file.Name()
	err = reader.Copy(ctx, stream, file)
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return fail(err)
	}
	return path, nil
}

// removeFile removes a file that may be gone already, or never was.
func removeFile(path string) error {
	if path == "" {
		return nil
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove temporary file: %w", err)
	}
	return nil
}

// chooseTables decides which tables are loaded, biggest first so that none is
// left for the end when the other workers have nothing to do any more.
func (l *Loader) chooseTables() error {
	wanted, err := l.wanted()
	if err != nil {
		return err
	}
	l.chosen = nil
	for i, t := range l.header.Tables {
		if wanted == nil || wanted[postgres.TableName{Schema: t.Schema, Name: t.Name}] {
			l.chosen = append(l.chosen, i)
		}
	}
	slices.SortStableFunc(l.chosen, func(a, b int) int {
		return cmp.Compare(l.Snapshot.Tables[b].Bytes, l.Snapshot.Tables[a].Bytes)
	})
	return nil
}

// wanted returns the tables asked for with their partitions; nil means all.
func (l *Loader) wanted() (map[postgres.TableName]bool, error) {
	if len(l.Tables) == 0 {
		return nil, nil
	}
	names, err := postgres.SelectTables(l.archive, l.Tables)
	if err != nil {
		return nil, requestError{err}
	}
	wanted := map[postgres.TableName]bool{}
	for _, n := range names {
		wanted[n] = true
	}
	return wanted, nil
}
