package controls

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/saypro/backupd/internal/repository"
)

// forgery is a recovery point about to be written whose commit says one thing
// and whose data says another: what a fault of the writer, of a tool that ended
// early or of a source that lied would leave. All of it is sealed and named as it
// should be, so that nothing is wrong with any object.
type forgery struct {
	// Snapshot is what the commit will tell; the streams are filled in.
	repository.Snapshot
	// rows are the rows of each table, by its name, streams the content of what
	// is not rows.
	rows    map[string][]byte
	streams map[string][]byte
}

// forge writes a recovery point like the one given, but for what edit changes,
// and returns its id when both sites hold it.
func (c *replica) forge(ctx context.Context, like string, edit func(*forgery) error) (string, error) {
	f, err := c.unpack(ctx, like)
	if err != nil {
		return "", err
	}
	if err := edit(f); err != nil {
		return "", err
	}
	c.upload(ctx)
	err = c.repo.Write(ctx, func(ctx context.Context, w *repository.Writer) error {
		if err := f.write(ctx, w); err != nil {
			return err
		}
		return w.Commit(ctx, &f.Snapshot)
	})
	if err != nil {
		return "", err
	}
	states, err := c.repo.Wait(ctx, f.ID, repository.Patience{Failing: uploadPatience, Enough: 2})
	for site, s := range states {
		if s.State != repository.StateDurable {
			err = errors.Join(err, fmt.Errorf("site %s does not take it: %s", site, s.Error))
		}
	}
	return f.ID, err
}

// unpack reads a recovery point whole. It is small.
func (c *replica) unpack(ctx context.Context, id string) (*forgery, error) {
	snap, err := c.repo.Snapshot(ctx, id)
	if err != nil {
		return nil, err
	}
	reader, err := c.repo.Reader(snap, nil, nil)
	if err != nil {
		return nil, err
	}
	f := &forgery{Snapshot: *snap, rows: map[string][]byte{}, streams: map[string][]byte{}}
	content := func(s repository.Stream) []byte {
		var text bytes.Buffer
		err = errors.Join(err, reader.Copy(ctx, s, &text))
		return text.Bytes()
	}
	for _, t := range snap.Tables {
		f.rows[t.Name] = content(t.Data)
	}
	for name, s := range snap.Streams {
		f.streams[name] = content(s)
	}
	return f, err
}

// write stores the content.
func (f *forgery) write(ctx context.Context, w *repository.Writer) (err error) {
	f.Streams = map[string]repository.Stream{}
	for name, content := range f.streams {
		if f.Streams[name], err = w.Bytes(ctx, bytes.NewReader(content)); err != nil {
			return err
		}
	}
	tables := make([]repository.Table, len(f.Tables))
	for i, t := range f.Tables {
		if t.Data, err = writeRows(w, f.rows[t.Name]); err != nil {
			return err
		}
		tables[i] = t
	}
	f.Tables = tables
	return nil
}

func writeRows(w *repository.Writer, rows []byte) (repository.Stream, error) {
	stream, err := w.Rows()
	if err != nil {
		return repository.Stream{}, err
	}
	_, err = io.Copy(stream, bytes.NewReader(rows))
	part, closeErr := stream.Close()
	if err := errors.Join(err, closeErr); err != nil {
		return repository.Stream{}, err
	}
	return w.Join(part)
}

// table returns the table of that name.
func (f *forgery) table(name string) (*repository.Table, error) {
	for i := range f.Tables {
		if f.Tables[i].Name == name {
			return &f.Tables[i], nil
		}
	}
	return nil, fmt.Errorf("snapshot %s has no table %s", f.ID, name)
}

// firstRows returns the first n rows.
func firstRows(rows []byte, n int) []byte {
	at := 0
	for range n {
		end := bytes.IndexByte(rows[at:], '\n')
		if end < 0 {
			break
		}
		at += end + 1
	}
	return rows[:at]
}
