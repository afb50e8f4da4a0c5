package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/saypro/backupd/internal/clock"
)

// cost is what one command took.
type cost struct {
	Wall float64 `json:"wall_seconds"`
	// CPU is the processor time of the command and its children.
	CPU float64 `json:"cpu_seconds"`
	// ServerCPU is that of PostgreSQL meanwhile, SiteCPU of the S3 servers:
	// they share the processors with the command.
	ServerCPU float64 `json:"server_cpu_seconds"`
	SiteCPU   float64 `json:"site_cpu_seconds"`
	// PeakRSS is the high-water mark of the resident memory of the command's
	// own process, PeakTree the largest sum over it and its children, in
	// bytes.
	PeakRSS  int64 `json:"peak_rss"`
	PeakTree int64 `json:"peak_tree_rss"`
	// Phases is where backupd says that the time went, in seconds. Phases
	// overlap.
	Phases map[string]float64 `json:"phases,omitempty"`
}

const sampling = 20 * time.Millisecond

// spend runs a command to its end and measures it. A failed command is an
// error: a time that it took means nothing.
func spend(ctx context.Context, cmd *exec.Cmd) (cost, []byte, error) {
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	name := filepath.Base(cmd.Path)
	began := clock.System.Now()
	if err := cmd.Start(); err != nil {
		return cost{}, nil, fmt.Errorf("%s: %w", name, err)
	}
	watched, unwatch := context.WithCancel(ctx)
	peaks := make(chan cost)
	go func() { peaks <- watch(watched, cmd.Process.Pid) }()
	err := cmd.Wait()
	wall := clock.System.Now().Sub(began)
	unwatch()
	c := <-peaks
	if err != nil {
		return cost{}, nil, fmt.Errorf("%s %s: %w\n%s", name, firstArgs(cmd), err, strings.TrimSpace(stderr.String()))
	}
	c.Wall = wall.Seconds()
	c.CPU = (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()
	return c, stdout.Bytes(), nil
}

// firstArgs names a command in an error without the addresses in the rest.
func firstArgs(cmd *exec.Cmd) string {
	if len(cmd.Args) < 2 {
		return ""
	}
	return strings.Join(cmd.Args[1:min(len(cmd.Args), 4)], " ")
}

// watch looks at the memory of a process and its children until ctx ends.
func watch(ctx context.Context, pid int) cost {
	var c cost
	for {
		c.PeakRSS = max(c.PeakRSS, memory(pid, "VmHWM:"))
		c.PeakTree = max(c.PeakTree, treeMemory(pid))
		if clock.System.Sleep(ctx, sampling) != nil {
			return c
		}
	}
}

func treeMemory(pid int) int64 {
	total := memory(pid, "VmRSS:")
	children, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		return total
	}
	for _, file := range children {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // has ended
		}
		for _, child := range strings.Fields(string(text)) {
			if id, err := strconv.Atoi(child); err == nil {
				total += treeMemory(id)
			}
		}
	}
	return total
}

// children returns how many children a process has.
func children(pid int) int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return 0
	}
	return len(strings.Fields(string(text)))
}

// memory reads one line of /proc/PID/status in bytes; 0 when the process has
// ended.
func memory(pid int, line string) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, rest, found := strings.Cut(string(text), line)
	fields := strings.Fields(rest)
	if !found || len(fields) == 0 {
		return 0
	}
	kib, err := strconv.ParseInt(fields[0], 10, 64)
	if err != nil {
		return 0
	}
	return kib << 10
}

// clockTicks is what the kernel counts processor time in, on every platform
// that Go runs on.
const clockTicks = 100

// processor returns the processor time of a process and of its children that
// have ended, in seconds.
func processor(pid int) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The name in parentheses may contain anything; fields count after it.
	end := bytes.LastIndexByte(text, ')')
	fields := strings.Fields(string(text[end+1:]))
	total := 0.0
	for _, field := range fields[11:15] { // utime, stime, cutime, cstime
		ticks, err := strconv.ParseFloat(field, 64)
		if err != nil {
			return 0, err
		}
		total += ticks / clockTicks
	}
	return total, nil
}

// diskUsage returns the sizes of all files below dir.
func diskUsage(dir string) (int64, error) {
	total := int64(0)
	err := filepath.WalkDir(dir, func(_ string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			total += info.Size()
		}
		return err
	})
	return total, err
}
