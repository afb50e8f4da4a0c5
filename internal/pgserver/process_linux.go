package pgserver

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// childAttr makes a child that runs as user (nil: as we do), in a process
// group of its own so that Ctrl-C at a terminal does not hit it before we
// have stopped it in good order, and that gets the signal death when we die.
func childAttr(user *syscall.Credential, death syscall.Signal) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: user, Setpgid: true, Pdeathsig: death}
}

// processStart returns a text that together with pid identifies one process
// for all time: the boot and the clock tick of its start. It is empty when
// there is no such process.
func processStart(pid int) (string, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if os.IsNotExist(err) {
		return "", nil
	}
	if err != nil {
		// A process that ends while it is read gives ESRCH.
		if strings.Contains(err.Error(), syscall.ESRCH.Error()) {
			return "", nil
		}
		return "", fmt.Errorf("look for process %d: %w", pid, err)
	}
	// The name of the program stands in parentheses and may hold anything.
	_, rest, found := bytes.Cut(stat[max(0, bytes.LastIndexByte(stat, ')')):], []byte(") "))
	fields := bytes.Fields(rest)
	const state, startTime = 0, 19
	if !found || len(fields) <= startTime {
		return "", fmt.Errorf("look for process %d: cannot read its state", pid)
	}
	if s := fields[state][0]; s == 'Z' || s == 'X' {
		return "", nil
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("look for process %d: %w", pid, err)
	}
	return string(bytes.TrimSpace(boot)) + "/" + string(fields[startTime]), nil
}

// Wakeups returns how often a process has slept and gone on. A program that
// waits for an answer that does not come sleeps on, so that the number stays
// as it is. ok is false when it cannot be told.
func Wakeups(pid int) (n int64, ok bool) {
	status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0, false
	}
	_, rest, _ := strings.Cut(string(status), "\nvoluntary_ctxt_switches:")
	number, _, _ := strings.Cut(rest, "\n")
	n, err = strconv.ParseInt(strings.TrimSpace(number), 10, 64)
	return n, err == nil
}

// isPostmaster tells whether pid is a PostgreSQL server on the folder data.
func isPostmaster(pid int, data string) bool {
	cmdline, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
	if err != nil {
		return false
	}
	args := strings.Split(strings.TrimRight(string(cmdline), "\x00"), "\x00")
	if base := args[0][strings.LastIndexByte(args[0], '/')+1:]; base != "postgres" && base != "postmaster" {
		return false
	}
	for i, arg := range args[:len(args)-1] {
		if arg == "-D" && args[i+1] == data {
			return true
		}
	}
	return false
}
