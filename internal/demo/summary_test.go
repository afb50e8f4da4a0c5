package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

var zero = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func at(s float64) time.Time { return zero.Add(time.Duration(s * float64(time.Second))) }

// taken is a recovery point of payments with the moments at which the sites
// have acknowledged it; negative is never.
func taken(point, onsite, cloud float64) recoveryPoint {
	p := recoveryPoint{Function: "payments", Snapshot: at(point).String(), RecoveryPoint: at(point), Sites: map[string]pointAtSite{}}
	for site, s := range map[string]float64{"onsite": onsite, "cloud": cloud} {
		p.Sites[site] = pointAtSite{State: "spooled"}
		if s >= 0 {
			p.Sites[site] = pointAtSite{State: "durable", DurableAt: at(s)}
		}
	}
	return p
}

func TestExposure(t *testing.T) {
	points := []recoveryPoint{taken(30, 40, 33), taken(10, -1, 12), taken(0, 1, 2), {Function: "accounts", RecoveryPoint: at(1)}}
	for _, test := range []struct {
		name  string
		end   float64
		sites []string
		want  float64
	}{
		{"any site", 41, []string{"onsite", "cloud"}, 23},              // from 10 to 33
		{"a site that missed one", 41, []string{"onsite"}, 40},         // from 0 to 40
		{"the other site", 41, []string{"cloud"}, 23},                  // from 10 to 33
		{"nothing since", 100, []string{"onsite", "cloud"}, 70},        // from 30 to the end
		{"a site that never had any", 100, []string{"elsewhere"}, 0.0}, // nothing to count from
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := exposure(points, "payments", at(test.end), test.sites...); got != at(test.want).Sub(zero) {
				t.Errorf("%s, want %v s", got, test.want)
			}
		})
	}
}

// A late arrival of an old point must not make the exposure look younger.
func TestExposureOutOfOrder(t *testing.T) {
	points := []recoveryPoint{taken(0, 1, -1), taken(20, 21, -1), taken(10, 25, -1)}
	if got := exposure(points, "payments", at(50), "onsite"); got != 30*time.Second {
		t.Errorf("%s, want 30s", got)
	}
}

func TestTimeToDurable(t *testing.T) {
	median, longest := timeToDurable([]recoveryPoint{taken(0, 1, 2), taken(10, -1, 20), taken(20, 21, -1), taken(30, 31, 33)}, "cloud")
	if median != 3*time.Second || longest != 10*time.Second {
		t.Errorf("%s, %s", median, longest)
	}
}

func TestNewest(t *testing.T) {
	points := []recoveryPoint{taken(0, 1, 2), taken(10, -1, 12), taken(20, -1, -1)}
	for _, test := range []struct {
		sites []string
		want  time.Time
	}{
		{[]string{"cloud"}, at(10)}, {[]string{"onsite"}, at(0)}, {[]string{"onsite", "cloud"}, at(0)},
	} {
		if got, ok := newest(points, "payments", test.sites...); !ok || !got.RecoveryPoint.Equal(test.want) {
			t.Errorf("%v: %v, %v", test.sites, got.RecoveryPoint, ok)
		}
	}
	if _, ok := newest(points, "catalog", "cloud"); ok {
		t.Error("found a point of another function")
	}
}

func TestRefundsDigest(t *testing.T) {
	all := func(int64, refund) bool { return true }
	a := refunds{1: {digest: "x"}, 2: {digest: "y"}}
	rows, digest := a.digest(all)
	if rows != 2 {
		t.Errorf("%d rows", rows)
	}
	for name, other := range map[string]refunds{
		"changed": {1: {digest: "x"}, 2: {digest: "z"}},
		"swapped": {1: {digest: "y"}, 2: {digest: "x"}},
		"missing": {1: {digest: "x"}},
	} {
		if _, d := other.digest(all); d == digest {
			t.Errorf("%s: the same digest", name)
		}
	}
	if n, d := (refunds{1: {digest: "x"}, 2: {digest: "y"}, 3: {}}).digest(func(id int64, _ refund) bool { return id < 3 }); n != 2 || d != digest {
		t.Errorf("%d rows, %s", n, d)
	}
}

func TestPrinterKeepsOutputsShort(t *testing.T) {
	var out bytes.Buffer
	p := &printer{out: &out}
	p.title("first")
	p.output(strings.Repeat("line\n", maxLines))
	if got := strings.Count(out.String(), "line"); got != maxLines {
		t.Errorf("%d lines of %d", got, maxLines)
	}
	out.Reset()
	p.output(strings.Repeat("line\n", maxLines+1))
	if text := out.String(); strings.Count(text, "line\n") != maxLines-1 || !strings.Contains(text, "… and 2 lines more") {
		t.Errorf("%q", text)
	}
	out.Reset()
	p.waiting("something", "", time.Second)
	if out.Len() != 0 {
		t.Errorf("%q to what is not a terminal", out.String())
	}
}
