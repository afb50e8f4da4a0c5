package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/saypro/backupd/internal/pgserver"
)

// Sections of an archive, as pg_restore calls them.
const (
	preData  = "pre-data"
	postData = "post-data"
)

// openArchive reads the archive at path and checks that the pg_restore of this
// machine is new enough for it.
func (t *Target) openArchive(path string) (*archive, error) {
	a, err := openArchive(path)
	if err != nil {
		return nil, err
	}
	program, err := pgserver.Binary("pg_restore")
	if err != nil {
		return nil, err
	}
	have, err := pgserver.Major(program)
	if err != nil {
		return nil, err
	}
	if need := leadingNumber(a.dumpVersion); have < need {
		return nil, fmt.Errorf("the schema archive was written by pg_dump %d and pg_restore here is of version %d; "+
			"install the package postgresql-client-%d or newer", need, have, need)
	}
	return a, nil
}

func leadingNumber(text string) int {
	n, err := strconv.Atoi(text[:len(text)-len(strings.TrimLeft(text, "0123456789"))])
	if err != nil {
		return 0
	}
	return n
}

// restore runs pg_restore for those of the entries that lie in the section,
// in the order of the archive. It fails when anything at all fails.
func (t *Target) restore(ctx context.Context, a *archive, section string, ids idSet, jobs int) error {
	if len(ids) == 0 {
		return nil
	}
	list, err := writeList(a, ids)
	if err != nil {
		return fmt.Errorf("pg_restore: %w", err)
	}
	defer func() { _ = os.Remove(list) }() // one of the system's temporary files
	args := []string{"--section=" + section, "--exit-on-error", "--use-list=" + list}
	if t.opts.NoOwner {
		args = append(args, "--no-owner", "--no-acl")
	}
	if missing, err := t.missingTablespaces(ctx, a); err != nil {
		return err
	} else if len(missing) > 0 {
		t.note("the tablespaces %s do not exist on this server: everything goes to the default one", strings.Join(missing, ", "))
		args = append(args, "--no-tablespaces")
	}
	if jobs > 1 {
		args = append(args, "--jobs="+strconv.Itoa(jobs))
	}
	path, err := filepath.Abs(a.path)
	if err != nil {
		return err
	}
	cmd, err := t.restoreProgram(append(args, path)...)
	if err != nil {
		return err
	}
	return t.run(ctx, cmd, section)
}

// run runs pg_restore and puts what it said into the error.
func (t *Target) run(ctx context.Context, cmd *exec.Cmd, section string) error {
	said := &tail{most: 8 << 10}
	cmd.Stdout, cmd.Stderr = said, said
	err := t.watch.alive(ctx, func(ctx context.Context) error { return pgserver.Run(ctx, cmd) })
	text := redact(said.String())
	if err != nil {
		return fmt.Errorf("pg_restore --section=%s: %w: %s", section, err, text)
	}
	// It leaves with 0 after errors that it chose to ignore in some versions.
	if strings.Contains(text, "errors ignored") {
		return fmt.Errorf("pg_restore --section=%s ignored errors: %s", section, text)
	}
	if text != "" {
		t.opts.Log.Warn("pg_restore", "section", section, "said", text)
	}
	return nil
}

// writeList writes the numbers of the entries for pg_restore --use-list.
func writeList(a *archive, ids idSet) (string, error) {
	f, err := os.CreateTemp("", "backupd-list-*")
	if err != nil {
		return "", err
	}
	var text bytes.Buffer
	for _, e := range a.entries {
		if ids[e.id] {
			fmt.Fprintf(&text, "%d;\n", e.id)
		}
	}
	_, err = f.Write(text.Bytes())
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return "", errors.Join(err, os.Remove(f.Name()))
	}
	return f.Name(), nil
}

// missingTablespaces lists the tablespaces of the archive that the server
// lacks.
func (t *Target) missingTablespaces(ctx context.Context, a *archive) ([]string, error) {
	var wanted []string
	for _, e := range a.entries {
		if e.tablespace != "" && !slices.Contains(wanted, e.tablespace) {
			wanted = append(wanted, e.tablespace)
		}
	}
	if len(wanted) == 0 {
		return nil, nil
	}
	missing, err := queryTarget[string](ctx, t, `
		SELECT w FROM unnest($1::text[]) w
		WHERE NOT EXISTS (SELECT FROM pg_tablespace WHERE spcname = w) ORDER BY 1`, wanted)
	if err != nil {
		return nil, fmt.Errorf("look for its tablespaces: %w", err)
	}
	return missing, nil
}

// restoreProgram prepares pg_restore. The address goes by the environment,
// because everybody on the machine can read the arguments.
func (t *Target) restoreProgram(args ...string) (*exec.Cmd, error) {
	path, err := pgserver.Binary("pg_restore")
	if err != nil {
		return nil, err
	}
	env, err := clientEnvironment(t.opts.URL, "backupd restore")
	if err != nil {
		return nil, err
	}
	// Only with a database named it does not write a script instead.
	database := "--dbname=dbname='" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(t.config.Database) + "'"
	cmd := exec.Command(path, append([]string{database, "--no-password"}, args...)...)
	// Its many commits need not wait for the disk.
	cmd.Env = append(env, "PGOPTIONS=-c synchronous_commit=off")
	cmd.Dir = "/"
	return cmd, nil
}

// passwordText is a password in a statement or in an address within it.
var passwordText = regexp.MustCompile(`(?i)\b((?:ssl)?password\s*[=\s]\s*)(''[^']*''|'[^']*'|[^\s'"]+)`)

// redact takes passwords out of statements that pg_restore quotes.
func redact(text string) string { return passwordText.ReplaceAllString(text, "${1}'…'") }
