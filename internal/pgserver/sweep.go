package pgserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/saypro/backupd/internal/clock"
)

// Sweep removes what instances with a Dir directly below parentDir
// have left behind when the process that they belonged to ended without
// [Instance.Stop]: their files and, where it still runs, their server.
// Instances of living processes, this one included, are left alone, and so
// is every folder without the marker of an instance. A missing parentDir is
// no error. All leftovers are tried; the errors are joined.
func Sweep(ctx context.Context, parentDir string) error {
	var markers []string
	for _, name := range []string{markerName, markerName + newSuffix} {
		found, err := filepath.Glob(filepath.Join(escapeGlob(parentDir), "*", name))
		if err != nil {
			return fmt.Errorf("sweep instances in %s: %w", parentDir, err)
		}
		markers = append(markers, found...)
	}
	var failed []error
	for _, marker := range markers {
		if err := sweepInstance(ctx, marker); err != nil {
			failed = append(failed, fmt.Errorf("sweep instance %s: %w", filepath.Dir(marker), err))
		}
	}
	return errors.Join(failed...)
}

// sweepInstance removes one instance if its owner is no more.
func sweepInstance(ctx context.Context, marker string) error {
	text, err := os.ReadFile(marker)
	if errors.Is(err, os.ErrNotExist) {
		return nil // its owner has just removed it
	}
	if err != nil {
		return err
	}
	var p place
	err = json.Unmarshal(text, &p)
	if err != nil && strings.HasSuffix(marker, newSuffix) {
		return removeUnborn(marker)
	}
	if err != nil {
		return fmt.Errorf("read its marker: %w", err)
	}
	dir, err := filepath.Abs(filepath.Dir(marker))
	if err != nil {
		return err
	}
	if err := p.check(dir); err != nil {
		return err
	}
	start, err := processStart(p.Owner.PID)
	if err != nil {
		return err
	}
	if start != "" && start == p.Owner.Start {
		return nil
	}
	if err := endOrphan(ctx, p.Data); err != nil {
		return err
	}
	return p.remove()
}

// unborn is how old half a marker must be to be nobody's work any more.
const unborn = time.Minute

// removeUnborn removes a folder in which there is nothing yet but half a
// marker.
func removeUnborn(marker string) error {
	info, err := os.Stat(marker)
	if errors.Is(err, os.ErrNotExist) || err == nil && clock.System.Now().Sub(info.ModTime()) < unborn {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(os.Remove(marker), os.Remove(filepath.Dir(marker)))
}

// endOrphan ends the server on data, if one runs.
func endOrphan(ctx context.Context, data string) error {
	pid, err := postmasterPID(data)
	if err != nil || pid == 0 || !isPostmaster(pid, data) {
		return err
	}
	process, err := os.FindProcess(pid)
	if err != nil {
		return err
	}
	waiting, cancel := context.WithTimeout(ctx, stopPatience)
	defer cancel()
	signal := syscall.SIGQUIT
	for isPostmaster(pid, data) {
		if err := process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return fmt.Errorf("end its server, process %d: %w", pid, err)
		}
		if clock.System.Sleep(waiting, 4*pollInterval) == nil {
			continue
		}
		if ctx.Err() != nil {
			return fmt.Errorf("end its server, process %d: %w", pid, ctx.Err())
		}
		if signal == syscall.SIGKILL {
			return fmt.Errorf("end its server, process %d: it survives SIGKILL", pid)
		}
		signal = syscall.SIGKILL
		waiting, cancel = context.WithTimeout(ctx, stopPatience)
		defer cancel()
	}
	return nil
}

// postmasterPID reads the process id that a server leaves in its cluster; 0
// when there is none.
func postmasterPID(data string) (int, error) {
	text, err := os.ReadFile(filepath.Join(data, "postmaster.pid"))
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	first, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(first))
	if err != nil || pid <= 0 {
		return 0, nil // still being written: no server runs on it yet
	}
	return pid, nil
}

// escapeGlob makes path stand for itself in a pattern.
func escapeGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}
