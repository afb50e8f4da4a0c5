package repository

import (
	"time"

	"github.com/saypro/backupd/internal/catalog"
)

// A rotation reads each object of each site at least once within a period, at
// an even pace, and no more than that takes: an object that was written or read
// less than half of the period ago is left alone.
const (
	// A rotation aims at this share of the period, so that what comes in between
	// does not break the bound, …
	aimNumerator, aimDenominator = 9, 10
	// … and makes up for what it has missed within this part of it.
	catchUpPart = 30
	// paceParts is into how many parts the period is divided to find the pace.
	paceParts = 256
)

// UnreadBound is for how long an object may remain unread while a rotation
// with that period runs and its site can be read.
func UnreadBound(every time.Duration) time.Duration { return every + min(every, 24*time.Hour) }

// pacer finds out how much of a site is to be read now.
type pacer struct {
	every, step time.Duration
	credit      float64 // bytes; negative when more were read than had to be
}

// soonest is since when an object must not have been read to be read now.
func (p *pacer) soonest(now time.Time) time.Time { return now.Add(-p.every / 2) }

// share adds what is to be read for the time that has passed, and returns how
// many bytes may be read now; 0 when nothing need be.
func (p *pacer) share(passed time.Duration, need paceNeed) int64 {
	if passed <= 0 || passed > p.every/catchUpPart {
		passed = p.step // what was missed is in the need
	}
	share := need.rate * passed.Seconds()
	p.credit = min(p.credit+share, share) // what could not be read before is in the need too
	if need.urgent {
		p.credit = share
	}
	if p.credit <= 0 {
		return 0
	}
	return max(1, int64(p.credit))
}

// paceNeed is what it takes to read everything in time.
type paceNeed struct {
	rate   float64 // bytes a second
	urgent bool    // something should have been read by the next step
}

// need returns the least number of bytes a second at which everything is read
// in time, when what was not read for longest comes first. Objects of which
// nothing is known count from first.
func (p *pacer) need(now, first time.Time, each func(func(catalog.Holding) error) error) (n paceNeed, err error) {
	aim := p.every / aimDenominator * aimNumerator
	var due [paceParts]float64 // bytes whose time comes in each part
	err = each(func(h catalog.Holding) error {
		if h.Faulty {
			return nil
		}
		at := knownRight(h, now)
		if at.IsZero() {
			at = first
		}
		left := at.Add(aim).Sub(now)
		n.urgent = n.urgent || left <= p.step
		part := int(left.Seconds() / aim.Seconds() * paceParts)
		due[max(0, min(part, paceParts-1))] += float64(h.Size)
		return nil
	})
	bytes := 0.0
	for i, b := range due {
		bytes += b
		left := max(aim.Seconds()*float64(i)/paceParts, p.every.Seconds()/catchUpPart)
		n.rate = max(n.rate, bytes/left)
	}
	return n, err
}
