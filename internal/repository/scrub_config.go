package repository

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/storage"
)

// checkConfig reads repo.json, which no outbox knows, and puts it right where it
// is damaged. A site without one is empty and needs more than that.
func (s *scrubber) checkConfig(ctx context.Context) error {
	if err := s.mayCheck(); err != nil {
		return err
	}
	err := s.checkRepository(ctx, s.site)
	if err == nil || !s.isRotten(ctx, err) {
		return err
	}
	first, known, keyErr := s.catalog.Entry(keyName(s.keys.first.String()))
	if keyErr != nil || !known {
		return errors.Join(err, keyErr)
	}
	if s.look(ctx, s.site, first) != nil {
		return err // nothing says that this is our repository
	}
	return s.mendConfig(ctx, err)
}

// isRotten reports whether the repo.json of a site, with which something is
// wrong, can be ours with damage and is not that of another repository.
func (s *scrubber) isRotten(ctx context.Context, found error) bool {
	if !errors.Is(found, ErrOtherRepository) {
		return errors.Is(found, ErrCorrupt)
	}
	there, err := readObject(ctx, s.site, configName, maxSmall)
	if err != nil || bytes.Equal(there, s.config) {
		return false
	}
	c, err := parseConfig(there)
	return err != nil || c.Repository == s.ID()
}

// mendConfig replaces repo.json.
func (s *scrubber) mendConfig(ctx context.Context, why error) error {
	e := catalog.Entry{Kind: catalog.KindKey, Name: configName, Size: int64(len(s.config)), SHA256: sum(s.config)}
	if err := s.mayDelete(); err != nil {
		return err
	}
	s.out.Bad++
	s.log.Error("scrub: an object is missing or wrong", "site", s.site.Name, "object", e.Name, "error", why)
	if err := s.site.sweeper().Delete(ctx, e.Name); err != nil {
		if !storage.Permanent(err) {
			return err
		}
		return s.stillWrong(e.Name, fmt.Sprintf("%v: %v; %s", errStuck, err, stuckHint), false)
	}
	err := s.site.Store.Put(ctx, storage.Object{Name: e.Name, Size: e.Size, SHA256: e.SHA256, Body: bytes.NewReader(s.config)})
	if err == nil {
		err = s.checkRepository(ctx, s.site)
	}
	if err == nil {
		s.out.Mended++
	}
	return err
}
