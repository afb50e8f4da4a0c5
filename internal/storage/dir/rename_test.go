package dir

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/saypro/backupd/internal/storage"
)

// The way taken where hard links do not exist.
func TestRenameNew(t *testing.T) {
	path := t.TempDir()
	from, to := filepath.Join(path, "from"), filepath.Join(path, "to")
	for _, content := range []string{"first", "second"} {
		if err := os.WriteFile(from, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		err := renameNew(from, to)
		if content == "first" && err != nil || content == "second" && !errors.Is(err, fs.ErrExist) {
			t.Errorf("%s: %v", content, err)
		}
	}
	if got, err := os.ReadFile(to); err != nil || string(got) != "first" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestErrorsOfTheFileSystem(t *testing.T) {
	s := &Store{site: "disk", path: t.TempDir()}
	for _, c := range []struct {
		err  error
		want error
	}{
		{syscall.EACCES, storage.ErrDenied},
		{syscall.EROFS, storage.ErrDenied},
		{syscall.ENOSPC, nil},
		{syscall.EDQUOT, nil},
	} {
		err := s.fail(t.Context(), "put", "p/object", &os.PathError{Op: "write", Path: "/x", Err: c.err})
		var e *storage.Error
		if !errors.As(err, &e) || e.Hint == "" || !errors.Is(err, c.err) {
			t.Errorf("%v: %#v", c.err, err)
		}
		if c.want == nil && storage.Permanent(err) || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%v: %v, want %v", c.err, err, c.want)
		}
	}
}
