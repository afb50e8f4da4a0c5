package controls

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/saypro/backupd/internal/repository"
	"github.com/saypro/backupd/internal/verify"
)

// byRebuild catches what a catalog that is made anew from a site must tell.
const byRebuild = "rebuild"

// staleFaults are old states that are served as the newest.
func staleFaults() []fault {
	return []fault{
		{
			id: "stale-commit", expected: "L1", naming: "c/",
			planted: "the commit object of the newest recovery point is replaced by that of an older one, cut or filled to the same size",
			try: func(ctx context.Context, c *replica) (finding, error) {
				if err := c.swapCommits(ctx, true); err != nil {
					return finding{}, err
				}
				return c.find(ctx, c.newest)
			},
		},
		{
			id: "stale-commit-cold", expected: byRebuild, naming: "c/",
			planted: "the same, its bytes unchanged, and the catalog is lost: an older commit under a newer name must not open",
			try: func(ctx context.Context, c *replica) (finding, error) {
				if err := c.swapCommits(ctx, false); err != nil {
					return finding{}, err
				}
				name, err := c.commitOf(c.newest)
				if err != nil {
					return finding{}, err
				}
				out, err := c.rebuild(ctx)
				if err != nil {
					return finding{}, err
				}
				return damaged(out, name), nil
			},
		},
		{
			id: "stale-site", expected: "L0", naming: "missing",
			planted: "the site went back to an earlier state of itself: everything of the newest recovery point is gone, in listings too, and the older " +
				"one is whole",
			try: func(ctx context.Context, c *replica) (finding, error) {
				if err := c.goBack(ctx); err != nil {
					return finding{}, err
				}
				r, err := c.prove(ctx, verify.Request{})
				if err != nil {
					return finding{}, err
				}
				return red(r), nil
			},
		},
	}
}

// swapCommits puts the older commit in the place of the newest.
func (c *replica) swapCommits(ctx context.Context, sameSize bool) error {
	newest, err1 := c.commitOf(c.newest)
	older, err2 := c.commitOf(c.older)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	bytes, err := read(ctx, c.tested.Store, older)
	if err != nil {
		return err
	}
	return c.replace(ctx, newest, func(was []byte) []byte {
		if sameSize {
			return sized(bytes, len(was))
		}
		return bytes
	})
}

// goBack takes the site back to before the newest recovery point.
func (c *replica) goBack(ctx context.Context) error {
	older, err := c.repo.Snapshot(ctx, c.older)
	if err != nil {
		return err
	}
	had := map[repository.Digest]bool{}
	for _, p := range older.Packs {
		had[p.SHA256] = true
	}
	newest, err := c.repo.Snapshot(ctx, c.newest)
	if err != nil {
		return err
	}
	for _, p := range newest.Packs {
		if had[p.SHA256] {
			continue
		}
		if err := c.remove(ctx, packName(p)); err != nil {
			return err
		}
	}
	commit, err := c.commitOf(c.newest)
	if err != nil {
		return err
	}
	return c.remove(ctx, commit)
}

// damaged looks whether a rebuild tells of an object that could not be read.
func damaged(out *repository.Rebuilt, object string) finding {
	for _, p := range out.Damaged {
		if p.Object == object {
			return finding{caught: byRebuild, detail: p.String()}
		}
	}
	var others []string
	for _, p := range out.Damaged {
		others = append(others, p.Object)
	}
	return finding{detail: fmt.Sprintf("the rebuild does not tell of %s; it tells of %s", object, strings.Join(others, ", "))}
}
