package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/saypro/backupd/internal/anchor"
	"github.com/saypro/backupd/internal/evidence"
)

// anchorRetry is how long after a failure a checkpoint is mailed again.
const anchorRetry = 10 * time.Minute

// keepAlive puts on record that the service runs whenever nothing else was for
// an hour, until ctx ends: so a silence means that it did not.
func (e *Engine) keepAlive(ctx context.Context) {
	if e.evidence.Mute() != nil {
		return
	}
	failed := func(err error) {
		if ctx.Err() == nil {
			e.log.Error("what the service does could not be recorded; it is tried again", "error", err)
		}
	}
	// A log that a site keeps must be taken over before anything is written.
	for err := e.tellPolicy(ctx); err != nil; err = e.tellPolicy(ctx) {
		failed(err)
		if e.clock.Sleep(ctx, time.Minute) != nil {
			return
		}
	}
	_ = e.evidence.KeepAlive(ctx, failed) // that of ctx
}

// keepAnchored mails a checkpoint to the auditor as often as is configured,
// until ctx ends. One that was due while the service did not run goes out at
// once.
func (e *Engine) keepAnchored(ctx context.Context) {
	if e.cfg.Evidence.Anchor.Mail == nil || e.evidence.Mute() != nil {
		return
	}
	for {
		wait, err := e.untilAnchor()
		if err == nil && wait <= 0 {
			wait = e.cfg.Evidence.Anchor.Every
			err = e.anchor(ctx)
		}
		if err != nil && ctx.Err() == nil {
			e.log.Error("a checkpoint of the evidence could not be given to the auditor; it is tried again", "error", err)
		}
		if err != nil {
			wait = anchorRetry
		}
		if e.clock.Sleep(ctx, wait) != nil {
			return
		}
	}
}

// mailTo names whom an anchor by mail was given to.
func (e *Engine) mailTo() string { return "mail " + e.cfg.Evidence.Anchor.Mail.To }

// untilAnchor returns how long the next checkpoint has time.
func (e *Engine) untilAnchor() (time.Duration, error) {
	last, ok, err := e.evidence.Latest(evidence.ActAnchor, "")
	if err != nil || !ok || last.Anchor.To != e.mailTo() {
		return 0, err
	}
	return e.cfg.Evidence.Anchor.Every - e.clock.Now().Sub(last.Time), nil
}

// anchor mails the checkpoint of what the sites were given, and puts that on
// record. No more is told than survives the loss of this host: a log that goes
// on from what a site kept must not look like one that was cut.
func (e *Engine) anchor(ctx context.Context) error {
	size, err := e.published()
	if err != nil {
		return fmt.Errorf("anchor the evidence: %w", err)
	}
	if size == 0 {
		return fmt.Errorf("anchor the evidence: no site was given any yet")
	}
	signed, err := e.evidence.CheckpointAt(size)
	if err != nil {
		return fmt.Errorf("anchor the evidence: %w", err)
	}
	key := e.evidence.PublicKey()
	at, _, err := evidence.OpenCheckpoint(signed, key)
	if err != nil {
		return fmt.Errorf("anchor the evidence: %w", err)
	}
	m := e.cfg.Evidence.Anchor.Mail
	to := anchor.Mail{To: m.To, From: m.From, Server: m.SMTP, Username: m.Username, Password: m.Password.Reveal}
	err = to.Send(ctx, anchor.Message{Log: at.Origin, Size: at.Size, Checkpoint: signed, Public: key.String(), At: e.clock.Now()})
	if err != nil {
		return err
	}
	return e.tell(ctx, evidence.Record{Act: evidence.ActAnchor, Anchor: &evidence.Anchor{To: e.mailTo(), Size: at.Size, Root: at.Root.String()}})
}
