package main

import (
	"bufio"
	"context"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/saypro/backupd/cmd/backupd/internal/show"
	"github.com/saypro/backupd/internal/engine"
	"github.com/saypro/backupd/internal/restore"
)

// completeRequest checks what was asked for and fills in what does not stand
// in the flags as it is needed.
func completeRequest(req *restore.Request, flags restoreFlags, now time.Time) error {
	if req.To == "" {
		return fmt.Errorf("%w: restore needs --to URL, the database to restore into", engine.ErrUsage)
	}
	if flags.at != "" && req.Snapshot != "" {
		return fmt.Errorf("%w: --at and --snapshot exclude each other", engine.ErrUsage)
	}
	if req.Jobs < 0 {
		return fmt.Errorf("%w: --jobs %d: it cannot be negative", engine.ErrUsage, req.Jobs)
	}
	if flags.at != "" {
		at, err := parseAt(flags.at, now)
		if err != nil {
			return err
		}
		req.At = at
	}
	req.To = withPassword(req.To, os.Getenv("PGPASSWORD"))
	return nil
}

// withPassword puts the password of the user's environment into a URL that has
// none: the service that may do the work does not see that environment.
func withPassword(target, password string) string {
	u, err := url.Parse(target)
	if err != nil || password == "" || u.User == nil || u.User.Username() == "" {
		return target // somebody else says what is wrong, if anything is
	}
	if _, given := u.User.Password(); given {
		return target
	}
	u.User = url.UserPassword(u.User.Username(), password)
	return u.String()
}

// confirm shows what a restore with --replace would do and asks the person at
// the terminal. A script has said all that it has to say with the flag.
func (a *app) confirm(ctx context.Context, ops operations, req restore.Request, flags restoreFlags) error {
	if !req.Replace || flags.yes || !show.IsTerminal(a.stdin) || !show.IsTerminal(a.stderr) {
		return nil
	}
	plan, err := ops.Plan(ctx, req)
	if err != nil || !plan.Replace || plan.Refused != "" {
		return err // a refused one says so itself
	}
	if err := a.showPlan(a.screen, plan, req); err != nil {
		return err
	}
	_, _ = fmt.Fprintf(a.screen, "\nThis takes the place of %s. Type the name of the function to go on: ", plan.To)
	line, err := readLine(ctx, a.stdin)
	if err != nil {
		return err
	}
	if line != req.Function {
		return errNotConfirmed
	}
	return nil
}

// readLine reads a line, or gives up when ctx ends: the read itself cannot be
// interrupted, and ends with the process.
func readLine(ctx context.Context, from *os.File) (string, error) {
	line := make(chan string, 1)
	go func() {
		text, _ := bufio.NewReader(from).ReadString('\n')
		line <- strings.TrimSpace(text)
	}()
	select {
	case text := <-line:
		return text, nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}
