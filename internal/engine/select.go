package engine

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/saypro/backupd/internal/config"
	"github.com/saypro/backupd/internal/repository"
	"github.com/saypro/backupd/internal/retention"
	"github.com/saypro/backupd/internal/selection"
	"github.com/saypro/backupd/internal/verify"
)

// pace is how often a function is proven, and within which time each of its
// recovery points is to be.
func (e *Engine) pace(f config.Function) selection.Pace {
	return selection.Pace{Every: f.Prove.Every, Sites: len(e.cfg.SiteOrder), Bound: f.Prove.Rotate}
}

// copies are the recovery points of a function that are kept, as far as they
// have been proven.
type copies struct {
	points []selection.Point
	at     []map[string]bool // the sites that hold each of points
	proofs proofs
}

// copies reads what is kept of a function, and what proofs say of it.
func (e *Engine) copies(f config.Function, proofs proofs) (copies, error) {
	out, held := copies{proofs: proofs}, map[string]bool{}
	err := e.repository.Snapshots(f.Name, func(s repository.SnapshotInfo) bool {
		at := map[string]bool{}
		for _, site := range e.cfg.SiteOrder {
			if s.Sites[site].State == repository.StateDurable {
				at[site] = true
			}
		}
		if !s.Condemned.IsZero() || len(at) == 0 {
			return true
		}
		held[s.ID] = s.Held != ""
		out.points = append(out.points, selection.Point{
			ID: s.ID, Time: s.RecoveryPoint, Schema: s.Schema, Looked: proofs.looked[s.ID], Failed: proofs.failed[s.ID],
		})
		out.at = append(out.at, at)
		return true
	})
	if err != nil {
		return out, err
	}
	out.forecast(f, held, e.clock.Now())
	return out, nil
}

// forecast says until when the rules keep each point, if snapshots go on as the
// newest have come.
func (c *copies) forecast(f config.Function, held map[string]bool, now time.Time) {
	if len(c.points) < 2 || f.Keep == nil {
		return
	}
	times := make([]time.Time, len(c.points))
	for i, p := range c.points {
		times[i] = p.Time
	}
	every := max(times[0].Sub(times[1]), time.Second) // the newest come first
	for i, goes := range retention.Goes(policyOf(f.Keep), times, every, now) {
		if !held[c.points[i].ID] {
			c.points[i].Goes = goes
		}
	}
}

// from returns what a site holds of them.
func (c *copies) from(site string) []selection.Point {
	var out []selection.Point
	for i, p := range c.points {
		if c.at[i][site] {
			p.Proven, p.Restored = c.proofs.proven(p.ID, site), c.restored(i)
			out = append(out, p)
		}
	}
	return out
}

// restored reports whether a point was proven from any site.
func (c *copies) restored(i int) bool {
	for site := range c.at[i] {
		if c.proofs.proven(c.points[i].ID, site) {
			return true
		}
	}
	return false
}

// all returns all of them.
func (c *copies) all() []selection.Point {
	out := slices.Clone(c.points)
	for i := range out {
		out[i].Restored = c.restored(i)
	}
	return out
}

// pick chooses what is proven of a function from a site: by the rule, or by the
// one whose turn it is when none is given.
func (e *Engine) pick(f config.Function, site string, rule selection.Rule, seed string) (snapshot string, why verify.Selection, err error) {
	proofs, err := e.newestProofs()
	if err != nil {
		return "", why, err
	}
	kept, err := e.copies(f, proofs)
	if err != nil {
		return "", why, err
	}
	points, now := kept.from(site), e.clock.Now()
	if rule == "" {
		rule = selection.Turn(points, proofs.past[proofKey{function: f.Name, site: site}], now, e.pace(f))
	}
	if rule == selection.Random && seed == "" {
		seed = newSeed()
	}
	c, ok := selection.Choose(rule, points, seed, now, f.Prove.Rotate)
	if !ok { // whoever asks for a proof of nothing is told so by the proof
		return "", verify.Selection{Rule: string(rule)}, nil
	}
	return c.ID, verify.Selection{Rule: string(c.Rule), Seed: c.Seed, Population: c.Population, Proven: c.Proven}, nil
}

func newSeed() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// coldLevel is the level that a cold start reaches, and no other proof.
const coldLevel = "L7"

// checkLevel checks how far a request is to go.
func (req *VerifyRequest) checkLevel() error {
	warm := slices.DeleteFunc(slices.Clone(verify.Levels), func(level string) bool { return level == coldLevel })
	switch {
	case req.Level == coldLevel && !req.Cold:
		return fmt.Errorf("%w: %s is a cold start, on a host with nothing on it: 'backupd verify --cold --from SITE --identity FILE' makes one", ErrUsage, coldLevel)
	case req.Level != "" && req.Level != coldLevel && !slices.Contains(warm, req.Level):
		return fmt.Errorf("%w: level %q; there are %s to %s, and %s with --cold", ErrUsage, req.Level, warm[0], warm[len(warm)-1], coldLevel)
	}
	return nil
}

// checkSelect checks how the recovery points of a request are to be chosen.
func (req *VerifyRequest) checkSelect() error {
	rule := selection.Rule(req.Select)
	switch {
	case req.Select != "" && req.Snapshot != "":
		return fmt.Errorf("%w: --select and --snapshot exclude each other", ErrUsage)
	case req.Select != "" && !slices.Contains(selection.Rules, rule):
		return fmt.Errorf("%w: rule %q; there are %v", ErrUsage, req.Select, selection.Rules)
	case req.Cold && (req.Snapshot != "" || req.Select != "" || req.Level != "" && req.Level != coldLevel):
		return fmt.Errorf("%w: a cold start takes the newest recovery point that the site tells of, as far as it goes: "+
			"--cold excludes --snapshot, --select and --level", ErrUsage)
	case req.Identity != "" && !req.Cold:
		return fmt.Errorf("%w: --identity belongs to --cold", ErrUsage)
	case req.Seed != "" && rule != selection.Random:
		return fmt.Errorf("%w: a seed belongs to the rule %s", ErrUsage, selection.Random)
	}
	return nil
}

// describeProven says how many of a function's recovery points have been
// proven, and what is wrong with the time that it takes.
func (e *Engine) describeProven(s *FunctionStatus, f config.Function, proofs proofs, now time.Time) error {
	kept, err := e.copies(f, proofs)
	if err != nil {
		return err
	}
	look := selection.Look(kept.all(), now, e.pace(f))
	s.KeptPoints, s.ProvenPoints, s.OldestUnproven = look.Points, look.Proven, inUTC(look.OldestUnproven)
	for site, at := range s.Sites {
		here := selection.Look(proven(kept.from(site)), now, selection.Pace{})
		at.KeptPoints, at.ProvenPoints, at.OldestUnproven = here.Points, here.Proven, inUTC(here.OldestUnproven)
		s.Sites[site] = at
	}
	s.Warnings = append(s.Warnings, rotationWarnings(f, look)...)
	s.Warnings = append(s.Warnings, coldWarnings(f, *s, e.cfg.SiteOrder, e.cfg.Keys.DrillIdentityFile, now)...)
	return nil
}

// proven has for each point whether it was proven from this site, rather than
// from any.
func proven(points []selection.Point) []selection.Point {
	for i := range points {
		points[i].Restored = points[i].Proven
	}
	return points
}

// rotationWarnings says what is wrong with the time in which the rotation comes
// round, and what would do.
func rotationWarnings(f config.Function, look selection.Outlook) []string {
	var out []string
	if look.Late > 0 {
		out = append(out, fmt.Sprintf("%d of %d recovery points have not been proven for longer than prove.rotate, %s",
			look.Late, look.Points, f.Prove.Rotate))
	}
	if look.Missed > 0 {
		text := fmt.Sprintf("%d recovery points are to be proven within the next %s (prove.rotate), half of all proofs go to the newest, "+
			"and with a proof every %s (prove.every) %d come too late", look.Wanted, f.Prove.Rotate, f.Prove.Every, look.Missed)
		if look.Every >= time.Minute {
			text += fmt.Sprintf(": prove every %s or more often, or raise prove.rotate", look.Every.Truncate(time.Minute))
		} else {
			text += ": raise prove.rotate, or keep fewer"
		}
		out = append(out, text)
	}
	return out
}

// ProvenFindings says of each function how many of its recovery points have been
// proven. It is advice: what is unproven may be as good as what is not.
func ProvenFindings(s Status) []Finding {
	var out []Finding
	for _, f := range s.Functions {
		out = append(out, Finding{
			OK: true, Group: "function", Subject: f.Function, Hint: strings.Join(f.Warnings, "\n"),
			Detail: fmt.Sprintf("%d of %d recovery points proven from some site", f.ProvenPoints, f.KeptPoints),
		})
	}
	return out
}
