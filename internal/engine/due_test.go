package engine

import (
	"testing"
	"time"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/config"
)

func TestWhenARunOfUpkeepIsDueAgain(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	const every = 24 * time.Hour
	for name, c := range map[string]struct {
		run   *catalog.Run
		every time.Duration
		want  time.Time
	}{
		"never":                    {nil, every, now},
		"an hour ago":              {&catalog.Run{Started: ago(time.Hour), Ended: ago(time.Minute)}, every, now.Add(23 * time.Hour)},
		"overdue":                  {&catalog.Run{Started: ago(30 * time.Hour), Ended: ago(29 * time.Hour)}, every, ago(6 * time.Hour)},
		"failed":                   {&catalog.Run{Started: ago(time.Hour), Ended: ago(time.Minute), Error: "x"}, every, now.Add(59 * time.Minute)},
		"failed, more often":       {&catalog.Run{Started: ago(time.Hour), Ended: ago(time.Minute), Error: "x"}, 10 * time.Minute, now.Add(9 * time.Minute)},
		"by a clock that was wild": {&catalog.Run{Started: now.Add(900 * time.Hour), Ended: now.Add(901 * time.Hour)}, every, now},
	} {
		if got := nextAfter(c.run, c.every, now); !got.Equal(c.want) {
			t.Errorf("%s: due at %s, want %s", name, got, c.want)
		}
	}
}

func TestTheMonthIsEstimatedFromWhatWasCounted(t *testing.T) {
	now := time.Date(2026, 11, 11, 0, 0, 0, 0, time.UTC) // a third of a month of 30 days
	traffic := catalog.Traffic{From: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)}
	traffic.Writes, traffic.Reads = 1000, 10_000
	prices := config.RequestPrices{Write: 0.005, Read: 0.0004}
	got := describeTraffic(traffic, prices, now)
	if got.Cost == nil || *got.Cost < 0.00899 || *got.Cost > 0.00901 {
		t.Errorf("so far %v", got.Cost)
	}
	if got.EstimatedMonthCost == nil || *got.EstimatedMonthCost < 0.02699 || *got.EstimatedMonthCost > 0.02701 {
		t.Errorf("the month %v", got.EstimatedMonthCost)
	}
	traffic.From = now.Add(-time.Minute)
	if got := describeTraffic(traffic, prices, now); got.EstimatedMonthCost != nil {
		t.Errorf("estimated from a minute: %v", *got.EstimatedMonthCost)
	}
	if got := describeTraffic(traffic, config.RequestPrices{}, now); got.Cost != nil || got.EstimatedMonthCost != nil {
		t.Errorf("without prices: %+v", got)
	}
	if length := monthLength(time.Date(2028, 2, 29, 23, 0, 0, 0, time.UTC)); length != 29*24*time.Hour {
		t.Errorf("February 2028 has %s", length)
	}
}

func TestASpoolThatIsNearlyFullIsToldOf(t *testing.T) {
	for _, c := range []struct {
		s    Spool
		told bool
	}{
		{Spool{UsedBytes: 79, MaxBytes: 100}, false},
		{Spool{UsedBytes: 81, MaxBytes: 100}, true},
		{Spool{UsedBytes: 1 << 50}, false},
	} {
		if got := spoolReason(c.s); (got != "") != c.told {
			t.Errorf("%+v: %q", c.s, got)
		}
	}
}
