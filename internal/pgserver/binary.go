package pgserver

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// binaryFolders are the places, as patterns, where the distributions put the
// programs of each major version of PostgreSQL side by side.
var binaryFolders = []string{
	"/usr/lib/postgresql/*/bin", // Debian, Ubuntu
	"/usr/pgsql-*/bin",          // PGDG for RHEL and its kin
	"/usr/lib/postgresql*/bin",  // SUSE, Alpine
	"/opt/homebrew/opt/postgresql@*/bin",
	"/usr/local/opt/postgresql@*/bin",
}

// Binary returns the full path of a program of PostgreSQL, such as pg_dump or
// initdb: the one of the newest major version on this machine, because every
// client program can talk to older servers but not to newer ones. It looks
// where pg_config points to and into the folders of the distributions, and
// at last into PATH. The error wraps [exec.ErrNotFound].
func Binary(name string) (string, error) {
	for _, dir := range binaryDirs() {
		path := filepath.Join(dir.path, name)
		if executable(path) {
			return path, nil
		}
	}
	if path, err := exec.LookPath(name); err == nil {
		return filepath.Abs(path)
	}
	return "", fmt.Errorf("find program %q of PostgreSQL: %w (looked where pg_config points, in %s and in PATH; "+
		"install the packages postgresql and postgresql-client, in the version of the server or newer)",
		name, exec.ErrNotFound, strings.Join(binaryFolders[:2], ", "))
}

// binaryDir is a folder with programs of one major version.
type binaryDir struct {
	path  string
	major int // 0 when the path does not tell
}

// binaryDirs lists the folders that may hold programs, newest major first.
func binaryDirs() []binaryDir {
	var dirs []binaryDir
	if dir, ok := configuredDir(); ok {
		dirs = append(dirs, dir)
	}
	for _, pattern := range binaryFolders {
		matches, err := filepath.Glob(pattern)
		if err != nil {
			continue // the patterns are constants and valid
		}
		for _, m := range matches {
			dirs = append(dirs, binaryDir{path: m, major: majorIn(m)})
		}
	}
	slices.SortStableFunc(dirs, func(a, b binaryDir) int { return cmp.Compare(b.major, a.major) })
	return dirs
}

// configuredDir asks pg_config, which knows installations in unusual places.
func configuredDir() (binaryDir, bool) {
	config, err := exec.LookPath("pg_config")
	if err != nil {
		return binaryDir{}, false
	}
	dir, err := exec.Command(config, "--bindir").Output()
	if err != nil {
		return binaryDir{}, false
	}
	version, err := exec.Command(config, "--version").Output()
	if err != nil {
		return binaryDir{}, false
	}
	return binaryDir{path: strings.TrimSpace(string(dir)), major: majorIn(string(version))}, true
}

var firstNumber = regexp.MustCompile(`\d+`)

// majorIn returns the first number in text, which is the major version in
// both a folder's name and the output of --version; 0 when there is none.
func majorIn(text string) int {
	n, err := strconv.Atoi(firstNumber.FindString(text))
	if err != nil {
		return 0
	}
	return n
}

// Version returns what the program at path says of itself: "pg_dump 15.18".
func Version(path string) (string, error) {
	out, err := exec.Command(path, "--version").Output()
	if err != nil {
		return "", fmt.Errorf("ask %s for its version: %w", path, err)
	}
	words := strings.Fields(strings.Replace(string(out), "(PostgreSQL)", "", 1))
	if len(words) < 2 {
		return "", fmt.Errorf("ask %s for its version: cannot read %q", path, strings.TrimSpace(string(out)))
	}
	return words[0] + " " + words[1], nil
}

// Major returns the major version of the program at path.
func Major(path string) (int, error) {
	out, err := exec.Command(path, "--version").Output()
	if err != nil {
		return 0, fmt.Errorf("ask %s for its version: %w", path, err)
	}
	_, version, _ := strings.Cut(string(out), ")")
	if major := majorIn(version); major > 0 {
		return major, nil
	}
	return 0, fmt.Errorf("ask %s for its version: cannot read %q", path, strings.TrimSpace(string(out)))
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}
