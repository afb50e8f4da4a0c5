package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

func filled(firstWall, unchangedWall, restoreWall float64, rss int64) *report {
	r := &report{Rounds: 3, DataBytes: 2 << 30, Rows: 12_000_000}
	for _, jitter := range []float64{5, 0, -1} { // the median is without
		r.add(dumpFast, cost{Wall: 16 + jitter}, 700<<20)
		r.add(first, cost{Wall: firstWall + jitter, PeakRSS: rss}, 600<<20)
		r.add(unchanged, cost{Wall: unchangedWall + jitter}, 1<<20)
		r.add(reload, cost{Wall: 30 + jitter}, 0)
		r.begin(restore)
		for range 3 {
			r.add(restore, cost{Wall: (restoreWall + jitter) / 3, PeakRSS: 10}, 0)
		}
	}
	r.judge()
	return r
}

func verdicts(r *report) string {
	s := ""
	for _, a := range r.Aims {
		s += map[bool]string{true: "+", false: "-"}[a.Met]
	}
	return s
}

func TestJudge(t *testing.T) {
	for _, test := range []struct {
		report *report
		want   string
	}{
		{filled(16, 8, 30, 256<<20), "++++"},
		{filled(16.1, 8, 30, 1), "-+++"},
		{filled(16, 8.1, 30, 1), "+-++"},
		{filled(16, 8, 30.1, 1), "++-+"},
		{filled(16, 8, 30, 256<<20+1), "+++-"},
	} {
		if got := verdicts(test.report); got != test.want {
			t.Errorf("%s, want %s: %+v", got, test.want, test.report.Aims)
		}
	}
}

func TestMedianAndSums(t *testing.T) {
	r := filled(16, 8, 30, 5)
	l := r.line(restore)
	if len(l.Each) != 3 || l.Median.Wall < 29.99 || l.Median.Wall > 30.01 || l.Median.PeakRSS != 10 {
		t.Errorf("%+v", l)
	}
	if m := r.line(dumpFast).Median.Wall; m != 16 {
		t.Errorf("median %v", m)
	}
}

func TestTableSaysWhereItFallsShort(t *testing.T) {
	var out bytes.Buffer
	if err := filled(20, 8, 30, 1).writeTable(&out); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	if !strings.Contains(text, "**falls short by 25 %**") || strings.Count(text, "| met |") != 3 || !strings.Contains(text, "600.0 MiB") {
		t.Error(text)
	}
}

func TestJSONRoundTrip(t *testing.T) {
	var out bytes.Buffer
	if err := filled(16, 8, 30, 1).writeJSON(&out); err != nil {
		t.Fatal(err)
	}
	var back report
	if err := json.Unmarshal(out.Bytes(), &back); err != nil {
		t.Fatal(err)
	}
	if len(back.Lines) != 5 || len(back.Aims) != 4 || back.Lines[0].Stored != 700<<20 {
		t.Errorf("%+v", back)
	}
}
