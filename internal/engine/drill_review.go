package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/saypro/backupd/internal/drill"
)

// draftReview drafts the review of an exercise that has ended into a file of its
// own, so that there is one after each. A file that is there is left alone:
// people fill it in.
func (e *Engine) draftReview(x *drill.Exercise) error {
	if x.State == drill.StateOpen {
		return nil
	}
	path := filepath.Join(e.cfg.DataDir, "reviews", x.ID+".html")
	v, err := e.drills.Review(x.ID)
	if err != nil {
		return fmt.Errorf("draft the review of %s: %w", x.ID, err)
	}
	var made bool
	page, err := v.HTML()
	if err == nil {
		err = os.MkdirAll(filepath.Dir(path), 0o700)
	}
	if err == nil {
		made, err = writeNew(path, page)
	}
	if err != nil {
		return fmt.Errorf("draft the review of %s: %w; 'backupd drill report %s -o FILE' drafts it elsewhere", x.ID, err, x.ID)
	}
	x.Review, x.ReviewStale = path, !made
	return nil
}

// writeNew writes a file unless it is there.
func writeNew(path string, content []byte) (made bool, err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return false, errors.Join(err, os.Remove(path))
	}
	return true, nil
}
