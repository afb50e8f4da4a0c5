package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/config"
	"github.com/saypro/backupd/internal/evidence"
)

// openEvidence opens the log in the catalog, and makes its key when there is
// neither a record nor a key. A log that cannot be written is opened mute: it
// bears witness, and must not hold up what it is a witness of.
func openEvidence(cfg *config.Config, cat *catalog.Catalog, o Options) (*evidence.Log, error) {
	log, err := evidence.OpenWithKeyFile(evidenceOptions(cat, o), cfg.Evidence.KeyFile)
	if err == nil {
		return log, nil
	}
	return evidence.OpenMute(evidenceOptions(cat, o), explainKeyFile(err))
}

// voice returns why nothing can be put on record, nil when it can, after another
// try: a key that was away may have been put back.
func (e *Engine) voice() error {
	regained, err := e.evidence.Unmute(e.cfg.Evidence.KeyFile)
	if regained {
		e.log.Info("the key that signs the evidence log is back; what is done is on record again")
	}
	return explainKeyFile(err)
}

// voiceRetry is how often a service looks whether the key is back. Whatever is to
// be put on record, or asks how things stand, looks at once.
const voiceRetry = 5 * time.Second

// awaitVoice waits until something can be put on record; false when ctx ends
// before that.
func (e *Engine) awaitVoice(ctx context.Context) bool {
	for e.voice() != nil {
		if e.clock.Sleep(ctx, voiceRetry) != nil {
			return false
		}
	}
	return true
}

// evidenceReasons says what keeps the evidence from being as it should be.
func (e *Engine) evidenceReasons() (out []string) {
	if err := e.voice(); err != nil {
		return []string{"what is done is not on record: " + err.Error()}
	}
	if waits, err := e.awaitsEvidence(); err != nil || waits {
		out = append(out, "the evidence of this host's past is yet to be taken over from the sites, and what is done until then is not on record: "+
			"the service's log, or 'backupd verify' where none runs, says what is in the way; docs/operations.md, Rebuild")
	}
	if reason := e.clockReason(); reason != "" {
		out = append(out, reason)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return append(out, e.otherEvidence...)
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
