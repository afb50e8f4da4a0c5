package show

import (
	"testing"
	"time"
)

func TestSizes(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 B", 1023: "1023 B", 1024: "1.00 KiB", 10_230: "9.99 KiB", 10_239: "10.0 KiB",
		102_350: "100 KiB", 1_023_500: "1000 KiB", 1<<20 - 100: "1.00 MiB", 1 << 30: "1.00 GiB", 5_368_709_120: "5.00 GiB",
		1<<63 - 1: "8.00 EiB", -2048: "-2.00 KiB",
	} {
		if got := Bytes(n); got != want {
			t.Errorf("Bytes(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestCounts(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1 000", 12_345_678: "12 345 678", -1000: "-1 000"} {
		if got := Count(n); got != want {
			t.Errorf("Count(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestSpans(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0ms", 850 * time.Millisecond: "850ms", 1250 * time.Millisecond: "1.2s", 9990 * time.Millisecond: "9.9s",
		59999 * time.Millisecond: "59s", 3*time.Minute + 12*time.Second: "3m12s", time.Minute: "1m",
		2*time.Hour + 5*time.Minute + 59*time.Second: "2h05m", 99 * time.Hour: "4d03h", -time.Minute: "-1m",
	} {
		if got := Duration(d); got != want {
			t.Errorf("Duration(%d) = %q, want %q", d, got, want)
		}
	}
}

func TestSpansInTextsAreRoundedForPeople(t *testing.T) {
	for text, want := range map[string]string{
		"late by 1.669520583s of 5m0s":   "late by 1.6s of 5m",
		"took 1h2m3.5s, not 15s":         "took 1h02m, not 15s",
		"after 52.123456ms":              "after 52ms",
		"version 15.18 on tables2s_old":  "version 15.18 on tables2s_old",
		"1.5s":                           "1.5s",
		"snapshot 2036fa10s0 of 300 s":   "snapshot 2036fa10s0 of 300 s",
		"site onsite: 15 objects missed": "site onsite: 15 objects missed",
	} {
		if got := Text(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}

func TestMomentsAreShownInUTCAndByTheirAge(t *testing.T) {
	at := time.Date(2026, 11, 23, 12, 42, 0, 0, time.FixedZone("SAST", 2*3600))
	for name, c := range map[string]struct{ got, want string }{
		"past":   {TimeAgo(at, at.Add(192*time.Second)), "2026-11-23 10:42:00Z (3m12s ago)"},
		"future": {TimeAgo(at, at.Add(-30*time.Second)), "2026-11-23 10:42:00Z (in 30s)"},
		"never":  {TimeAgo(time.Time{}, at), "-"},
	} {
		if c.got != c.want {
			t.Errorf("%s: %q, want %q", name, c.got, c.want)
		}
	}
}

// What was measured is rounded up, as in reports.
func TestTakenRoundsUp(t *testing.T) {
	for seconds, want := range map[float64]string{
		0: "0ms", 0.0121: "13ms", 1.21: "1.3s", 5: "5.0s", 9.95: "10s", 58.2: "59s", 58: "58s", 59.5: "1m", 3599.1: "1h", 86400.5: "1d",
	} {
		if got := Taken(seconds); got != want {
			t.Errorf("%v: %s, want %s", seconds, got, want)
		}
	}
}
