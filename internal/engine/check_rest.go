package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/saypro/backupd/internal/config"
	"github.com/saypro/backupd/internal/storage"
)

// spool looks at what waits on this host, and at what may.
func (c *checker) spool(free int64) {
	const group = "data"
	dir := spoolDir(c.cfg)
	used, err := sizeOf(dir)
	if err != nil {
		c.bad(group, dir, err.Error(), "")
		return
	}
	most := int64(c.cfg.Spool.MaxBytes)
	detail := fmt.Sprintf("%d of %d MiB wait for sites", used>>20, most>>20)
	switch {
	case used >= most:
		c.bad(group, dir, detail, "snapshots fail until there is room: bring the sites back, or raise spool.max_bytes")
	case spoolReason(Spool{UsedBytes: used, MaxBytes: most}) != "":
		c.good(group, dir, detail, "it is nearly full, and snapshots fail when it is: bring the sites back, or raise spool.max_bytes")
	case most-used > free:
		c.good(group, dir, detail, fmt.Sprintf("the disk is full before spool.max_bytes is reached: %d MiB are free", free>>20))
	default:
		c.good(group, dir, detail, "")
	}
}

// sizeOf returns how many bytes the files in a folder have; none when there is
// no such folder.
func sizeOf(dir string) (total int64, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	for _, e := range entries {
		info, statErr := e.Info()
		switch {
		case errors.Is(statErr, fs.ErrNotExist): // it has left meanwhile
		case statErr != nil:
			err = errors.Join(err, statErr)
		case !e.IsDir():
			total += info.Size()
		}
	}
	return total, err
}

// noPack is the name of a pack that cannot be: nothing has that digest.
var noPack = "p/00/" + strings.Repeat("0", 64)

// deleter looks whether the key that sweeps a site may delete, if anything is
// ever to be deleted. It deletes what is not there.
func (c *checker) deleter(ctx context.Context, name string) {
	const group = "site"
	s := c.cfg.Sites[name]
	if !prunes(c.cfg) || s.Kind == "dir" {
		return
	}
	key, access, secret := "access_key", s.AccessKey, s.SecretKey
	if s.SweeperAccessKey != "" {
		key, access, secret = "sweeper_access_key", s.SweeperAccessKey, s.SweeperSecretKey
	}
	err := tryDelete(ctx, name, s, access, secret)
	switch {
	case errors.Is(err, storage.ErrDenied):
		c.bad(group, name, "its "+key+" may not delete, so nothing that the rules of keep give up is ever deleted there",
			"give another key, which may, as sweeper_access_key; docs/operations.md has its policy")
	case err != nil:
		detail, hint := c.explain(name, err)
		c.bad(group, name, detail, hint)
	default:
		c.good(group, name, "its "+key+" may delete, as sweeps need it", "")
	}
}

func tryDelete(ctx context.Context, name string, s config.Site, access string, secret config.Secret) error {
	store, err := openStore(name, s, access, secret, nil)
	if err != nil {
		return err
	}
	// Where a bucket keeps versions the first leaves a mark, which the second
	// removes.
	return errors.Join(store.Delete(ctx, noPack), storage.Purge(ctx, store, noPack))
}

// prunes reports whether any function has rules, so that there is something to
// delete.
func prunes(cfg *config.Config) bool {
	for _, f := range cfg.Functions {
		if f.Keep != nil {
			return true
		}
	}
	return false
}

// FindingsOf turns what a running service knows of the sites into lines of a
// check.
func FindingsOf(sites Sites) []Finding {
	var out []Finding
	for _, s := range sites.Sites {
		for _, reason := range s.Reasons {
			out = append(out, Finding{Group: "service", Subject: s.Site, Detail: reason, Hint: "backupd sites tells more, backupd sync " + s.Site + " tries it now"})
		}
		if len(s.Reasons) == 0 {
			out = append(out, Finding{OK: true, Group: "service", Subject: s.Site, Detail: standing(s, sites.Time)})
		}
	}
	return out
}

// standing says how a site fares that is as it should be.
func standing(s SiteReport, now time.Time) string {
	text := s.State
	if !s.LastComparison.IsZero() {
		text += fmt.Sprintf(", compared %s ago", now.Sub(s.LastComparison).Round(time.Second))
	}
	if s.LagSeconds != nil && *s.LagSeconds > 0 {
		text += fmt.Sprintf(", %s behind in %s", seconds(*s.LagSeconds), s.LagFunction)
	}
	return fmt.Sprintf("%s, %d objects wait", text, s.WaitingObjects)
}
