package repository

import (
	"context"
	"errors"

	"filippo.io/age"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/crash"
	"github.com/saypro/backupd/internal/storage"
)

// What Init did at a site.
const (
	// InitMade: the repository was made there.
	InitMade = "made"
	// InitThere: it was there already.
	InitThere = "there"
	// InitMadeAgain: the site had lost what it acknowledged earlier, and is
	// given everything again by the next upload.
	InitMadeAgain = "made again"
)

// InitReport says what Init did at each site.
type InitReport struct {
	Repository string            `json:"repository"`
	Key        string            `json:"key"`   // the first one
	Sites      map[string]string `json:"sites"` // InitMade, InitThere, InitMadeAgain or what went wrong
}

// Init makes the repository on every site that has none and wraps its key for
// the recipients. It does nothing where the repository is there already. A
// site that had acknowledged objects and lost its repository is given
// everything again by the next upload.
func Init(ctx context.Context, o Options, recipients []age.Recipient) (*InitReport, error) {
	is, err := findConfig(ctx, o)
	if errors.Is(err, ErrNoRepository) {
		is, err = newConfig(o.Clock.Now(), recipients)
	}
	if err != nil {
		return nil, err
	}
	c, err := parseConfig(is.config)
	if err != nil {
		return nil, err
	}
	report := &InitReport{Repository: c.Repository, Key: c.Key, Sites: map[string]string{}}
	var errs []error
	for _, site := range o.Sites {
		began := o.Clock.Now()
		done, err := initSite(ctx, o.Catalog, site, c, is)
		if err == nil && done != InitThere && site.Lock > 0 {
			err = setSmallLocked(o.Catalog, site.Name, began.Add(site.Lock))
		}
		report.Sites[site.Name] = done
		errs = append(errs, err)
	}
	if err := remember(o.Catalog, c, is); err != nil {
		errs = append(errs, err)
	}
	return report, errors.Join(errs...)
}

// initSite writes the keys before repo.json, which says that all is there.
func initSite(ctx context.Context, cat *catalog.Catalog, site Site, c *config, is identity) (string, error) {
	there, err := readObject(ctx, site, configName, maxSmall)
	if err == nil {
		if string(there) != string(is.config) {
			return "it holds another repository", &ObjectError{site.Name, configName, ErrOtherRepository}
		}
		return InitThere, nil
	}
	if !errors.Is(err, storage.ErrNotFound) {
		return err.Error(), err
	}
	if err := refuseUnknown(c.Features.Write, "write to"); err != nil {
		return err.Error(), err
	}
	// Everything is queued before the site can be taken for a good one: a
	// crash in between is made up for by the next Init.
	queued, err := cat.ResetSite(site.Name)
	if err != nil {
		return err.Error(), err
	}
	crash.Point(crash.InitReset)
	for name, wrapped := range is.wrapped {
		if err := putObject(ctx, site, name, wrapped); err != nil {
			return err.Error(), err
		}
	}
	crash.Point(crash.InitKey)
	if err := putObject(ctx, site, configName, is.config); err != nil {
		return err.Error(), err
	}
	crash.Point(crash.InitConfig)
	if queued > 0 {
		return InitMadeAgain, nil
	}
	return InitMade, nil
}
