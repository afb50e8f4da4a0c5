package config

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// maxSecret bounds a file that holds one secret, in bytes.
const maxSecret = 64 << 10

// secretFile reads the secret that the key at path names a file for, without
// its last line break. The file must be kept from other users.
func (d *decoder) secretFile(path, file string) (Secret, bool) {
	if !filepath.IsAbs(file) {
		d.problem(path, "the path "+d.shown(path)+" is relative", "write it from the root, beginning with /")
		return "", false
	}
	text, err := readSecret(file)
	switch {
	case errors.Is(err, errOpenToOthers):
		d.problem(path, "the file "+d.shown(path)+" can be read or changed by every user of this machine", "chmod 600 it")
		return "", false
	case err != nil:
		d.problem(path, "cannot read the file "+d.shown(path)+": "+cause(err), "name a file with the secret in it that the service's user can read")
		return "", false
	case text == "":
		d.problem(path, "the file "+d.shown(path)+" is empty", "write the secret into it")
		return "", false
	}
	return Secret(text), true
}

var (
	errOpenToOthers = errors.New("open to others")
	errNotRegular   = errors.New("not a regular file")
	errTooLarge     = errors.New("larger than 64 KiB")
)

func readSecret(file string) (string, error) {
	info, err := os.Stat(file)
	switch {
	case err != nil:
		return "", err
	case !info.Mode().IsRegular(): // a pipe would hang us
		return "", errNotRegular
	case info.Mode().Perm()&0o006 != 0:
		return "", errOpenToOthers
	}
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err != nil {
		return "", err
	}
	if len(b) > maxSecret {
		return "", errTooLarge
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r"), nil
}

// cause is err without the path, which may have come from the environment.
func cause(err error) string {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err.Error()
	}
	return err.Error()
}
