package engine

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/saypro/backupd/internal/evidence"
)

// AnchorStatus is when a checkpoint of the evidence log was last given to
// somebody outside, or a site last known to hold the log.
type AnchorStatus struct {
	// To is "site NAME", "mail ADDRESS" or "timestamp URL".
	To string `json:"to"`
	// State is "good", "late" when it is overdue, "unknown" when there was none.
	State string `json:"state"`
	// EverySeconds is the time between two, At when the last one was put on
	// record, UTC, AgeSeconds how long ago that is, Size how many records it is
	// of.
	EverySeconds float64   `json:"every_seconds"`
	At           time.Time `json:"at,omitzero"`
	AgeSeconds   float64   `json:"age_seconds"`
	Size         uint64    `json:"size"`
}

// anchorsKnown is how far back anchors are looked for first: a look at all of
// years takes longer.
const anchorsKnown = 30 * 24 * time.Hour

// statusOfAnchors tells the last anchor of each kind and what is overdue.
func (e *Engine) statusOfAnchors(s *Status) error {
	rhythms := anchorRhythms(e.cfg)
	s.Anchors = []AnchorStatus{}
	last, err := e.lastAnchors(s.Time.Add(-anchorsKnown))
	if err == nil && len(last) < len(rhythms) {
		last, err = e.lastAnchors(time.Time{})
	}
	if err != nil {
		return err
	}
	var first time.Time // of the log
	for r, err := range e.evidence.Records(0, min(1, e.evidence.Size())) {
		if err != nil {
			return err
		}
		first = r.Time
	}
	for to, every := range rhythms {
		a := anchorStatus(to, every, last[to], s.Time)
		s.Anchors = append(s.Anchors, a)
		if reason := a.reason(first, s.Time); reason != "" {
			s.Reasons = append(s.Reasons, reason)
		}
	}
	slices.SortFunc(s.Anchors, func(a, b AnchorStatus) int { return cmp.Compare(a.To, b.To) })
	return nil
}

func anchorStatus(to string, every time.Duration, last evidence.Record, now time.Time) AnchorStatus {
	a := AnchorStatus{To: to, State: StateUnknown, EverySeconds: every.Seconds()}
	if last.Anchor == nil {
		return a
	}
	age := now.Sub(last.Time)
	a.State, a.At, a.AgeSeconds, a.Size = StateGood, last.Time.UTC(), age.Seconds(), last.Anchor.Size
	if age > evidence.AnchorOverdue(every) {
		a.State = StateLate
	}
	return a
}

// reason says that an anchor is overdue; empty when it is not. A log that has
// just begun has time for its first ones.
func (a AnchorStatus) reason(begun, now time.Time) string {
	every := seconds(a.EverySeconds)
	due := !begun.IsZero() && now.Sub(begun) > evidence.AnchorOverdue(every)
	said := fmt.Sprintf("was last anchored %s ago", seconds(a.AgeSeconds))
	switch {
	case a.State == StateGood || a.State == StateUnknown && !due:
		return ""
	case a.State == StateUnknown:
		said = "was never anchored"
	}
	return fmt.Sprintf("the evidence %s by %q, which is to be every %s: from then on nobody else knows what it held; the service's log says why", said, a.To, every)
}

// anchors tries the time-stamping authority: what it stamps is a text of no log.
func (c *checker) anchors(ctx context.Context) {
	const group = "evidence"
	t := c.cfg.Evidence.Anchor.Timestamp
	if t == nil {
		return
	}
	text := fmt.Sprintf("a check of %s\n%s\n", t.URL, c.clock.Now().UTC().Format(time.RFC3339Nano))
	given, err := stampText(ctx, t, []byte(text))
	if err != nil {
		c.bad(group, "timestamp", err.Error(), "evidence.anchor.timestamp: url must be that of an authority that answers as RFC 3161 says, "+
			"and roots a file with the certificate, PEM, that its own lead to")
		return
	}
	off := given.Time.Sub(c.clock.Now()).Abs()
	if off > evidence.StampSlack+given.Accuracy {
		c.bad(group, "timestamp", fmt.Sprintf("%s stamps, and its clock and that of this host are %s apart", t.URL, off.Round(time.Second)), "put the clock of this host right")
		return
	}
	c.good(group, "timestamp", fmt.Sprintf("%s stamps the time, signed by %s; its clock and ours agree within %s", t.URL, given.Authority, max(off, time.Second).Round(time.Second)), "")
}
