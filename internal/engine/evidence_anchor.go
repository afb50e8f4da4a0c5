package engine

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/saypro/backupd/internal/anchor"
	"github.com/saypro/backupd/internal/config"
	"github.com/saypro/backupd/internal/evidence"
	"github.com/saypro/backupd/internal/rfc3161"
)

const (
	// anchorRetry is how long after a failure a checkpoint is given again.
	anchorRetry = 10 * time.Minute
	// heldEvery is the time between two records of how much of the log a site
	// holds.
	heldEvery = 24 * time.Hour
)

// keepAlive puts on record that the service runs whenever nothing else was for
// an hour, until ctx ends: so a silence means that it did not.
func (e *Engine) keepAlive(ctx context.Context) {
	if !e.awaitVoice(ctx) {
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

// receiver is somebody outside who is given checkpoints of the log.
type receiver struct {
	to    string // as on record
	every time.Duration
	// give returns what was answered, if anything.
	give func(ctx context.Context, at evidence.Checkpoint, signed []byte) (token []byte, err error)
}

// receivers are all who are configured.
func (e *Engine) receivers() (out []receiver) {
	a := e.cfg.Evidence.Anchor
	if a.Mail != nil {
		out = append(out, receiver{mailTo(a.Mail), a.Every, e.mail})
	}
	if a.Timestamp != nil {
		out = append(out, receiver{timestampTo(a.Timestamp), a.Timestamp.Every, e.timestamp})
	}
	return out
}

// mailTo, timestampTo and siteTo name on record whom an anchor was given to.
func mailTo(m *config.Mail) string           { return evidence.AnchorMail + " " + m.To }
func timestampTo(t *config.Timestamp) string { return evidence.AnchorTimestamp + " " + t.URL }
func siteTo(site string) string              { return evidence.AnchorSite + " " + site }

// anchorRhythms returns the time between two anchors, by to whom: what is
// promised of them.
func anchorRhythms(cfg *config.Config) map[string]time.Duration {
	out := map[string]time.Duration{}
	for _, site := range cfg.SiteOrder {
		out[siteTo(site)] = heldEvery
	}
	a := cfg.Evidence.Anchor
	if a.Mail != nil {
		out[mailTo(a.Mail)] = a.Every
	}
	if a.Timestamp != nil {
		out[timestampTo(a.Timestamp)] = a.Timestamp.Every
	}
	return out
}

// keepAnchored gives checkpoints to all receivers as often as is configured,
// until ctx ends. None waits for another.
func (e *Engine) keepAnchored(ctx context.Context) {
	if !e.awaitVoice(ctx) {
		return
	}
	var all sync.WaitGroup
	for _, r := range e.receivers() {
		all.Go(func() { e.keepAnchoredAt(ctx, r) })
	}
	all.Wait()
}

// keepAnchoredAt serves one receiver. A checkpoint that was due while the service
// did not run goes out at once.
func (e *Engine) keepAnchoredAt(ctx context.Context, r receiver) {
	for {
		wait, err := e.untilAnchor(r)
		if err == nil && wait <= 0 {
			wait = r.every
			err = e.anchor(ctx, r)
		}
		if err != nil && ctx.Err() == nil {
			e.log.Error("a checkpoint of the evidence was not anchored; it is tried again", "to", r.to, "error", err)
		}
		if err != nil {
			wait = min(anchorRetry, r.every)
		}
		if e.clock.Sleep(ctx, wait) != nil {
			return
		}
	}
}

// untilAnchor returns how long the next checkpoint has time.
func (e *Engine) untilAnchor(r receiver) (time.Duration, error) {
	now := e.clock.Now()
	last, err := e.lastAnchors(now.Add(-r.every))
	if err != nil || last[r.to].Time.IsZero() {
		return 0, err
	}
	return r.every - now.Sub(last[r.to].Time), nil
}

// lastAnchors returns the last anchors on record since a time, by to whom.
func (e *Engine) lastAnchors(since time.Time) (map[string]evidence.Record, error) {
	out := map[string]evidence.Record{}
	for r, err := range e.evidence.Find(evidence.ActAnchor, "", since, time.Time{}) {
		if err != nil {
			return nil, err
		}
		if r.Anchor != nil {
			out[r.Anchor.To] = r
		}
	}
	return out, nil
}

// anchor gives the checkpoint of what the sites were given, and puts that on
// record. No more is told than survives the loss of this host: a log that goes
// on from what a site kept must not look like one that was cut.
func (e *Engine) anchor(ctx context.Context, r receiver) error {
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
	at, _, err := evidence.OpenCheckpoint(signed, e.evidence.PublicKey())
	if err != nil {
		return fmt.Errorf("anchor the evidence: %w", err)
	}
	token, err := r.give(ctx, at, signed)
	if err != nil {
		return err
	}
	return e.tell(ctx, evidence.Record{Act: evidence.ActAnchor, Anchor: &evidence.Anchor{To: r.to, Size: at.Size, Root: at.Root.String(), Token: token}})
}

func (e *Engine) mail(ctx context.Context, at evidence.Checkpoint, signed []byte) ([]byte, error) {
	m := e.cfg.Evidence.Anchor.Mail
	to := anchor.Mail{To: m.To, From: m.From, Server: m.SMTP, Username: m.Username, Password: m.Password.Reveal}
	return nil, to.Send(ctx, anchor.Message{Log: at.Origin, Size: at.Size, Checkpoint: signed, Public: e.evidence.PublicKey().String(), At: e.clock.Now()})
}

func (e *Engine) timestamp(ctx context.Context, at evidence.Checkpoint, _ []byte) ([]byte, error) {
	given, err := stampText(ctx, e.cfg.Evidence.Anchor.Timestamp, []byte(at.Text()))
	return given.Token, err
}

// stampText has a time stamp given by the authority that is configured.
func stampText(ctx context.Context, t *config.Timestamp, text []byte) (rfc3161.Stamp, error) {
	certificates, err := os.ReadFile(t.Roots)
	if err != nil {
		return rfc3161.Stamp{}, fmt.Errorf("evidence.anchor.timestamp.roots: %w", err)
	}
	roots, err := rfc3161.Roots(certificates)
	if err != nil {
		return rfc3161.Stamp{}, fmt.Errorf("evidence.anchor.timestamp.roots: %s: %w", t.Roots, err)
	}
	return anchor.Authority{URL: t.URL, Roots: roots}.Stamp(ctx, text)
}
