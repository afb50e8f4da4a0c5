package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// The scripts run the program as a process of its own, from outside.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"backupd": main})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			giveServers(t, env)
			// Paths of sockets are short, those of tests are not.
			data, err := os.MkdirTemp("", "backupd")
			if err != nil {
				return err
			}
			env.Defer(func() { _ = os.RemoveAll(data) })
			env.Setenv("DATA", data)
			// The race detector makes every process linger a second.
			env.Setenv("GORACE", "atexit_sleep_ms=0")
			env.Setenv("BACKUPD_CONFIG", env.WorkDir+"/backupd.yaml")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"status": scriptStatus,
			"answer": scriptAnswer,
			"save":   scriptSave,
			"perm":   scriptPerm,
			"subst":  scriptSubst,
			"stop":   scriptStop,
			"sql":    scriptSQL,
			"link":   scriptLink,
		},
	})
}

// scriptStatus runs a program and demands one exit status: status 2 backupd x.
func scriptStatus(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}

// scriptAnswer demands that standard output is one JSON document and nothing
// else, in which the path leads to the value: answer error.kind usage.
func scriptAnswer(ts *testscript.TestScript, _ bool, args []string) {
	path := ""
	if len(args) > 0 {
		path = args[0]
	}
	if got := fmt.Sprint(lookUp(ts, path)); path != "" && got != args[1] {
		ts.Fatalf("%s is %s, want %s", path, got, args[1])
	}
}

// scriptSave puts a value of the JSON document on standard output into a
// variable: save 0.snapshot ID.
func scriptSave(ts *testscript.TestScript, _ bool, args []string) {
	ts.Setenv(args[1], fmt.Sprint(lookUp(ts, args[0])))
}

// lookUp returns what the path leads to in the JSON document on standard
// output, which must be nothing else.
func lookUp(ts *testscript.TestScript, path string) any {
	dec := json.NewDecoder(strings.NewReader(ts.ReadFile("stdout")))
	var value any
	if err := dec.Decode(&value); err != nil {
		ts.Fatalf("standard output is not JSON: %v", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		ts.Fatalf("something follows the JSON document: %v", err)
	}
	if path == "" {
		return value
	}
	for _, step := range strings.Split(path, ".") {
		switch at := value.(type) {
		case map[string]any:
			value = at[step]
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i >= len(at) {
				ts.Fatalf("no %s in a list of %d", step, len(at))
			}
			value = at[i]
		default:
			value = nil
		}
	}
	return value
}

// scriptPerm demands the mode of a file: perm 600 FILE.
func scriptPerm(ts *testscript.TestScript, _ bool, args []string) {
	info, err := os.Stat(ts.MkAbs(args[1]))
	ts.Check(err)
	if got := strconv.FormatInt(int64(info.Mode().Perm()), 8); got != args[0] {
		ts.Fatalf("%s has mode %s, want %s", args[1], got, args[0])
	}
}

// scriptSubst replaces $VARIABLES in a file: subst FILE.
func scriptSubst(ts *testscript.TestScript, _ bool, args []string) {
	text := os.Expand(ts.ReadFile(args[0]), ts.Getenv)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
}

// scriptStop asks the programs in the background to end, as systemd does.
func scriptStop(ts *testscript.TestScript, _ bool, _ []string) {
	for _, cmd := range ts.BackgroundCmds() {
		ts.Check(cmd.Process.Signal(syscall.SIGTERM))
	}
}
