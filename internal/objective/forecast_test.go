package objective

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func restored(at time.Time, site, level string, bytes int64, each float64) Restored {
	return Restored{At: at, Site: site, Level: level, Bytes: bytes, Seconds: map[string]float64{"provision": 2, "fetch": each, "load": 2 * each, "index": 3 * each, "validate": 99}}
}

func TestForecastSaysWhatItIsMadeOf(t *testing.T) {
	proof := restored(at(10), "onsite", "L5", 1000, 1)
	younger := restored(at(20), "onsite", "L4", 1000, 2)
	restore := restored(at(30), "", "", 1000, 3)
	for _, c := range []struct {
		name     string
		measured []Restored
		want     RTOForecast
	}{
		{"nothing", nil, RTOForecast{Took: time.Hour, Basis: "estimate: nothing has been measured yet"}},
		{"empty proof", []Restored{{At: at(50), Site: "onsite", Level: "L5"}}, RTOForecast{Took: time.Hour, Basis: "estimate: nothing has been measured yet"}},
		{"a proof from there", []Restored{younger, proof}, RTOForecast{Took: 26 * time.Second, Measured: true, At: at(20), Level: "L4", Basis: "rates measured by the proof to L4 from site onsite of 2026-03-01 00:00:20"}},
		{"a restore", []Restored{restore}, RTOForecast{Took: 38 * time.Second, At: at(30), Basis: "estimate: no proof from this site has measured it; rates of the restore of 2026-03-01 00:00:30"}},
		{"a proof from there and a younger restore", []Restored{restore, proof}, RTOForecast{Took: 14 * time.Second, Measured: true, At: at(10), Level: "L5", Basis: "rates measured by the proof to L5 from site onsite of 2026-03-01 00:00:10"}},
	} {
		c.want.Site = "onsite"
		if got := Forecast("onsite", 2000, c.measured, time.Hour); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
	got := Forecast("cloud", 2000, []Restored{proof}, time.Hour)
	if got.Measured || !strings.HasPrefix(got.Basis, "estimate: ") || got.Took != 14*time.Second {
		t.Errorf("from another site: %+v", got)
	}
}

// TestForecastOfTheSameSizeIsWhatWasMeasured, and of twice the size it is twice
// as long but for the provision.
func TestForecastOfTheSameSizeIsWhatWasMeasured(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := restored(at(0), "cloud", "L3", rapid.Int64Range(1, 1<<40).Draw(t, "bytes"), rapid.Float64Range(0.1, 1000).Draw(t, "seconds"))
		one, two := Forecast("cloud", r.Bytes, []Restored{r}, 0), Forecast("cloud", 2*r.Bytes, []Restored{r}, 0)
		if one.Took != r.Took() || (two.Took-2*one.Took+2*time.Second).Abs() > time.Microsecond {
			t.Fatalf("%+v, %+v of %+v", one, two, r)
		}
	})
}

func TestTrendsOfRunsAndRestores(t *testing.T) {
	var runs []Run
	var proofs []Restored
	for d := range 40 {
		for i := range 10 {
			start := t0.AddDate(0, 0, d).Add(time.Duration(i) * time.Hour)
			took := time.Duration(60+2*d) * time.Second
			runs = append(runs, Run{Started: start, Ended: start.Add(took), Consistent: start, Bytes: int64(1000 + d)},
				Run{Started: start.Add(time.Minute), Ended: start.Add(time.Hour), Failure: &Failure{Outcome: "failed"}},
				Run{Started: start.Add(2 * time.Minute), Consistent: start, Bytes: 0})
		}
		proofs = append(proofs, restored(t0.AddDate(0, 0, d), []string{"onsite", "cloud"}[d%2], "L5", 1000, float64(100+d)))
	}
	now := t0.AddDate(0, 0, 40)
	c, ok := DurableTrend(runs).Crosses(160, now)
	if want := t0.AddDate(0, 0, 50).Add(12 * time.Hour); !ok || c.At.Sub(want).Abs() > time.Minute {
		t.Errorf("durable: %+v, %v", c, ok)
	}
	if Size(runs) != 1039 || Size(nil) != 0 {
		t.Errorf("size %d", Size(runs))
	}
	trend := RestoreTrend("cloud", proofs)
	if c, ok := trend.Crosses(2+6*200, now); trend.Days != 20 || !ok || c.At.Sub(t0.AddDate(0, 0, 100).Add(12*time.Hour)).Abs() > time.Minute {
		t.Errorf("restore: %+v, %v of %+v", c, ok, trend)
	}
}
