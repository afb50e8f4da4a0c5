package evidence

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// due is an anchor that is to come: since when somebody was given none, or it was
// promised, and after when that is too long.
type due struct{ since, late time.Time }

func dueFrom(since time.Time, every float64) due {
	return due{since, since.Add(AnchorOverdue(inSeconds(every)))}
}

// anchored notes that somebody was given a checkpoint, and warns when that was
// overdue.
func (v *verifier) anchored(seq uint64, to string, at time.Time) {
	if v.promise == nil || v.promise.Anchors[to] == 0 {
		return
	}
	v.overdue(&seq, to, at)
	v.due[to] = dueFrom(at, v.promise.Anchors[to])
}

// rhythm takes in how often anchors are to be given from a policy on. Up to there
// they are judged by the promise before. A longer interval counts from the last
// anchor; a shorter one from the policy, since nobody had to keep it before, but it
// puts nothing off that was due sooner.
func (v *verifier) rhythm(seq uint64, now *Policy, at time.Time) {
	for _, to := range slices.Sorted(maps.Keys(v.due)) {
		every, d := now.Anchors[to], v.due[to]
		switch late := v.overdue(&seq, to, at); {
		case every == 0:
			delete(v.due, to)
		case late:
			v.due[to] = dueFrom(at, every)
		case every > v.promise.Anchors[to]:
			v.due[to] = dueFrom(d.since, every)
		case every < v.promise.Anchors[to]:
			if next := dueFrom(at, every); next.late.Before(d.late) {
				v.due[to] = next
			}
		}
	}
	for to, every := range now.Anchors {
		if _, known := v.due[to]; !known {
			v.due[to] = dueFrom(at, every)
		}
	}
}

// overdue warns, and reports that, when somebody was given no checkpoint up to a
// time for longer than the promise in force allows.
func (v *verifier) overdue(seq *uint64, to string, at time.Time) bool {
	d, promised := v.due[to]
	if !promised || !at.After(d.late) {
		return false
	}
	v.warn(Warning{
		Record: seq, Kind: WarnUnanchored, From: d.since, To: at,
		Text: fmt.Sprintf("%s anchored nothing for %s, from %s to %s; that was to be every %s", to, at.Sub(d.since).Round(time.Second), stamp(d.since), stamp(at), inSeconds(v.promise.Anchors[to])),
	})
	return true
}

func (v *verifier) overdueAtEnd() {
	for _, to := range slices.Sorted(maps.Keys(v.due)) {
		v.overdue(nil, to, v.last)
	}
}
