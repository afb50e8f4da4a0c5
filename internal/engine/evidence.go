package engine

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/config"
	"github.com/saypro/backupd/internal/evidence"
)

// openEvidence opens the log in the catalog, and makes its key when there is
// neither a record nor a key.
func openEvidence(cfg *config.Config, cat *catalog.Catalog, o Options) (*evidence.Log, error) {
	log, err := evidence.OpenWithKeyFile(evidenceOptions(cat, o), cfg.Evidence.KeyFile)
	return log, explainKeyFile(err)
}

func evidenceOptions(cat *catalog.Catalog, o Options) evidence.Options {
	return evidence.Options{Store: cat, Clock: o.Clock, Program: o.Version}
}

// explainKeyFile adds what to do when a key cannot be written or read: a service
// is often kept from its own configuration's folder.
func explainKeyFile(err error) error {
	var path *fs.PathError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &path) && !errors.Is(err, fs.ErrExist):
		return fmt.Errorf("%w: evidence.key_file must be readable by the service, and its folder writable for whoever makes or rotates the key: "+
			"with the service stopped, run 'backupd init', or the command that failed, as the service's user: %w", ErrConfig, err)
	}
	return err
}
