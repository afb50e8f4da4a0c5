package engine

import (
	"time"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/config"
)

// enoughCounted is the shortest time from which a month is estimated: less
// would make a month of copies of the first one.
const enoughCounted = time.Hour

// describeTraffic tells the traffic of this month with what it costs.
func describeTraffic(t catalog.Traffic, prices config.RequestPrices, now time.Time) *SiteTraffic {
	out := &SiteTraffic{
		Since: t.From.UTC(), Writes: t.Writes, Reads: t.Reads, Deletes: t.Deletes, SentBytes: t.Sent, ReceivedBytes: t.Received,
	}
	if prices == (config.RequestPrices{}) {
		return out
	}
	cost := (float64(t.Writes)*prices.Write + float64(t.Reads)*prices.Read) / 1000
	out.Cost = &cost
	if counted := now.Sub(t.From); counted >= enoughCounted {
		whole := cost * float64(monthLength(now)) / float64(counted)
		out.EstimatedMonthCost = &whole
	}
	return out
}

func monthLength(t time.Time) time.Duration {
	y, m, _ := t.UTC().Date()
	return time.Date(y, m+1, 1, 0, 0, 0, 0, time.UTC).Sub(time.Date(y, m, 1, 0, 0, 0, 0, time.UTC))
}
