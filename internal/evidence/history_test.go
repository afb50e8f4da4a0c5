package evidence

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/saypro/backupd/internal/objective"
)

var start = time.Date(2026, 3, 1, 22, 0, 0, 0, time.UTC)

// writer writes the records of a made-up life, and keeps what really happened.
type writer struct {
	t       *rapid.T
	now     time.Time
	records Sheaf
	rollUp  bool // write Days; else something else in their place
	day     string
	first   uint64 // of that day
	open    []begun
	spooled []objective.Point
	truth   objective.History
}

type begun struct {
	intent uint64
	act    Act
	at     time.Time
	site   string
}

func (w *writer) write(r Record) uint64 {
	date := w.now.UTC().Format(time.DateOnly)
	if date != w.day {
		before := w.day
		first := w.first
		w.day, w.first = date, w.next()
		if before != "" && rapid.IntRange(0, 3).Draw(w.t, "day is told") > 0 {
			w.tellDay(before, first)
		}
	}
	r.Sequence, r.Time = w.next(), w.now
	w.records = append(w.records, r)
	return r.Sequence
}

func (w *writer) tellDay(date string, first uint64) {
	next := w.next()
	if !w.rollUp {
		w.write(Record{Act: ActAlive, Phase: Event, Alive: &Alive{}})
		return
	}
	d, err := DeriveDay("pay", date, first, next, w.records.Records(0, next))
	if err != nil {
		w.t.Fatal(err)
	}
	w.write(Record{Act: ActDay, Phase: Event, Function: "pay", Day: &d})
}

func (w *writer) next() uint64 { return uint64(len(w.records)) }

func (w *writer) draw(name string, n int) int { return rapid.IntRange(0, n-1).Draw(w.t, name) }

func (w *writer) step() {
	w.now = w.now.Add(time.Duration(rapid.IntRange(1, 6*3600*1000).Draw(w.t, "ms later")) * time.Millisecond)
	switch w.draw("event", 8) {
	case 0, 1:
		w.begin(ActSnapshot, "")
	case 2:
		w.begin(ActProof, []string{"onsite", "cloud"}[w.draw("site", 2)])
	case 3, 4:
		if len(w.open) > 0 {
			i := w.draw("which", len(w.open))
			o := w.open[i]
			w.open = slices.Delete(w.open, i, i+1)
			w.end(o)
		}
	case 5:
		w.deliver()
	case 6:
		w.policy()
	case 7:
		w.write(Record{Act: ActSnapshot, Phase: Intent, Function: "other"})
	}
}

func (w *writer) begin(act Act, site string) {
	r := Record{Act: act, Phase: Intent, Function: "pay"}
	if act == ActProof {
		r.Proof = &Proof{Site: site}
	}
	w.open = append(w.open, begun{w.write(r), act, w.now, site})
}

func (w *writer) end(o begun) {
	r := Record{Act: o.act, Phase: Result, Function: "pay", Intent: &o.intent, Outcome: Done}
	fails := w.draw("fails", 3) == 0
	if o.act == ActProof {
		w.endProof(o, r, fails)
		return
	}
	run := objective.Run{Started: o.at, Ended: w.now}
	if fails {
		r.Outcome, r.Error = Failed, "no luck\nat all"
		run.Failure = &objective.Failure{Outcome: "failed", Error: "no luck"}
		w.truth.Runs = append(w.truth.Runs, run)
		w.write(r)
		return
	}
	p := objective.Point{Consistent: o.at.Add(time.Duration(1+w.draw("consistent", 5000)) * time.Millisecond), Durable: map[string]time.Time{}}
	for _, site := range []string{"onsite", "cloud"} {
		if w.draw("durable", 3) > 0 {
			p.Durable[site] = w.now.Add(-time.Duration(w.draw("earlier", 100)) * time.Millisecond)
			if !p.Durable[site].After(p.Consistent) {
				p.Durable[site] = p.Consistent.Add(time.Millisecond)
			}
		}
	}
	if len(p.Durable) < 2 {
		r.Outcome, r.Error = Degraded, "a site is away"
	}
	r.Snapshot = &Snapshot{ID: "s", RecoveryPoint: p.Consistent, Started: o.at, Ended: w.now, Durable: maps.Clone(p.Durable), BytesRaw: 1000 + int64(o.intent)}
	w.spooled = append(w.spooled, p)
	w.write(r)
}

func (w *writer) endProof(o begun, r Record, fails bool) {
	r.Proof = &Proof{Site: o.site, Started: o.at, Ended: w.now}
	if fails || len(w.spooled) == 0 {
		r.Outcome, r.Error = Different, "table t differs"
		w.truth.Proofs = append(w.truth.Proofs, objective.Run{Started: o.at, Ended: w.now, Failure: &objective.Failure{Outcome: "different", Error: r.Error, Site: o.site}})
		w.write(r)
		return
	}
	p := w.spooled[w.draw("proven", len(w.spooled))]
	r.Proof.RecoveryPoint, r.Proof.Passed, r.Proof.Level = p.Consistent, true, []string{"L2", "L3", "L5"}[w.draw("level", 3)]
	if r.Proof.Level != "L2" {
		w.truth.Add(objective.Point{Consistent: p.Consistent, Proven: map[string]time.Time{o.site: w.now}})
	}
	w.write(r)
}

// deliver lets a site take what it lacks.
func (w *writer) deliver() {
	for _, p := range w.spooled {
		for _, site := range []string{"onsite", "cloud"} {
			if _, there := p.Durable[site]; !there && w.draw("delivered", 2) == 0 {
				p.Durable[site] = w.now
				w.write(Record{Act: ActDurable, Phase: Event, Function: "pay", Durable: &Durable{RecoveryPoint: p.Consistent, Site: site, At: w.now}})
			}
		}
	}
}

func (w *writer) policy() {
	p := objective.Policy{From: w.now, Sites: []string{"onsite", "cloud"}}
	body := &Policy{Sites: p.Sites, Functions: map[string]FunctionObjective{"other": {RPOSeconds: 1}}}
	if len(w.records) == 0 || w.draw("promised", 5) > 0 {
		p.RPO, p.ProveEvery = time.Duration(w.draw("rpo", 20)+1)*time.Hour, time.Duration(w.draw("prove", 3))*10*time.Hour
		body.Functions["pay"] = FunctionObjective{RPOSeconds: p.RPO.Seconds(), ProveEverySeconds: p.ProveEvery.Seconds(), ProveLevel: "L5"}
	} else {
		p.Sites = nil
	}
	w.write(Record{Act: ActPolicy, Phase: Event, Policy: body})
	if n := len(w.truth.Policies); n == 0 && p.RPO > 0 || n > 0 && !samePromise(w.truth.Policies[n-1], p) {
		w.truth.Policies = append(w.truth.Policies, p)
	}
}

// live makes a life, with Days or without.
func live(t *rapid.T, days bool) *writer {
	w := &writer{t: t, now: start, rollUp: days}
	w.policy()
	for range rapid.IntRange(1, 60).Draw(t, "steps") {
		w.step()
	}
	for _, p := range w.spooled {
		w.truth.Add(objective.Point{Consistent: p.Consistent, Durable: p.Durable})
	}
	return w
}

// TestHistoryIsWhatHappened holds what is read, with Days where they were
// written and from the records elsewhere, against the life that was recorded.
func TestHistoryIsWhatHappened(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := live(t, rapid.Bool().Draw(t, "days"))
		length := w.now.Sub(start)
		from := start.Add(time.Duration(rapid.Int64Range(-1000, int64(length)).Draw(t, "from")))
		to := from.Add(time.Duration(rapid.Int64Range(1, int64(length)+1).Draw(t, "for")))
		h, err := History(w.records, "pay", from, to)
		if err != nil {
			t.Fatal(err)
		}
		got, want := objective.Assess(h, from, to), objective.Assess(w.truth, from, to)
		if len(got.Views) != len(want.Views) || !got.Since.Equal(want.Since) {
			t.Fatalf("since %v, %d views, want %v, %d", got.Since, len(got.Views), want.Since, len(want.Views))
		}
		for i := range got.Views {
			forgetCauses(&got.Views[i])
			forgetCauses(&want.Views[i])
		}
		if diff := cmp.Diff(want.Views, got.Views); diff != "" {
			t.Fatalf("%v to %v (-want +got):\n%s", from, to, diff)
		}
	})
}

func forgetCauses(f *objective.Figures) {
	for i := range f.Violations {
		f.Violations[i].Causes = nil
	}
}

// TestDaysTellWhatTheRecordsDo reads one life twice: once the Days are there,
// once something else lies in their place.
func TestDaysTellWhatTheRecordsDo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := live(t, true)
		raw := slices.Clone(w.records)
		for i := range raw {
			if raw[i].Act == ActDay {
				raw[i] = Record{Sequence: raw[i].Sequence, Time: raw[i].Time, Act: ActAlive, Phase: Event, Alive: &Alive{}}
			}
		}
		to := w.now.Add(time.Duration(rapid.IntRange(1, 100).Draw(t, "hours")) * time.Hour)
		fromDays, err := History(w.records, "pay", start, to)
		if err != nil {
			t.Fatal(err)
		}
		fromRecords, err := History(raw, "pay", start, to)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(fromRecords, fromDays); diff != "" {
			t.Fatalf("(-records +days):\n%s", diff)
		}
		failed := 0
		for _, r := range fromDays.Runs {
			if r.Failure != nil && r.Failure.Outcome == "failed" {
				failed++
				if !slices.ContainsFunc(w.truth.Runs, func(o objective.Run) bool { return cmp.Equal(o, r) }) {
					t.Fatalf("%+v never failed: %+v", r, w.truth.Runs)
				}
			}
		}
		if failed != len(w.truth.Runs) {
			t.Fatalf("%d failed runs, want %d", failed, len(w.truth.Runs))
		}
		if diff := cmp.Diff(len(w.truth.Proofs), len(fromDays.Proofs)-w.openOf(ActProof)); diff != "" {
			t.Fatal("failed proofs", diff)
		}
		for _, s := range fromDays.Silent {
			for _, r := range w.records {
				if r.Time.After(s.From) && r.Time.Before(s.To) {
					t.Fatalf("silent from %v to %v, but record %d is of %v", s.From, s.To, r.Sequence, r.Time)
				}
			}
		}
	})
}

func (w *writer) openOf(act Act) (n int) {
	for _, o := range w.open {
		if o.act == act {
			n++
		}
	}
	return n
}

func TestDeriveDayRefusesWhatIsNotTheDay(t *testing.T) {
	noon := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	s := Sheaf{{Sequence: 0, Time: noon}, {Sequence: 1, Time: noon}, {Sequence: 2, Time: noon.AddDate(0, 0, 1)}}
	for _, c := range []struct {
		date        string
		first, next uint64
		ok          bool
	}{
		{"2026-03-02", 0, 2, true},
		{"2026-03-02", 1, 1, true},
		{"2026-03-02", 0, 3, false},
		{"2026-03-01", 0, 2, false},
		{"2026-03-03", 2, 4, false},
		{"March", 0, 2, false},
	} {
		if _, err := DeriveDay("pay", c.date, c.first, c.next, s.Records(0, 9)); (err == nil) != c.ok {
			t.Errorf("%+v: %v", c, err)
		}
	}
	gap := Sheaf{s[0], s[2]}
	if _, err := DeriveDay("pay", "2026-03-02", 0, 3, gap.Records(0, 9)); err == nil {
		t.Error("a record is not there, and nobody minds")
	}
}

func TestDayWithoutRecordsIsSilent(t *testing.T) {
	d, err := DeriveDay("pay", "2026-03-02", 7, 7, Sheaf{}.Records(7, 7))
	begin := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	want := Day{Date: "2026-03-02", First: 7, Next: 7, Silent: [][2]int64{{begin.UnixMilli(), begin.AddDate(0, 0, 1).UnixMilli()}}}
	if diff := cmp.Diff(want, d); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}
