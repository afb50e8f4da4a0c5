package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/saypro/backupd/internal/config"
	"github.com/saypro/backupd/internal/evidence"
)

// EvidenceKey is the key that signs the evidence log.
type EvidenceKey struct {
	// Log is the name of the log, Records how many it holds.
	Log     string `json:"log"`
	Records uint64 `json:"records"`
	// KeyFile holds the private key. Public is what an auditor needs.
	KeyFile string `json:"key_file"`
	Public  string `json:"public"`
	// Before is the public key that a rotation replaced.
	Before string `json:"before,omitempty"`
}

// BundleRequest asks for the evidence of since ≤ time < until; zero times are
// open.
type BundleRequest struct {
	Since time.Time `json:"since,omitzero"`
	Until time.Time `json:"until,omitzero"`
}

// EvidenceKey returns the public key of the evidence log. The error matches
// [ErrDegraded] when it is known from what it signed, and signs nothing now.
func (e *Engine) EvidenceKey(context.Context) (EvidenceKey, error) {
	switch err := e.voice(); {
	case err == nil:
		return evidenceKey(e.cfg, e.evidence), nil
	case e.evidence.PublicKey().ID == "":
		return EvidenceKey{}, err
	default:
		return evidenceKey(e.cfg, e.evidence), fmt.Errorf("%w: it checks what is on record, and %s", ErrDegraded, err.Error())
	}
}

func evidenceKey(cfg *config.Config, log *evidence.Log) EvidenceKey {
	return EvidenceKey{Log: log.Origin(), Records: log.Size(), KeyFile: cfg.Evidence.KeyFile, Public: log.PublicKey().String()}
}

// RotateEvidenceKey puts a new key to use, which the one before announces. The
// one before signs the intent, the new one the result. What there is by then goes
// to the sites under the key before: a site that has no more when this host is lost
// has a whole then, which needs no other key.
func (e *Engine) RotateEvidenceKey(ctx context.Context) (EvidenceKey, error) {
	if _, err := e.publish(ctx); err != nil {
		// A key that may be stolen must not stay because of that.
		e.log.Warn("the evidence could not be given to the sites before its key was changed; it will be, with the new key", "error", err)
	}
	before := e.evidence.PublicKey().String()
	err := e.keyWork(ctx, "rotate-sign", func() (evidence.Key, error) {
		err := e.evidence.RotateKeyFile(e.cfg.Evidence.KeyFile, e.actor(ctx))
		return evidence.Key{Key: e.evidence.PublicKey().ID, Public: e.evidence.PublicKey().String()}, err
	})
	if err != nil {
		return EvidenceKey{}, explainKeyFile(err)
	}
	out := evidenceKey(e.cfg, e.evidence)
	out.Before = before
	return out, nil
}

// WriteEvidence writes a bundle of the evidence log.
func (e *Engine) WriteEvidence(ctx context.Context, req BundleRequest, w io.Writer) error {
	if !req.Until.IsZero() && !req.Since.Before(req.Until) {
		return fmt.Errorf("%w: a period from %s to %s holds nothing", ErrUsage, req.Since.Format(time.RFC3339), req.Until.Format(time.RFC3339))
	}
	if err := e.voice(); err != nil {
		return fmt.Errorf("a bundle has checkpoints that are signed now, and %w", err)
	}
	if err := e.tellHeldNow(ctx); err != nil {
		return err
	}
	_, err := e.evidence.WriteBundle(w, req.Since, req.Until)
	return err
}

// StartEvidenceOver makes a new key for the evidence log because the one before
// is lost. No service may run. Every audit from then on shows the break.
func StartEvidenceOver(_ context.Context, cfg *config.Config, o Options) (out EvidenceKey, err error) {
	cat, err := openCatalog(cfg)
	if err != nil {
		return EvidenceKey{}, err
	}
	defer func() { err = errors.Join(err, cat.Close()) }()
	log, err := evidence.StartOverWithKeyFile(evidenceOptions(cat, o), cfg.Evidence.KeyFile, o.By)
	if err != nil {
		return EvidenceKey{}, explainKeyFile(err)
	}
	return evidenceKey(cfg, log), nil
}

// BeginNewEvidence begins another log, because the one that sites keep cannot be
// taken over: its records stay there, and every audit will ask about them. No
// service may run. The error matches [ErrUsage] when there is nothing that could
// not be taken over.
func BeginNewEvidence(_ context.Context, cfg *config.Config, o Options) (out EvidenceKey, err error) {
	cat, err := openCatalog(cfg)
	if err != nil {
		return EvidenceKey{}, err
	}
	defer func() { err = errors.Join(err, cat.Close()) }()
	waits, err := awaitsEvidence(cat)
	if err != nil {
		return EvidenceKey{}, err
	}
	if !waits {
		return EvidenceKey{}, fmt.Errorf("%w: a new log is for a host whose catalog was rebuilt and that cannot take over the old one; this one goes on with its own", ErrUsage)
	}
	was, err := evidence.PutKeyFileAway(cfg.Evidence.KeyFile)
	if err != nil {
		return EvidenceKey{}, explainKeyFile(err)
	}
	log, err := evidence.OpenWithKeyFile(evidenceOptions(cat, o), cfg.Evidence.KeyFile)
	if err != nil {
		return EvidenceKey{}, explainKeyFile(err)
	}
	if err := log.BeginKey(o.By); err != nil {
		return EvidenceKey{}, err
	}
	out = evidenceKey(cfg, log)
	out.Before = was
	return out, cat.SetMeta(metaUntaken, nil)
}
