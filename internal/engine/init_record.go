package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"filippo.io/age"

	"github.com/saypro/backupd/internal/evidence"
	"github.com/saypro/backupd/internal/repository"
)

// initOnRecord makes the repository where there is none, on record. A host whose
// log is empty while a site has the repository is one that was lost, and begins
// no log: that which the sites keep is taken over first, or there would be two.
func initOnRecord(ctx context.Context, log *evidence.Log, o repository.Options, recipients []age.Recipient, by string) (*repository.InitReport, error) {
	lack := 0
	for _, site := range o.Sites {
		if _, err := repository.Look(ctx, site, nil); errors.Is(err, repository.ErrNoRepository) {
			lack++
		}
	}
	if lack == 0 || log.Size() == 0 && lack < len(o.Sites) {
		return repository.Init(ctx, o, recipients)
	}
	about := evidence.Key{Operation: "init"}
	for _, r := range recipients {
		about.Recipients = append(about.Recipients, fmt.Sprint(r))
	}
	intent, err := log.Begin(evidence.Record{Act: evidence.ActKey, By: by, Key: &evidence.Key{Operation: about.Operation, Recipients: about.Recipients}})
	if err != nil {
		return nil, fmt.Errorf("record the intent of a %s: %w", evidence.ActKey, err)
	}
	made, err := repository.Init(ctx, o, recipients)
	if made != nil {
		about.Key = made.Key
		for site, what := range made.Sites {
			if what == repository.InitMade || what == repository.InitMadeAgain {
				about.Sites = append(about.Sites, site)
			}
		}
		slices.Sort(about.Sites)
	}
	result := evidence.Record{Act: evidence.ActKey, By: by, Key: &about}
	result.Outcome, result.Error = outcomeOf(ctx, "", err)
	if recordErr := log.End(intent, result); recordErr != nil {
		err = errors.Join(err, fmt.Errorf("record the result of a %s: %w", evidence.ActKey, recordErr))
	}
	return made, err
}
