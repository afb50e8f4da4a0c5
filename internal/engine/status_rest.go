package engine

import (
	"fmt"
	"time"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/repository"
)

// statusScan is how old what a status says of all objects of a site may be: to
// look at each takes time, and a service is asked often.
const statusScan = time.Minute

// statusOfRest fills in what belongs to no function: the sites, the spool and
// what keeps house.
func (e *Engine) statusOfRest(s *Status, newest map[string]points) error {
	reports, err := e.reports(s.Time, newest, statusScan)
	if err != nil {
		return err
	}
	for _, r := range reports {
		s.Sites = append(s.Sites, siteStatus(r))
		s.Degraded = s.Degraded || r.State == repository.SiteAway || r.State == repository.SiteHeldUp
		for _, reason := range r.held() {
			s.Reasons = append(s.Reasons, "site "+r.Site+": "+reason)
		}
	}
	s.Reasons = append(s.Reasons, e.evidenceReasons()...)
	if err := e.statusOfAnchors(s); err != nil {
		return err
	}
	s.Spool = e.spool()
	if reason := spoolReason(s.Spool); reason != "" {
		s.Reasons = append(s.Reasons, reason)
	}
	if s.Upkeep, err = e.upkeepStatus(); err != nil {
		return err
	}
	s.Reasons = append(s.Reasons, s.Upkeep.reasons()...)
	s.Degraded = s.Degraded || len(s.Reasons) > 0
	return nil
}

// held returns the reasons that are about what the site holds, and not about
// its contact with us.
func (r SiteReport) held() []string {
	if r.State == repository.SiteAway || r.State == repository.SiteHeldUp || r.State == repository.SiteUnknown {
		return r.Reasons[1:]
	}
	return r.Reasons
}

func siteStatus(r SiteReport) SiteStatus {
	s := SiteStatus{
		Site: r.Site, Kind: r.Kind, State: r.State, LastContact: r.LastContact, Error: r.Error,
		QueuedObjects: r.WaitingObjects, QueuedBytes: r.WaitingBytes,
		LagSeconds: r.LagSeconds, LagFunction: r.LagFunction, FaultCount: r.FaultCount,
	}
	if r.Unread != nil {
		s.OldestUnread = r.Unread.Oldest
	}
	away := r.State == repository.SiteAway
	if away || !r.LastContact.IsZero() {
		reachable := !away
		s.Reachable = &reachable
	}
	return s
}

// spoolReason says that the spool is nearly full; empty when it is not.
func spoolReason(s Spool) string {
	if s.MaxBytes == 0 || s.UsedBytes < s.MaxBytes/5*4 {
		return ""
	}
	return fmt.Sprintf("%d of %d MiB of the spool are taken: when it is full, and no site has what is in the way, snapshots fail; "+
		"bring the sites back or raise spool.max_bytes", s.UsedBytes>>20, s.MaxBytes>>20)
}

func (e *Engine) upkeepStatus() (*Upkeep, error) {
	if !prunes(e.cfg) {
		return nil, nil //nolint:nilnil // there is none
	}
	prune, sweep, err := e.lastUpkeep()
	e.mu.Lock()
	defer e.mu.Unlock()
	return &Upkeep{LastPrune: upkeepRun(prune), LastSweep: upkeepRun(sweep), Next: inUTC(e.nextSweep)}, err
}

func upkeepRun(r *catalog.Run) *Run {
	if r == nil {
		return nil
	}
	return &Run{Started: r.Started.UTC(), DurationSeconds: r.Ended.Sub(r.Started).Seconds(), Error: r.Error}
}

// reasons says what of the last prune and sweep failed.
func (u *Upkeep) reasons() (out []string) {
	if u == nil {
		return nil
	}
	if u.LastPrune != nil && u.LastPrune.Error != "" {
		out = append(out, "the last prune failed: "+u.LastPrune.Error)
	}
	if u.LastSweep != nil && u.LastSweep.Error != "" {
		out = append(out, "the last sweep failed: "+u.LastSweep.Error)
	}
	return out
}
