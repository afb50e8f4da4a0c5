package evidence

import (
	"cmp"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"time"
)

// pointSlack is how far the clock of the host may be set back while a run goes on
// without its times looking as if they were made up.
const pointSlack = 5 * time.Minute

// samePoint is how far two records may be apart on when the data of one recovery
// point is from: no more than what rounding does.
const samePoint = time.Second

// pointBook remembers which recovery points were made, and what other records say
// of them. Of each that was made it keeps hashes: there may be millions.
type pointBook struct {
	seed  maphash.Seed
	made  []madePoint
	named []namedPoint
	// gaps are the times in which one may have been made that no record names.
	gaps []pointGap
}

// madePoint is a recovery point as the result of its snapshot tells of it.
type madePoint struct {
	hash, function uint64 // of its ID and of the name of its function
	record         uint64
	at             time.Time
}

// namedPoint is one that a record of another act names.
type namedPoint struct {
	record   uint64
	hash     uint64
	id       string
	function string // empty where that need not be the one that it was made of
	act      Act
	at       time.Time
}

// pointGap is of all functions when function is empty; a zero from or to is open.
type pointGap struct {
	function string
	from, to time.Time
}

func newPointBook() *pointBook { return &pointBook{seed: maphash.MakeSeed()} }

// take takes in what a record says of a recovery point, whichever it is.
func (b *pointBook) take(seq uint64, r *Record) {
	switch {
	case r.Snapshot != nil && r.Phase == Result:
		b.made = append(b.made, madePoint{maphash.String(b.seed, r.Snapshot.ID), maphash.String(b.seed, r.Function), seq, r.Snapshot.RecoveryPoint})
	case r.Proof != nil && r.Phase == Result:
		b.name(namedPoint{record: seq, id: r.Proof.Snapshot, function: r.Function, act: r.Act, at: r.Proof.RecoveryPoint})
	case r.Durable != nil:
		b.name(namedPoint{record: seq, id: r.Durable.Snapshot, function: r.Function, act: r.Act, at: r.Durable.RecoveryPoint})
	case r.Restore != nil && r.Restore.RecoveryPoint != nil && len(r.Restore.Snapshot) <= maxName:
		b.name(namedPoint{record: seq, id: r.Restore.Snapshot, act: r.Act, at: *r.Restore.RecoveryPoint})
	}
}

func (b *pointBook) name(p namedPoint) {
	if p.id != "" && !p.at.IsZero() {
		p.hash = maphash.String(b.seed, p.id)
		b.named = append(b.named, p)
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
	v.notAhead(seq, r, s.RecoveryPoint)
	if !v.timesOf(r, begun) {
		v.excused(seq, r, begun)
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

// timesOf reports whether the times of an intent and of its result bound what
// happened between them.
func (v *verifier) timesOf(r *Record, begun intended) bool {
	return !begun.at.IsZero() && !begun.late && (v.clamped == 0 || v.clamped < *r.Intent)
}

// notAhead checks that no data is of later than the record that tells of it.
func (v *verifier) notAhead(seq uint64, r *Record, of time.Time) {
	if of.After(r.Time.Add(pointSlack)) {
		v.found(&seq, FoundPoint, "it says that its data is of %s, later than the record itself, %s", stamp(of), stamp(r.Time))
	}
}

// proven checks the times of a proof: exposure of what is proven counts from its
// end, which cannot be sooner than it was begun.
func (v *verifier) proven(seq uint64, r *Record, begun intended) {
	p := r.Proof
	v.notAhead(seq, r, p.RecoveryPoint)
	if p.Ended.IsZero() || !v.timesOf(r, begun) {
		return
	}
	for _, of := range []struct {
		does string
		at   time.Time
	}{{"began", p.Started}, {"ended", p.Ended}} {
		if !of.at.IsZero() && (of.at.Before(begun.at.Add(-pointSlack)) || of.at.After(r.Time.Add(pointSlack))) {
			v.found(&seq, FoundPoint, "it says that it %s at %s, and it is on record from %s to %s", of.does, stamp(of.at), stamp(begun.at), stamp(r.Time))
		}
	}
}

// durable checks that no site took a recovery point before there was one.
func (v *verifier) durable(seq uint64, r *Record) {
	d := r.Durable
	v.notAhead(seq, r, d.RecoveryPoint)
	v.toldLate(seq, r)
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

// pointsAgree checks that all records say the same of a recovery point: exposure
// is counted from when its data is from, whichever of them tells that. The commits
// of one may differ: a sweep that moves its data writes another.
func (v *verifier) pointsAgree() {
	b := v.points
	slices.SortFunc(b.made, func(a, c madePoint) int { return cmp.Or(cmp.Compare(a.hash, c.hash), cmp.Compare(a.record, c.record)) })
	for i := 1; i < len(b.made); i++ {
		first, again := &b.made[i-1], &b.made[i]
		if first.hash == again.hash && (first.function != again.function || apart(first.at, again.at)) {
			v.found(&again.record, FoundPoint, "it made another recovery point under the name of the one that record %d made", first.record)
		}
	}
	for i := range b.named {
		p := &b.named[i]
		m, made := b.find(p.hash)
		switch {
		case !made:
		case apart(m.at, p.at):
			v.found(&p.record, FoundPoint, "it says that the data of snapshot %s is of %s, and record %d, which made it, says %s", p.id, stamp(p.at), m.record, stamp(m.at))
		case p.function != "" && maphash.String(b.seed, p.function) != m.function:
			v.found(&p.record, FoundPoint, "it is of snapshot %s and of function %q, and record %d made that of another", p.id, p.function, m.record)
		}
	}
}

func apart(a, b time.Time) bool { return a.Sub(b).Abs() > samePoint }

// find returns the first that was made under a name; made must be sorted.
func (b *pointBook) find(hash uint64) (madePoint, bool) {
	i, there := slices.BinarySearchFunc(b.made, hash, func(m madePoint, hash uint64) int { return cmp.Compare(m.hash, hash) })
	if !there {
		return madePoint{}, false
	}
	return b.made[i], true
}

// unmade warns of proofs, and of sites that hold them, of recovery points that no
// record made. It is no finding: data is saved even when nothing can be put on
// record. Nothing need be on record of those that are older than the log, or that
// were made where it tells no end of a run, or where it was taken over.
func (v *verifier) unmade() {
	if v.out.From > 0 {
		return
	}
	b := v.points
	b.gaps = append(b.gaps, pointGap{to: v.out.First.Add(pointSlack)})
	for _, o := range v.open {
		if o.act == ActSnapshot {
			b.gaps = append(b.gaps, pointGap{function: o.function, from: o.at.Add(-pointSlack)})
		}
	}
	for i := range b.named {
		p := &b.named[i]
		if _, made := b.find(p.hash); made || p.act == ActRestore || b.inGap(p) {
			continue
		}
		what := "was proven"
		if p.act == ActDurable {
			what = "is said to be held by a site"
		}
		v.warn(Warning{Record: &p.record, Kind: WarnUnmade, From: p.at, Text: fmt.Sprintf("%q: snapshot %s of %s %s, and no record says that it was ever made", p.function, p.id, stamp(p.at), what)})
	}
}

func (b *pointBook) inGap(p *namedPoint) bool {
	return slices.ContainsFunc(b.gaps, func(g pointGap) bool {
		return (g.function == "" || g.function == p.function) && !p.at.Before(g.from) && (g.to.IsZero() || !p.at.After(g.to))
	})
}
