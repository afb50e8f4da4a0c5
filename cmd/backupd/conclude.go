package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/saypro/backupd/cmd/backupd/internal/show"
	"github.com/saypro/backupd/internal/server"
)

// The exit statuses.
const (
	statusDone       = 0
	statusFailed     = 1
	statusUsage      = 2
	statusDegraded   = 3
	statusDifference = 4
)

// exitStatus returns the exit status that err stands for. It is the only
// place that knows.
func exitStatus(err error) int {
	if err == nil {
		return statusDone
	}
	switch server.KindOf(err) {
	case server.KindUsage, server.KindConfig:
		return statusUsage
	case server.KindDegraded:
		return statusDegraded
	case server.KindDifference:
		return statusDifference
	default:
		return statusFailed
	}
}

// failureDocument is what --json prints when a command failed: why, and what
// it had to say nevertheless.
type failureDocument struct {
	Error  *server.Failure `json:"error"`
	Result any             `json:"result,omitempty"`
}

// answer prints what a command has to say: as the one JSON document with
// --json, through human otherwise. It returns err, or what keeps the answer
// from being printed.
func (a *app) answer(document any, err error, human func() error) error {
	if !a.json {
		return errors.Join(err, human())
	}
	if failed(err) {
		document = failureDocument{Error: server.NewFailure(err), Result: document}
	}
	return errors.Join(err, a.printJSON(document))
}

// failed reports whether err means that a command did not do its work.
// Degraded and different are answers, which the document itself holds.
func failed(err error) bool {
	status := exitStatus(err)
	return status == statusFailed || status == statusUsage
}

func (a *app) printJSON(document any) error {
	a.answered = true
	raw, err := json.MarshalIndent(document, "", "  ")
	if err != nil {
		return fmt.Errorf("print the answer: %w", err)
	}
	if _, err := a.stdout.Write(append(raw, '\n')); err != nil {
		return fmt.Errorf("print the answer: %w", err)
	}
	return nil
}

// conclude tells the user about the error that a command line ended with and
// returns the exit status.
func (a *app) conclude(args []string, err error) int {
	if err == nil {
		return statusDone
	}
	if a.wantsJSON(args) && !a.answered {
		// Its own failure has nowhere else to go than the exit status.
		_ = a.printJSON(failureDocument{Error: server.NewFailure(err)})
	}
	status := exitStatus(err)
	message := show.Text(err.Error())
	if errors.Is(err, context.Canceled) {
		message = "interrupted: " + message
	}
	prefix := a.errs.Bad("backupd:")
	if status == statusDegraded {
		prefix = a.errs.Warn("backupd:")
	}
	_, _ = fmt.Fprintf(a.screen, "%s %s\n", prefix, message)
	return status
}

// wantsJSON reports whether the user asked for JSON, even when the command
// line was too wrong for its flags to be read.
func (a *app) wantsJSON(args []string) bool {
	if end := slices.Index(args, "--"); end >= 0 {
		args = args[:end]
	}
	return a.json || slices.Contains(args, "--json") || slices.Contains(args, "--json=true")
}
