package evidence

import (
	"fmt"
	"time"
)

// untimed warns of what has no time, or no duration, but the one that it says
// itself: no record was written when it happened.
func (v *verifier) untimed(seq uint64, from, to time.Time, format string, args ...any) {
	v.warn(Warning{Record: &seq, Kind: WarnUntimed, From: from, To: to, Text: fmt.Sprintf(format, args...)})
}

// excused warns of a snapshot whose times would be a finding if the clock had not
// been set back meanwhile: records that bear the time of the one before them are
// made as easily.
func (v *verifier) excused(seq uint64, r *Record, begun intended) {
	s := r.Snapshot
	if begun.at.IsZero() || begun.late || !s.RecoveryPoint.Before(begun.at.Add(-pointSlack)) {
		return
	}
	v.untimed(seq, s.RecoveryPoint, r.Time, "it says that its data is of %s, before it was begun at %s: record %d has the time of the one before it, as when the clock was set back",
		stamp(s.RecoveryPoint), stamp(begun.at), v.clamped)
}

// toldLate warns of a site that had something long before that was put on record.
func (v *verifier) toldLate(seq uint64, r *Record) {
	if d := r.Durable; r.Time.Sub(d.At) > longest {
		v.untimed(seq, d.At, r.Time, "it says that site %s held snapshot %s at %s, %s before that was put on record", d.Site, d.Snapshot, stamp(d.At), r.Time.Sub(d.At).Round(time.Second))
	}
}

// tookLonger warns of what says that it took much less time than it was on record
// as being under way.
func (v *verifier) tookLonger(seq uint64, r *Record, begun intended, seconds float64) {
	if !v.timesOf(r, begun) || seconds <= 0 {
		return
	}
	if underWay := r.Time.Sub(begun.at); underWay-inSeconds(seconds) > pointSlack {
		v.untimed(seq, begun.at, r.Time, "it says that it took %s, and it was under way for %s: from record %d to here", inSeconds(seconds).Round(time.Second), underWay.Round(time.Second), *r.Intent)
	}
}
