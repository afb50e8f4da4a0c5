package repository

import (
	"cmp"
	"container/heap"
	"context"
	"slices"
	"time"

	"github.com/saypro/backupd/internal/catalog"
)

// Unread is how long a site holds bytes that nobody has read.
type Unread struct {
	// Objects and Bytes are what the site must hold.
	Objects int   `json:"objects"`
	Bytes   int64 `json:"bytes"`
	// Oldest is when the object that was not read for longest was last known to
	// be right: when it was written or read. Those that the catalog knows
	// nothing of count from when it first saw to the site. Zero when the site
	// holds nothing.
	Oldest time.Time `json:"oldest,omitzero"`
	// Never are the objects that were neither written nor read since the catalog
	// was made.
	Never int `json:"never,omitempty"`
}

// firstSeenKey names the value that says since when a site is known.
func firstSeenKey(site string) string { return "first seen:" + site }

// firstSeen returns since when this catalog knows the site, which is now when it
// did not say so before.
func (r *Repository) firstSeen(site string) (time.Time, error) {
	at, err := r.metaTime(firstSeenKey(site))
	if err != nil || !at.IsZero() {
		return at, err
	}
	now := r.clock.Now().UTC().Truncate(time.Second)
	return now, r.catalog.SetMeta(firstSeenKey(site), []byte(now.Format(time.RFC3339)))
}

// Unread goes through all that a site must hold. What is known to be wrong is
// left out: it is on record for itself.
func (r *Repository) Unread(site string) (u Unread, err error) {
	first, err := r.firstSeen(site)
	if err != nil {
		return u, err
	}
	now := r.clock.Now()
	err = r.catalog.EachHolding(site, func(h catalog.Holding) error {
		u.Objects++
		u.Bytes += h.Size
		if h.Faulty {
			return nil
		}
		at := knownRight(h, now)
		if at.IsZero() {
			at = first
			u.Never++
		}
		if u.Oldest.IsZero() || at.Before(u.Oldest) {
			u.Oldest = at
		}
		return nil
	})
	return u, err
}

// knownRight is when an object was last known to be right; zero when that is
// not known, also because the clock was wrong then.
func knownRight(h catalog.Holding, now time.Time) time.Time {
	if h.Read.After(now.Add(time.Minute)) {
		return time.Time{}
	}
	return h.Read
}

// chosen says which objects are read when they are read by age.
type chosen struct {
	until  time.Time // those last known to be right before
	budget int64     // bytes; 0: no bound
	faulty bool      // also those that are known to be wrong
}

// batchObjects is how many objects are chosen in one pass over the catalog.
const batchObjects = 4096

// readOldest reads what was not read for longest, batch after batch.
func (s *scrubber) readOldest(ctx context.Context, c chosen) error {
	for pass := 0; ; pass++ {
		batch, total, err := s.oldest(c)
		if err != nil || len(batch) == 0 {
			return err
		}
		if pass == 0 {
			s.progress.Total = total
		}
		for part := range slices.Chunk(batch, noteStep) {
			if err := s.readThese(ctx, part); err != nil {
				return err
			}
		}
		if c.budget > 0 && s.out.Bytes >= c.budget {
			return nil
		}
	}
}

// oldest chooses the objects to read next, within the rest of the budget, and
// says how many bytes there are to read in all.
func (s *scrubber) oldest(c chosen) (batch []catalog.Holding, total int64, err error) {
	until := c.until.Truncate(time.Second) // as coarse as what the catalog keeps
	now := s.clock.Now()
	var h ages
	err = s.catalog.EachHolding(s.site.Name, func(held catalog.Holding) error {
		if held.Read = knownRight(held, now); !held.Read.Before(until) || held.Faulty && !c.faulty {
			return nil
		}
		if _, done := s.suspects[held.Name]; done {
			return nil
		}
		total += held.Size
		heap.Push(&h, held)
		if len(h) > batchObjects {
			heap.Pop(&h)
		}
		return nil
	})
	slices.SortFunc(h, byAge)
	if c.budget == 0 {
		return h, total, err
	}
	left := c.budget - s.out.Bytes
	for i := range h {
		if left <= 0 {
			h = h[:i]
			break
		}
		left -= h[i].Size
	}
	return h, min(total, c.budget), err
}

func byAge(a, b catalog.Holding) int {
	return cmp.Or(a.Read.Compare(b.Read), cmp.Compare(a.Name, b.Name))
}

// ages is a heap with the object on top that was read last.
type ages []catalog.Holding

func (a ages) Len() int           { return len(a) }
func (a ages) Less(i, j int) bool { return byAge(a[i], a[j]) > 0 }
func (a ages) Swap(i, j int)      { a[i], a[j] = a[j], a[i] }
func (a *ages) Push(x any)        { *a = append(*a, x.(catalog.Holding)) }
func (a *ages) Pop() any {
	last := len(*a) - 1
	out := (*a)[last]
	*a = (*a)[:last]
	return out
}
