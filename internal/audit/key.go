package audit

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/saypro/backupd/internal/evidence"
)

// maxKey bounds a file with a key.
const maxKey = 64 << 10

// PublicKey reads a public key as it is given: itself, or the name of a file
// whose last line it is, as 'backupd audit key' prints it. The text is not shown
// in errors: somebody may have taken the private one.
func PublicKey(given string) (evidence.PublicKey, error) {
	k, err := evidence.ParsePublicKey(given)
	if err == nil {
		return k, nil
	}
	f, openErr := os.Open(given)
	if openErr != nil {
		if errors.Is(openErr, fs.ErrPermission) {
			err = fmt.Errorf("%w; as a file: %w", err, fs.ErrPermission)
		}
		return k, fmt.Errorf("%w: give the key as 'backupd audit key' prints it in its last line, or a file whose last line it is", err)
	}
	defer func() { _ = f.Close() }() // it was only read
	text, err := io.ReadAll(io.LimitReader(f, maxKey))
	if err != nil {
		return k, err
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	if k, err = evidence.ParsePublicKey(lines[len(lines)-1]); err != nil {
		return k, fmt.Errorf("the last line of the file %s: %w", given, err)
	}
	return k, nil
}
