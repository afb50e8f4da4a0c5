package evidence

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"
)

// settled is how long after others were written a summary of a day may still be
// on its way.
const settled = time.Hour

// dayBook sums up every day of a bundle while its records go by, so that none
// has to be kept for the summaries that come after.
type dayBook struct {
	runs  []dayRun
	first map[uint64]int // index of a run by its first record

	// The run of records that is under way.
	begun   bool
	run     dayRun
	begin   time.Time
	quiet   *quiet
	derived map[string]*deriver

	// since is the run from which on days are to have summaries: what was
	// written before the clock was set back has none.
	since int
	// summed is, by function, the run behind the last that was summed up, and
	// newest when the newest summary of each was written.
	summed map[string]int
	newest map[string]time.Time
}

// dayRun are the records of one day, in one row.
type dayRun struct {
	date        string
	first, next uint64
	partial     bool // the bundle begins within it
	// sums are the digests of what a summary must say, by function; none is that
	// of a function without a record.
	sums map[string][sha256.Size]byte
	none [sha256.Size]byte
}

func newDayBook(from uint64) *dayBook {
	b := &dayBook{first: map[uint64]int{}, summed: map[string]int{}, newest: map[string]time.Time{}}
	b.run.partial = from > 0
	return b
}

// take takes the next record. Days end with the first record of another, and
// where the clock was set back.
func (b *dayBook) take(seq uint64, r *Record) {
	if b.begun && (r.Time.Before(b.begin) || !r.Time.Before(b.begin.AddDate(0, 0, 1)) || r.Act == ActClock) {
		b.close(seq)
		if r.Act == ActClock {
			b.since = len(b.runs)
		}
	}
	if !b.begun {
		b.begun, b.begin = true, r.Time.UTC().Truncate(24*time.Hour)
		b.run.date, b.run.first = b.begin.Format(time.DateOnly), seq
		b.quiet, b.derived = newQuiet(b.begin), map[string]*deriver{}
	}
	_ = b.quiet.take(r) // it is of the day
	if r.Function == "" {
		return
	}
	d := b.derived[r.Function]
	if d == nil {
		d = newDeriver(r.Function)
		b.derived[r.Function] = d
	}
	d.take(r)
}

func (b *dayBook) close(next uint64) {
	run, silent := b.run, b.quiet.finish()
	run.next, run.sums = next, map[string][sha256.Size]byte{}
	for function, d := range b.derived {
		run.sums[function] = daySum(d.finish(run.date, run.first, next, silent))
	}
	run.none = daySum(newDeriver("").finish(run.date, run.first, next, silent))
	b.first[run.first] = len(b.runs)
	b.runs = append(b.runs, run)
	b.begun, b.run, b.derived = false, dayRun{}, nil
}

// daySum is the digest of a summary.
func daySum(d Day) (sum [sha256.Size]byte) {
	text, err := json.Marshal(d)
	if err != nil {
		return sum // of nothing that is in order
	}
	return sha256.Sum256(text)
}

// day compares a summary with what the records of its day say.
func (v *verifier) day(seq uint64, r *Record) {
	d, b := r.Day, v.days
	if d.First > d.Next || d.Next > seq {
		v.found(&seq, FoundDay, "it sums up records %d to %d, which cannot be", d.First, d.Next)
		return
	}
	if d.First < v.out.From {
		v.out.Skipped++
		return
	}
	v.out.Days++
	b.newest[r.Function] = r.Time
	if d.First == d.Next {
		v.dayWithout(seq, d)
		return
	}
	at, known := b.first[d.First]
	if !known || b.runs[at].next != d.Next || b.runs[at].date != d.Date {
		v.found(&seq, FoundDay, "it sums up records %d to %d as those of %s, and they are not all of a day that is over", d.First, d.Next-1, d.Date)
		return
	}
	want, any := b.runs[at].sums[r.Function]
	if !any {
		want = b.runs[at].none
	}
	if daySum(*d) != want {
		v.found(&seq, FoundDay, "it says of %s on %s what its records %d to %d do not", r.Function, d.Date, d.First, d.Next-1)
	}
	for i := max(b.summed[r.Function], b.since); i < at; i++ {
		v.unsummed(&seq, r.Function, b.runs[i], "and this later one has")
	}
	b.summed[r.Function] = max(b.summed[r.Function], at+1)
}

// dayWithout checks the summary of a day without a record.
func (v *verifier) dayWithout(seq uint64, d *Day) {
	derived, err := DeriveDay("", d.Date, d.First, d.Next, func(func(Record, error) bool) {})
	if err != nil || daySum(derived) != daySum(*d) {
		v.found(&seq, FoundDay, "it says something of %s, of which there is no record", d.Date)
	}
}

func (v *verifier) unsummed(seq *uint64, function string, run dayRun, why string) {
	if _, any := run.sums[function]; any && !run.partial {
		v.found(seq, FoundDay, "there is no summary of %s on %s, of which records %d to %d tell, %s", function, run.date, run.first, run.next-1, why)
	}
}

// unsummedAtEnd tells days of functions that nobody summed up though others were
// summed up for later ones long ago. Functions that are no longer promised, or
// not since before that day, are left out: nobody sums those up.
func (v *verifier) unsummedAtEnd() {
	b := v.days
	if v.promise == nil {
		return
	}
	for _, function := range slices.Sorted(maps.Keys(v.promise.Functions)) {
		until := 0 // the run up to which others have been summed up
		for other, behind := range b.summed {
			if other != function && v.last.Sub(b.newest[other]) > settled {
				until = max(until, behind)
			}
		}
		for i := max(b.summed[function], b.since); i < until; i++ {
			if run := b.runs[i]; v.promisedAt < run.first {
				v.unsummed(nil, function, run, fmt.Sprintf("and others were summed up more than %s before the end", settled))
			}
		}
	}
}
