package catalog_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/storage"
)

func TestTrafficAddsUpByMonthAndOutlivesTheProgram(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalog.db")
	c, err := catalog.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	day := func(month time.Month, day int) time.Time { return time.Date(2026, month, day, 12, 0, 0, 0, time.UTC) }
	add := func(from, until time.Time, more map[string]storage.Requests) {
		t.Helper()
		if err := c.AddTraffic(more, from, until); err != nil {
			t.Fatal(err)
		}
	}
	one := storage.Requests{Writes: 1, Reads: 2, Deletes: 3, Sent: 4, Received: 5}
	add(day(10, 30), day(10, 31), map[string]storage.Requests{"cloud": one, "onsite": one})
	// Across the end of a month: of the new one only its own part is observed.
	add(day(10, 31), day(11, 1), map[string]storage.Requests{"cloud": one})
	add(day(11, 1), day(11, 2), map[string]storage.Requests{"cloud": one, "cloud2": {Reads: 7}})
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if c, err = catalog.Open(path); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, want := range []struct {
		at   time.Time
		want map[string]catalog.Traffic
	}{
		{day(9, 30), map[string]catalog.Traffic{}},
		{day(10, 1), map[string]catalog.Traffic{
			"cloud": {From: day(10, 30), Until: day(10, 31), Requests: one}, "onsite": {From: day(10, 30), Until: day(10, 31), Requests: one},
		}},
		{day(11, 30), map[string]catalog.Traffic{
			"cloud":  {From: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), Until: day(11, 2), Requests: one.Plus(one)},
			"cloud2": {From: day(11, 1), Until: day(11, 2), Requests: storage.Requests{Reads: 7}},
		}},
	} {
		got, err := c.Traffic(want.at)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want.want, got); diff != "" {
			t.Errorf("traffic of the month of %s (-want +got):\n%s", want.at, diff)
		}
	}
	if err := c.Verify(); err != nil {
		t.Error(err)
	}
}
