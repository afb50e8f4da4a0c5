package controls

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"filippo.io/age"

	"github.com/saypro/backupd/internal/config"
	"github.com/saypro/backupd/internal/repository"
	"github.com/saypro/backupd/internal/verify"
)

// ColdStart is what a cold start in a round is made of: the process, its order
// and its judgement are those of every cold start.
type ColdStart struct {
	// Dir is its folder, Site the place at the prefix of the round.
	Dir, Prefix string
	Function    config.Function
	Scratch     config.Scratch
	// Identity is the text of what opens the site; Own the daemon's.
	Identity string
	Own      []age.Identity
	// Known is the newest recovery point that the site is known to hold.
	Known repository.SnapshotInfo
	// Program is run in place of an empty host; nil: nothing is.
	Program []string
	// Environ is added to what an empty host gets of the environment.
	Environ []string
}

// levelCold is where a cold start must be red.
const levelCold = "L7"

// coldStartFaults are cold starts that must not be taken for proven: each is a
// process of its own that is started, fed and judged as every cold start is.
func coldStartFaults() []fault {
	const newest = "an empty host finds none newer"
	return []fault{
		{
			id: "cold-key-not-escrowed", expected: levelCold, naming: newest,
			planted: "a cold start with the escrow's identity, and the newest recovery point opens with the daemon's alone: the key was rotated and not wrapped " +
				"for the escrow; what the empty host takes for the newest is older",
			try: func(ctx context.Context, c *replica) (finding, error) {
				id, err := c.rotateWithoutEscrow(ctx)
				if err != nil {
					return finding{}, err
				}
				return c.foundCold(ctx, id, nil)
			},
		},
		{
			id: "cold-pack-elsewhere", expected: levelCold, naming: newest,
			planted: "a cold start from a site that lacks a pack of the newest recovery point, which the other site has: one site alone must do",
			try: func(ctx context.Context, c *replica) (finding, error) {
				pack, err := c.packOfNewestAlone(ctx)
				if err == nil {
					err = c.remove(ctx, pack)
				}
				if err != nil {
					return finding{}, err
				}
				return c.foundCold(ctx, c.newest, nil)
			},
		},
		{
			id: "cold-daemon-key", expected: levelCold, naming: verify.TheDaemons,
			planted: "a cold start with the daemon's own identity, given as if it were the escrow's: it opens everything, and would be lost with the host",
			try: func(ctx context.Context, c *replica) (finding, error) {
				return c.foundCold(ctx, c.newest, func(s *ColdStart) error {
					s.Identity = c.daemon.String()
					return nil
				})
			},
		},
		{
			id: "cold-too-slow", expected: levelCold, naming: "inside the RTO",
			planted: "a cold start that restores and proves everything and takes longer than the RTO, which is a tenth of a second here",
			try: func(ctx context.Context, c *replica) (finding, error) {
				return c.foundCold(ctx, c.newest, func(s *ColdStart) error {
					s.Function.RTO = time.Second / 10
					return nil
				})
			},
		},
		{
			id: "cold-catalog-leaked", expected: levelCold, naming: "is not empty",
			planted: "the folder of the empty host holds the catalog of this one already, so that a rebuild would show nothing",
			try: func(ctx context.Context, c *replica) (finding, error) {
				return c.foundCold(ctx, c.newest, func(s *ColdStart) error {
					return copyFile(filepath.Join(c.stage.Dir, baseCopy, catalogFile), filepath.Join(s.Dir, catalogFile))
				})
			},
		},
		{
			id: "cold-environment-leaked", expected: levelCold, naming: "BACKUPD_CONFIG",
			planted: "the empty host is given a variable of the environment of this one that names its configuration",
			try: func(ctx context.Context, c *replica) (finding, error) {
				return c.foundCold(ctx, c.newest, func(s *ColdStart) error {
					s.Environ = []string{"BACKUPD_CONFIG=/etc/backupd/backupd.yaml"}
					return nil
				})
			},
		},
		{
			id: "cold-no-report", expected: levelCold, naming: "without an answer",
			planted: "the process of a cold start ends with exit status 0 and has written no report",
			try: func(ctx context.Context, c *replica) (finding, error) {
				return c.foundCold(ctx, c.newest, func(s *ColdStart) error { return s.replaced("head -c 1 >/dev/null") })
			},
		},
		{
			id: "cold-other-report", expected: levelCold, naming: "answers for function",
			planted: "the process of a cold start ends with exit status 0 and a report that all is well, of another function at another site",
			try: func(ctx context.Context, c *replica) (finding, error) {
				return c.foundCold(ctx, c.newest, func(s *ColdStart) error {
					return s.replaced(`head -c 1 >/dev/null; echo '{"result":{"function":"other","site":"elsewhere","level":"L6","passed":true}}'`)
				})
			},
		},
	}
}

// replaced has a shell run a script in place of the empty host.
func (s *ColdStart) replaced(script string) error {
	shell, err := exec.LookPath("sh")
	s.Program = []string{shell, "-c", script}
	if err != nil {
		return notHere("this host has no shell that could take the place of a cold start: " + err.Error())
	}
	return nil
}

// foundCold makes a cold start from the site under test with the escrow's
// identity, after somebody has spoilt something, and tells what was red.
func (c *replica) foundCold(ctx context.Context, known string, spoil func(*ColdStart) error) (finding, error) {
	r, err := c.startCold(ctx, known, spoil)
	if errors.Is(err, errNotHere) || ctx.Err() != nil {
		return finding{}, err
	}
	return redCold(r), nil
}

func (c *replica) startCold(ctx context.Context, known string, spoil func(*ColdStart) error) (verify.Result, error) {
	if c.Cold == nil {
		return verify.Result{}, errors.New("nothing makes cold starts in this round")
	}
	info, err := c.repo.Info(known)
	if err != nil {
		return verify.Result{}, err
	}
	s := ColdStart{
		Dir: filepath.Join(c.dir, "cold"), Prefix: c.name, Function: functionAt(database), Known: info,
		Scratch:  config.Scratch{Kind: "database", URL: config.Secret(c.scratch.URL("postgres"))},
		Identity: c.escrow.String(), Own: []age.Identity{c.daemon},
	}
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		return verify.Result{}, err
	}
	if spoil != nil {
		if err := spoil(&s); err != nil {
			return verify.Result{}, err
		}
	}
	r, err := c.Cold(ctx, s)
	if r.RequestedLevel != levelCold {
		return r, errors.Join(err, errors.New("the cold start was not carried out"))
	}
	return c.judged(r, nil) // that it came to no end is in the result
}

// redCold reads a cold start as whoever relies on it would. What L7 itself tells
// comes first: checks of a function's own may have noticed, too.
func redCold(r verify.Result) finding {
	switch {
	case r.Passed:
		return finding{detail: "nothing was found, " + r.Level + " holds"}
	case r.Error != "":
		return finding{caught: levelCold, detail: r.Error}
	}
	if told := failures(r, levelCold); told != "" {
		return finding{caught: levelCold, detail: told}
	}
	for _, check := range r.Checks {
		if check.Status == verify.Fail {
			return finding{caught: check.Level, detail: failures(r, check.Level)}
		}
	}
	return finding{detail: "it did not pass, and no check failed: " + r.Unmet()}
}

// cleanCold makes a cold start of the copy that nobody has touched.
func (s *stage) cleanCold(ctx context.Context) (level string, err error) {
	c, err := s.replica(ctx, "clean-cold")
	if err != nil {
		return "", fmt.Errorf("%w: the clean copy could not be made: %w", ErrVoid, err)
	}
	defer func() { err = errors.Join(err, c.close()) }()
	r, err := c.startCold(ctx, s.newest, nil)
	switch {
	case err != nil:
		return "", fmt.Errorf("%w: the clean copy could not be started cold: %w", ErrVoid, err)
	case !r.Passed:
		return "", fmt.Errorf("%w: the cold start of the clean copy is red: %s", ErrVoid, r.Unmet())
	}
	return r.Level, nil
}

// packOfNewestAlone returns a pack that the newest recovery point needs, and the
// older one does not.
func (c *replica) packOfNewestAlone(ctx context.Context) (string, error) {
	older, err := c.repo.Snapshot(ctx, c.older)
	if err != nil {
		return "", err
	}
	newest, err := c.repo.Snapshot(ctx, c.newest)
	if err != nil {
		return "", err
	}
	shared := map[string]bool{}
	for _, p := range older.Packs {
		shared[packName(p)] = true
	}
	for _, p := range newest.Packs {
		if name := packName(p); !shared[name] {
			return name, nil
		}
	}
	return "", fmt.Errorf("snapshot %s has no pack of its own", c.newest)
}

// cold reports whether a fault is looked for by a cold start.
func (f fault) cold() bool { return strings.HasPrefix(f.id, "cold-") }
