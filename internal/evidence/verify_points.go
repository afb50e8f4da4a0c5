package evidence

import (
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"time"
)

// pointSlack is how far the clock of the host may be set back while a run goes on
// without its times looking as if they were made up.
const pointSlack = 5 * time.Minute

// pointBook remembers which recovery points were made, and which were proven. Of
// each it keeps a hash: there may be millions.
type pointBook struct {
	seed   maphash.Seed
	made   []uint64
	proofs []provenPoint
	// gaps are the times in which one may have been made that no record names.
	gaps []pointGap
}

type provenPoint struct {
	record   uint64
	hash     uint64
	id       string
	function string
	at       time.Time
}

// pointGap is of all functions when function is empty; a zero from or to is open.
type pointGap struct {
	function string
	from, to time.Time
}

func newPointBook() *pointBook { return &pointBook{seed: maphash.MakeSeed()} }

func (b *pointBook) proven(seq uint64, r *Record) {
	if p := r.Proof; p.Snapshot != "" && !p.RecoveryPoint.IsZero() {
		b.proofs = append(b.proofs, provenPoint{seq, maphash.String(b.seed, p.Snapshot), p.Snapshot, r.Function, p.RecoveryPoint})
	}
}

// point checks when the data of a snapshot is from: after the run was begun, and
// before its end was told. begun is zero when that was before the period. Where a
// record bears the time of the one before it, the clock had been set back: then
// the times of the records say no more than that; nor do they when the intent is
// late.
func (v *verifier) point(seq uint64, r *Record, begun intended) {
	s := r.Snapshot
	if s == nil {
		// It may have been made nevertheless: the program ended before it was told.
		gap := pointGap{function: r.Function, to: r.Time.Add(pointSlack)}
		if !begun.at.IsZero() {
			gap.from = begun.at.Add(-pointSlack)
		}
		v.points.gaps = append(v.points.gaps, gap)
		return
	}
	v.points.made = append(v.points.made, maphash.String(v.points.seed, s.ID))
	if s.RecoveryPoint.After(r.Time.Add(pointSlack)) {
		v.found(&seq, FoundPoint, "it says that its data is of %s, later than the record itself, %s", stamp(s.RecoveryPoint), stamp(r.Time))
	}
	if begun.at.IsZero() || begun.late || v.clamped > 0 && v.clamped >= *r.Intent {
		return
	}
	if s.RecoveryPoint.Before(begun.at.Add(-pointSlack)) {
		v.found(&seq, FoundPoint, "it says that its data is of %s, before it was begun at %s", stamp(s.RecoveryPoint), stamp(begun.at))
	}
	for site, at := range s.Durable {
		if at.Before(s.RecoveryPoint.Add(-pointSlack)) {
			v.found(&seq, FoundPoint, "it says that site %s held it at %s, and that its data is of %s, later than that", site, stamp(at), stamp(s.RecoveryPoint))
		}
	}
}

// durable checks that no site took a recovery point before there was one.
func (v *verifier) durable(seq uint64, d *Durable) {
	if d.At.Before(d.RecoveryPoint.Add(-pointSlack)) {
		v.found(&seq, FoundPoint, "it says that site %s held snapshot %s at %s, and that its data is of %s, later than that", d.Site, d.Snapshot, stamp(d.At), stamp(d.RecoveryPoint))
	}
}

// takenOver notes that what was written last before a record may be missing.
func (v *verifier) takenOver(seq uint64, r *Record) {
	from := v.out.First
	if before, ok := v.timeOf(seq); ok {
		from = before
	}
	v.points.gaps = append(v.points.gaps, pointGap{from: from.Add(-pointSlack), to: r.Time.Add(pointSlack)})
	text := fmt.Sprintf("the host that wrote the log was lost after %s; it was taken over at %s as sites had it, site %s before others", stamp(from), stamp(r.Time), r.Alive.TakenFrom)
	if len(r.Alive.NotTaken) > 0 {
		text += "; beside it lay what is not of it, so somebody else wrote there, or it went on in two ways: " + strings.Join(r.Alive.NotTaken, "; ")
	}
	v.warn(Warning{Record: &seq, Kind: WarnTaken, From: from, To: r.Time, Text: text})
}

// unmade warns of proofs of recovery points that no record made. It is no finding:
// data is saved even when nothing can be put on record. Nothing need be on record
// of those that are older than the log, or that were made where it tells no end of
// a run, or where it was taken over.
func (v *verifier) unmade() {
	if v.out.From > 0 {
		return
	}
	b := v.points
	slices.Sort(b.made)
	b.gaps = append(b.gaps, pointGap{to: v.out.First.Add(pointSlack)})
	for _, o := range v.open {
		if o.act == ActSnapshot {
			b.gaps = append(b.gaps, pointGap{function: o.function, from: o.at.Add(-pointSlack)})
		}
	}
	for _, p := range b.proofs {
		if _, made := slices.BinarySearch(b.made, p.hash); made || b.inGap(p) {
			continue
		}
		v.warn(Warning{Record: &p.record, Kind: WarnUnmade, From: p.at, Text: fmt.Sprintf("%q: snapshot %s of %s was proven, and no record says that it was ever made", p.function, p.id, stamp(p.at))})
	}
}

func (b *pointBook) inGap(p provenPoint) bool {
	return slices.ContainsFunc(b.gaps, func(g pointGap) bool {
		return (g.function == "" || g.function == p.function) && !p.at.Before(g.from) && (g.to.IsZero() || !p.at.After(g.to))
	})
}
