package controls

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"filippo.io/age"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/repository"
	"github.com/saypro/backupd/internal/verify"
)

// byEscrow catches an identity that does not open everything.
const byEscrow = "escrow test"

// coldFaults are hosts that lost their catalog or their keys.
func coldFaults() []fault {
	return []fault{
		{
			id: "catalog-lost", expected: byRebuild, naming: "proven to L6",
			planted: "the catalog is deleted: without it nothing may count as proven, and from one site and the escrow's identity alone every recovery " +
				"point must be found again and be proven",
			try: func(ctx context.Context, c *replica) (finding, error) { return c.catalogLost(ctx) },
		},
		{
			id: "pack-lost", expected: byRebuild, naming: "p/",
			planted: "the catalog is deleted and the site lacks a pack: the rebuild must name it, and just the recovery points and tables that it takes along",
			try:     func(ctx context.Context, c *replica) (finding, error) { return c.packLost(ctx) },
		},
		{
			id: "escrow-absent", expected: byEscrow, naming: "keys/",
			planted: "the key was rotated and the new one was not wrapped for the escrow: the identity in the safe does not open the newest recovery point",
			try: func(ctx context.Context, c *replica) (finding, error) {
				if _, err := c.rotateWithoutEscrow(ctx); err != nil {
					return finding{}, err
				}
				return c.testEscrow(ctx, c.escrow)
			},
		},
		{
			id: "escrow-absent-cold", expected: byRebuild, naming: "c/",
			planted: "the same, and the host is lost: with the identity in the safe the rebuild must name the newest recovery point as one that does not open, " +
				"and not pass over it",
			try: func(ctx context.Context, c *replica) (finding, error) {
				id, err := c.rotateWithoutEscrow(ctx)
				if err != nil {
					return finding{}, err
				}
				name, err := c.commitOf(id)
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
			id: "escrow-other", expected: byEscrow, naming: "wrong key",
			planted: "the identity in the safe is another one, which is no recipient of any key",
			try: func(ctx context.Context, c *replica) (finding, error) {
				stranger, err := age.GenerateX25519Identity()
				if err != nil {
					return finding{}, err
				}
				return c.testEscrow(ctx, stranger)
			},
		},
	}
}

// emptied gives the replica an empty catalog, the site under test alone, and one
// identity: a host that has nothing else.
func (c *replica) emptied(ctx context.Context, identity age.Identity) error {
	if err := c.close(); err != nil {
		return err
	}
	for _, name := range []string{catalogFile, "spool"} {
		if err := os.RemoveAll(filepath.Join(c.dir, name)); err != nil {
			return err
		}
	}
	if err := c.openCatalog(); err != nil {
		return err
	}
	c.alone = true
	return c.open(ctx, identity)
}

// rebuild makes the catalog anew from the site under test and the escrow's
// identity.
func (c *replica) rebuild(ctx context.Context) (*repository.Rebuilt, error) {
	if err := c.emptied(ctx, c.escrow); err != nil {
		return nil, err
	}
	return c.repo.Rebuild(ctx, c.Site, nil)
}

func (c *replica) catalogLost(ctx context.Context) (finding, error) {
	before, err := c.points()
	if err != nil {
		return finding{}, err
	}
	if err := c.emptied(ctx, c.escrow); err != nil {
		return finding{}, err
	}
	if r, err := c.prove(ctx, verify.Request{}); err == nil || r.Passed {
		return finding{detail: "a proof with an empty catalog did not fail"}, nil
	}
	if _, err := c.repo.Rebuild(ctx, c.Site, nil); err != nil {
		return finding{}, err
	}
	after, err := c.points()
	if err != nil {
		return finding{}, err
	}
	if !slices.Equal(before, after) {
		return finding{detail: fmt.Sprintf("the rebuild found %v where there were %v", after, before)}, nil
	}
	r, err := c.prove(ctx, verify.Request{})
	if err != nil {
		return finding{}, err
	}
	if !r.Passed || r.Snapshot != c.newest {
		return finding{detail: "rebuilt, and not proven: " + red(r).detail}, nil
	}
	return finding{caught: byRebuild, detail: fmt.Sprintf("%d recovery points found again, the newest proven to %s", len(after), r.Level)}, nil
}

func (c *replica) packLost(ctx context.Context) (finding, error) {
	pack, err := c.pack(ctx)
	if err != nil {
		return finding{}, err
	}
	var want []string // recovery points that need it
	for _, id := range []string{c.older, c.newest} {
		snap, err := c.repo.Snapshot(ctx, id)
		if err != nil {
			return finding{}, err
		}
		if slices.ContainsFunc(snap.Packs, func(p repository.PackRef) bool { return packName(p) == pack }) {
			want = append(want, id)
		}
	}
	if err := c.remove(ctx, pack); err != nil {
		return finding{}, err
	}
	out, err := c.rebuild(ctx)
	if err != nil {
		return finding{}, err
	}
	return lostJust(out, pack, want), nil
}

// lostJust looks whether a rebuild tells of just those recovery points, and of
// the tables that are lost with a pack.
func lostJust(out *repository.Rebuilt, pack string, want []string) finding {
	var lost, text []string
	for _, l := range out.Lost {
		lost = append(lost, l.Snapshot)
		if !slices.Equal(l.Missing, []string{pack}) || len(l.LostTables) == 0 {
			return finding{detail: fmt.Sprintf("snapshot %s is told to lack %v and to have lost %v", l.Snapshot, l.Missing, l.LostTables)}
		}
		text = append(text, fmt.Sprintf("snapshot %s lacks %s, lost are %s", l.Snapshot, pack, strings.Join(l.LostTables, ", ")))
	}
	slices.Sort(lost)
	slices.Sort(want)
	if !slices.Equal(lost, want) {
		return finding{detail: fmt.Sprintf("the rebuild tells that %v are lost where it is %v", lost, want)}
	}
	return finding{caught: byRebuild, detail: strings.Join(text, "; ")}
}

// rotateWithoutEscrow puts a key to use that the escrow does not open, and makes
// a recovery point with it.
func (c *replica) rotateWithoutEscrow(ctx context.Context) (id string, err error) {
	if before, err := c.repo.TestEscrow(ctx, []age.Identity{c.escrow}); err != nil || !before.Passed {
		return "", errors.Join(err, fmt.Errorf("the escrow did not open everything before: %+v", before.Sites))
	}
	stranger, err := age.GenerateX25519Identity()
	if err != nil {
		return "", err
	}
	c.upload(ctx)
	if _, err := c.repo.RotateKey(ctx, recipients(c.daemon, stranger), 2, uploadPatience); err != nil {
		return "", err
	}
	return c.take(ctx, database)
}

// testEscrow is the test of 'backupd key escrow-test'.
func (c *replica) testEscrow(ctx context.Context, identity age.Identity) (finding, error) {
	out, err := c.repo.TestEscrow(ctx, []age.Identity{identity})
	if err != nil {
		return finding{}, err
	}
	if out.Passed || out.Sites[c.Site].Passed {
		return finding{detail: "the identity is told to open everything"}, nil
	}
	return finding{caught: byEscrow, detail: out.Sites[c.Site].Error}, nil
}

func packName(p repository.PackRef) string { return catalog.PackName(p.SHA256) }
