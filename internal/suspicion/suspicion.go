// Package suspicion tells from what consecutive recovery points of a function
// say of their tables whether something has happened to the data that nobody
// may have wanted: rows that vanished, most rows changed at once, tables or
// columns gone, a canary altered. It is pure: no clock, no state.
//
// # How it decides
//
// Two measures are taken of each table against the recovery point before: the
// share of its rows by which it shrank, and the share of the rows of before that
// are not there any more as they were (changed or deleted). The second comes
// from a [Sample] of the rows' hashes, so it neither depends on where rows lie
// nor needs the data of before. A measure is suspect above a limit: the
// configured one or, when that is higher, what is ordinary for the table, which
// its own past tells ([ordinary]). So a table in which most rows change all the
// time raises no alarm by doing so, and no past makes a limit lower than
// configured.
//
// What raised an alarm never becomes ordinary, also when somebody judged it to
// be fine: the next one is told again.
//
// # What it cannot see
//
// What stays below the limits in every single step; a table that takes most of
// its rows' change as ordinary; the first points of a table, for changed rows;
// rows changed in the same step in which their table's columns did; and what
// becomes of a small table, for which there are canaries.
package suspicion

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// The kinds of signals.
const (
	RowsCollapsed = "rows collapsed"
	RowsChanged   = "rows changed"
	SchemaShrunk  = "schema shrunk"
	CanaryAltered = "canary"
)

// Signal is one thing that looks wrong.
type Signal struct {
	// Kind is one of the constants.
	Kind string `json:"kind"`
	// Table is what it was seen at, "payments.orders"; of a canary its name.
	Table string `json:"table,omitempty"`
	// Before, After and Limit are rows where rows collapsed, shares from 0 to 1
	// where rows changed, columns where the schema shrank, and 0 for a canary.
	Before float64 `json:"before"`
	After  float64 `json:"after"`
	Limit  float64 `json:"limit"`
	// Detail is a sentence for people, without a full stop.
	Detail string `json:"detail"`
}

// Limits are what is not suspect yet.
type Limits struct {
	// RowsDrop is the share of its rows by which a table may shrink, RowsChanged
	// the share of its rows that may change, from one recovery point to the
	// next; 1 and more: any.
	RowsDrop, RowsChanged float64
	// MinRows is how many rows a table must have for shares of them to tell
	// something: of those of a small one most may change any time.
	MinRows int64
	// Schema tells that tables and columns must not go.
	Schema bool
	// Ignored says of a table that nothing about it is suspect; may be nil.
	Ignored func(table string) bool
}

// Point is what a recovery point says of itself.
type Point struct {
	// Snapshot is its id, Time its consistency point.
	Snapshot string    `json:"snapshot"`
	Time     time.Time `json:"time"`
	// Scope stands for what of the source belongs to the function. Points of
	// different scopes say nothing about tables that went.
	Scope string `json:"scope"`
	// Tables are by name.
	Tables map[string]Table `json:"tables"`
	// Canaries are by name.
	Canaries map[string]Canary `json:"canaries,omitempty"`
	// Gaps are the times between the last recovery points, in seconds, oldest
	// first.
	Gaps []float64 `json:"gaps,omitempty"`
}

// Table is what a recovery point says of one table.
type Table struct {
	Rows    int64    `json:"rows"`
	Columns []string `json:"columns"`
	// Digest stands for all rows; equal ones mean equal rows.
	Digest string `json:"digest"`
	// Sample is nil when none was taken.
	Sample Sample `json:"sample,omitempty"`
	// Drops and Changes are the measures of the last recovery points, oldest
	// first, without those that were suspect.
	Drops   []float64 `json:"drops,omitempty"`
	Changes []float64 `json:"changes,omitempty"`
}

// Canary is what was found where nobody changes anything.
type Canary struct {
	// Definition stands for how it was read: others are not compared.
	Definition string `json:"definition"`
	// Table is where it lives, if it is known.
	Table string `json:"table,omitempty"`
	// Value stands for what was read.
	Value string `json:"value,omitempty"`
	// Error says why nothing was.
	Error string `json:"error,omitempty"`
}

// Judge says what looks wrong in a recovery point compared with the one before.
// Clean, which may be nil, is the last one that is not in doubt, when the one
// before is: what has gone back to how it was there is not wrong. Without a
// point before nothing is, but for canaries that cannot be read.
func Judge(before, clean *Point, now Point, l Limits) []Signal {
	if before == nil {
		before = &Point{Scope: now.Scope}
	}
	signals := compare(before, now, l)
	if clean == nil || len(signals) == 0 {
		return signals
	}
	still := compare(clean, now, l)
	return slices.DeleteFunc(signals, func(s Signal) bool {
		return !slices.ContainsFunc(still, func(o Signal) bool { return o.Kind == s.Kind && o.Table == s.Table })
	})
}

// Learn returns now with its past: that of the point before and what came since,
// but for what is suspect.
func Learn(before *Point, now Point, signals []Signal) Point {
	if before == nil {
		return now
	}
	now.Gaps = remember(before.Gaps, max(now.Time.Sub(before.Time).Seconds(), 0))
	tables := make(map[string]Table, len(now.Tables))
	for name, t := range now.Tables {
		was, known := before.Tables[name]
		if known {
			t.Drops, t.Changes = was.Drops, was.Changes
			if !raised(signals, name) {
				t = learn(was, t)
			}
		}
		tables[name] = t
	}
	now.Tables = tables
	return now
}

// Unwatched returns the tables, sorted, whose changed rows would raise no alarm in
// the next recovery point, whatever happened to them, because too few measures show
// what is ordinary there; and how many more points it takes at least.
func Unwatched(last Point, l Limits) (tables []string, more int) {
	for name, t := range last.Tables {
		left := enough - len(t.Changes)
		if left <= 0 || t.Rows < l.MinRows || l.RowsChanged >= 1 || l.Ignored != nil && l.Ignored(name) {
			continue
		}
		tables, more = append(tables, name), max(more, left)
	}
	slices.Sort(tables)
	return tables, more
}

func raised(signals []Signal, table string) bool {
	return slices.ContainsFunc(signals, func(s Signal) bool { return s.Table == table && s.Kind != CanaryAltered })
}

func learn(was, t Table) Table {
	if was.Rows > 0 {
		t.Drops = remember(t.Drops, drop(was, t))
	}
	if m, ok := changed(was, t); ok {
		t.Changes = remember(t.Changes, m.share)
	}
	return t
}

func compare(before *Point, now Point, l Limits) (out []Signal) {
	names := make([]string, 0, len(before.Tables))
	for name := range before.Tables {
		if l.Ignored == nil || !l.Ignored(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	lapse := lapse(before, now)
	for _, name := range names {
		was := before.Tables[name]
		t, there := now.Tables[name]
		if l.Schema && before.Scope == now.Scope {
			out = append(out, shrunk(name, was, t, there)...)
		}
		if there {
			out = append(out, ofRows(name, was, t, l, lapse)...)
		}
	}
	return append(out, canaries(before.Canaries, now.Canaries)...)
}

// shrunk says what of a table's structure is gone.
func shrunk(name string, was, t Table, there bool) []Signal {
	columns := float64(len(was.Columns))
	s := Signal{Kind: SchemaShrunk, Table: name, Before: columns, After: float64(len(t.Columns)), Limit: columns}
	if !there {
		s.Detail = fmt.Sprintf("table %s, which had %d rows, is gone", name, was.Rows)
		return []Signal{s}
	}
	var gone []string
	for _, c := range was.Columns {
		if !slices.Contains(t.Columns, c) {
			gone = append(gone, c)
		}
	}
	if len(gone) == 0 {
		return nil
	}
	what := "column"
	if len(gone) > 1 {
		what = "columns"
	}
	s.Detail = fmt.Sprintf("table %s has lost its %s %s", name, what, strings.Join(gone, ", "))
	return []Signal{s}
}

// ofRows says whether too many of a table's rows are gone or changed. What was
// deleted is told once.
func ofRows(name string, was, t Table, l Limits, lapse float64) []Signal {
	if was.Digest == t.Digest && was.Rows == t.Rows {
		return nil
	}
	share, limit := drop(was, t), limitFrom(l.RowsDrop, was.Drops, lapse)
	if was.Rows >= l.MinRows && share > limit {
		least := float64(was.Rows) * (1 - limit)
		return []Signal{{
			Kind: RowsCollapsed, Table: name, Before: float64(was.Rows), After: float64(t.Rows), Limit: least,
			Detail: fmt.Sprintf("table %s fell from %d rows to %d, which is %s fewer; %s is the limit",
				name, was.Rows, t.Rows, percent(share), percent(limit)),
		}}
	}
	m, ok := changed(was, t)
	limit = limitFrom(l.RowsChanged, was.Changes, lapse)
	if !ok || len(was.Changes) < enough || was.Rows < l.MinRows || m.least <= limit {
		return nil
	}
	usual := median(was.Changes)
	return []Signal{{
		Kind: RowsChanged, Table: name, Before: usual, After: m.share, Limit: limit,
		Detail: fmt.Sprintf("in table %s, of %d rows, %s changed or went at once; %s is usual, %s is the limit",
			name, was.Rows, percent(m.share), percent(usual), percent(limit)),
	}}
}

func canaries(before, now map[string]Canary) (out []Signal) {
	names := make([]string, 0, len(now))
	for name := range now {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		c, was := now[name], before[name]
		known := was.Definition == c.Definition
		where := "canary " + name
		if c.Table != "" {
			where += " in table " + c.Table
		}
		s := Signal{Kind: CanaryAltered, Table: name}
		switch {
		case c.Error != "" && (!known || was.Error == ""):
			s.Detail = where + " could not be read: " + c.Error
		case c.Error == "" && known && was.Error == "" && was.Value != c.Value:
			s.Detail = where + " is not as it was: nobody should have changed it"
		default:
			continue
		}
		out = append(out, s)
	}
	return out
}

func percent(share float64) string {
	if share > 0 && share < 0.01 || share > 0.99 && share < 1 {
		return fmt.Sprintf("%.1f %%", share*100)
	}
	return fmt.Sprintf("%.0f %%", share*100)
}
