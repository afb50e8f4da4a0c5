package engine

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"

	"github.com/saypro/backupd/internal/controls"
	"github.com/saypro/backupd/internal/repository"
	"github.com/saypro/backupd/internal/storage"
)

// controlsPlace chooses where the disposable copies of a round are put: below
// the prefix of a site, or, where nothing could be removed again, in a folder of
// this host.
func (e *Engine) controlsPlace(ctx context.Context, site string) (roundPlace, error) {
	name := roundName()
	p := roundPlace{Site: site, Prefix: name, dir: filepath.Join(e.controlsDir(), name)}
	if err := os.MkdirAll(filepath.Join(p.dir, "site"), 0o700); err != nil {
		return p, fmt.Errorf("make room for negative controls: %w", err)
	}
	if e.cfg.Sites[site].Lock != nil {
		p.StandIn = "the site locks what is put there, and nothing could be removed again"
		return p, p.write()
	}
	if err := p.write(); err != nil {
		return p, err
	}
	why, err := e.removable(ctx, p)
	if err != nil {
		return p, errors.Join(fmt.Errorf("site %s: try what negative controls need there: %w", site, err), os.RemoveAll(p.dir))
	}
	p.StandIn = why
	return p, p.write()
}

// removable puts a small object where a round would, and removes it. why, when
// not empty, says that the site does not allow that. Whoever may not delete is
// found out before anything is put.
func (e *Engine) removable(ctx context.Context, p roundPlace) (why string, err error) {
	const (
		name   = "probe/may-it-go"
		denied = "the key of the site may not delete"
	)
	site, err := e.openControls(p, "")
	if err != nil {
		return "", err
	}
	deleter := site.Sweeper
	if deleter == nil {
		deleter = site.Store
	}
	err = errors.Join(deleter.Delete(ctx, name), storage.Purge(ctx, deleter, name))
	if errors.Is(err, storage.ErrDenied) {
		return denied, nil
	}
	if err != nil {
		return "", err
	}
	content := []byte("negative controls look whether they may remove this again\n")
	err = site.Store.Put(ctx, storage.Object{
		Name: name, Size: int64(len(content)), SHA256: sha256.Sum256(content), Body: bytes.NewReader(content),
	})
	if errors.Is(err, storage.ErrDenied) {
		return "the key of the site may not write below " + p.Prefix, nil
	}
	if err != nil {
		return "", err
	}
	switch err := storage.Purge(ctx, deleter, name); {
	case errors.Is(err, storage.ErrDenied):
		return denied, nil
	case errors.Is(err, storage.ErrLocked):
		return "the bucket locks what is put there, and nothing could be removed again", nil
	default:
		return "", err
	}
}

// openControls opens the place of a round, or what is below it.
func (e *Engine) openControls(p roundPlace, sub string) (repository.Site, error) {
	return openSite(p.Site, e.controlsSite(p, sub), e.clock, e.meter.traffic[p.Site])
}

// standIn is the folder that stands in for a site.
func (p roundPlace) standIn() string { return filepath.Join(p.dir, "site") }

// below is a prefix below that of the round.
func (p roundPlace) below(prefix, sub string) string { return path.Join(prefix, p.Prefix, sub) }

// clearRound removes everything of a round.
func (e *Engine) clearRound(ctx context.Context, p roundPlace) error {
	site, err := e.openControls(p, "")
	if err != nil {
		return err
	}
	return controls.Clear(ctx, site, p.dir)
}

// clearControls removes what rounds that a crash cut short have left. Nobody may
// make a round meanwhile.
func (e *Engine) clearControls(ctx context.Context) error {
	left, err := filepath.Glob(filepath.Join(e.controlsDir(), "drill-*"))
	if err != nil {
		return err
	}
	var errs []error
	for _, d := range left {
		errs = append(errs, e.clearLeft(ctx, d))
	}
	return errors.Join(errs...)
}

// clearLeft removes what is left of one round. One without a note of its place
// has put nothing anywhere.
func (e *Engine) clearLeft(ctx context.Context, dir string) error {
	text, err := os.ReadFile(filepath.Join(dir, placeFile))
	var p roundPlace
	if err == nil {
		err = json.Unmarshal(text, &p)
	}
	if _, known := e.cfg.Sites[p.Site]; err != nil || !known || p.Prefix != filepath.Base(dir) {
		return os.RemoveAll(dir)
	}
	p.dir = dir
	return e.clearRound(ctx, p)
}

// controlsLocked is the bucket with object lock that faults are planted in: that
// of the site of the round, or else of the first site that has one.
func (e *Engine) controlsLocked(site string) controls.Locked {
	for _, name := range append([]string{site}, e.cfg.SiteOrder...) {
		s := e.cfg.Sites[name]
		if s.Lock == nil {
			continue
		}
		s.Lock, s.MaxRate = nil, 0
		opened, err := openSite(name, s, e.clock, e.meter.traffic[name])
		if err != nil {
			return controls.Locked{Site: name, Why: "the site with a lock cannot be opened: " + err.Error()}
		}
		return controls.Locked{Site: name, Store: opened.Store}
	}
	return controls.Locked{Why: "no site of the configuration has a lock"}
}
