package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"

	"github.com/saypro/backupd/internal/clock"
)

// report is the outcome of a run.
type report struct {
	Date       string `json:"date"`
	Processor  string `json:"processor"`
	CPUs       int    `json:"cpus"`
	PostgreSQL string `json:"postgresql"`
	Scale      int    `json:"scale"`
	Rounds     int    `json:"rounds"`
	DataBytes  int64  `json:"data_bytes"`
	Rows       int64  `json:"rows"`
	Lines      []line `json:"lines"`
	Aims       []aim  `json:"aims"`
}

// line is one thing measured: the median of its rounds by wall time.
type line struct {
	Name   string `json:"name"`
	Median cost   `json:"median"`
	// Stored is what it added to the folder, or to each site, in bytes.
	Stored int64  `json:"stored_bytes,omitempty"`
	Each   []cost `json:"rounds"`

	open bool // the next cost belongs to the last round
}

// aim is one promise of the project about its speed.
type aim struct {
	What string `json:"what"`
	// Ratio is what was measured divided by what was aimed for.
	Ratio float64 `json:"ratio"`
	Met   bool    `json:"met"`
}

func (r *report) describe(scale, rounds int) {
	r.Date = clock.System.Now().UTC().Format("2006-01-02")
	r.CPUs, r.Scale, r.Rounds = runtime.NumCPU(), scale, rounds
	r.Processor = runtime.GOARCH
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if _, rest, found := strings.Cut(string(text), "model name"); found {
			name, _, _ := strings.Cut(rest, "\n")
			r.Processor = strings.TrimLeft(name, "\t :")
		}
	}
}

func (r *report) line(name string) *line {
	for i := range r.Lines {
		if r.Lines[i].Name == name {
			return &r.Lines[i]
		}
	}
	r.Lines = append(r.Lines, line{Name: name})
	return &r.Lines[len(r.Lines)-1]
}

// begin says that what follows under this name are parts of one round, whose
// times add up.
func (r *report) begin(name string) {
	l := r.line(name)
	l.Each = append(l.Each, cost{})
	l.open = true
}

func (r *report) add(name string, c cost, stored int64) {
	l := r.line(name)
	l.Stored = stored
	if !l.open {
		l.Each = append(l.Each, c)
		return
	}
	sum := &l.Each[len(l.Each)-1]
	sum.Wall += c.Wall
	sum.CPU += c.CPU
	sum.ServerCPU += c.ServerCPU
	sum.SiteCPU += c.SiteCPU
	sum.PeakRSS = max(sum.PeakRSS, c.PeakRSS)
	sum.PeakTree = max(sum.PeakTree, c.PeakTree)
}

// phases adds what backupd said about the last command of that name.
func (r *report) phases(name string, phases map[string]float64) {
	l := r.line(name)
	last := &l.Each[len(l.Each)-1]
	if last.Phases == nil {
		last.Phases = map[string]float64{}
	}
	for phase, s := range phases {
		last.Phases[phase] += s
	}
}

// maxRSS is the most memory that backupd may take, in bytes.
const maxRSS = 256 << 20

// judge takes the medians and holds them against the aims.
func (r *report) judge() {
	for i := range r.Lines {
		each := slices.Clone(r.Lines[i].Each)
		slices.SortFunc(each, func(a, b cost) int {
			switch {
			case a.Wall < b.Wall:
				return -1
			case a.Wall > b.Wall:
				return 1
			}
			return 0
		})
		r.Lines[i].Median = each[(len(each)-1)/2]
	}
	wall := func(name string) float64 { return r.line(name).Median.Wall }
	peak := int64(0)
	for _, name := range []string{first, unchanged, restore} {
		for _, c := range r.line(name).Each {
			peak = max(peak, c.PeakRSS)
		}
	}
	r.Aims = nil
	for _, a := range []struct {
		what           string
		measured, goal float64
	}{
		{"first snapshot to both sites no slower than pg_dump -Fd -j2 -Z1", wall(first), wall(dumpFast)},
		{"unchanged snapshot at most half of that", wall(unchanged), wall(dumpFast) / 2},
		{"restore no slower than pg_restore -j2", wall(restore), wall(reload)},
		{"peak resident memory at most 256 MiB", float64(peak), maxRSS},
	} {
		r.Aims = append(r.Aims, aim{What: a.what, Ratio: a.measured / a.goal, Met: a.measured <= a.goal})
	}
}

func (r *report) writeJSON(out io.Writer) error {
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}

// writeTable writes the report as it stands in docs/benchmarks.md.
func (r *report) writeTable(out io.Writer) error {
	w := bufio.NewWriter(out)
	p := func(format string, args ...any) { _, _ = fmt.Fprintf(w, format+"\n", args...) } // Flush tells
	p("%s, %s with %d CPUs, PostgreSQL %s.", r.Date, r.Processor, r.CPUs, r.PostgreSQL)
	p("Data set: %s of tables without indexes, %.1f million rows; median of %d.", mib(r.DataBytes), float64(r.Rows)/1e6, r.Rounds)
	p("")
	p("| what | wall s | own CPU s | PostgreSQL CPU s | sites' CPU s | peak RSS | with children | stored |")
	p("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
	for _, l := range r.Lines {
		stored := ""
		if l.Stored > 0 {
			stored = mib(l.Stored)
		}
		m := l.Median
		p("| %s | %.1f | %.1f | %.1f | %.1f | %s | %s | %s |", l.Name, m.Wall, m.CPU, m.ServerCPU, m.SiteCPU, mib(m.PeakRSS), mib(m.PeakTree), stored)
	}
	p("")
	for _, l := range r.Lines {
		if phases := l.Median.Phases; len(phases) > 0 {
			var each []string
			for _, phase := range slices.Sorted(maps.Keys(phases)) {
				each = append(each, fmt.Sprintf("%s %.1f", phase, phases[phase]))
			}
			p("Phases of %s, in seconds, which overlap: %s.", l.Name, strings.Join(each, ", "))
		}
	}
	p("")
	p("| aim | measured / aim | |")
	p("| --- | ---: | --- |")
	for _, a := range r.Aims {
		verdict := "met"
		if !a.Met {
			verdict = fmt.Sprintf("**falls short by %.0f %%**", (a.Ratio-1)*100)
		}
		p("| %s | %.2f | %s |", a.What, a.Ratio, verdict)
	}
	return w.Flush()
}

func mib(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }
