package evidence

import (
	"strings"
	"testing"
	"time"
)

// TestPointsThatAreToldTwoWays: exposure counts from when data is from, whichever
// record tells that. Who has the key has one of them tell what looks better.
func TestPointsThatAreToldTwoWays(t *testing.T) {
	l, records := made(t)
	durable := func(of string, at, held time.Time) Record {
		return Record{Act: ActDurable, Phase: Event, Function: "payments", Durable: &Durable{Snapshot: of, RecoveryPoint: at, Site: "cloud", At: held}}
	}
	proof := func(change func(r *Record, p *Proof)) func([]Record) []Record {
		return func(r []Record) []Record {
			result := resultOf(t, r, ActProof)
			change(result, result.Proof)
			return r
		}
	}
	for name, a := range map[string]attack{
		"nothing is changed": {change: func(r []Record) []Record { return r }},
		"a proof of a later state than was made": {
			change: proof(func(_ *Record, p *Proof) { p.RecoveryPoint = begin.Add(time.Hour) }), want: FoundPoint, says: "record 3, which made it, says",
		},
		"a proof that ended before it was begun": {
			change: proof(func(_ *Record, p *Proof) { p.Started, p.Ended = begin, begin.Add(time.Minute) }), want: FoundPoint, says: "it ended at",
		},
		"a proof that began before it was begun": {
			change: proof(func(_ *Record, p *Proof) { p.Started = begin }), want: FoundPoint, says: "it began at",
		},
		"a proof of what is made only later": {change: func(r []Record) []Record {
			result, last := resultOf(t, r, ActProof), r[len(r)-1].Snapshot
			intentOf(r, result).Proof.Snapshot, result.Proof.Snapshot, result.Proof.RecoveryPoint = last.ID, last.ID, last.RecoveryPoint
			return r
		}, want: FoundPoint, says: "later than the record itself"},
		"a proof that is told of another function": {change: func(r []Record) []Record {
			result := resultOf(t, r, ActProof)
			intentOf(r, result).Function, result.Function = "catalog", "catalog"
			return r
		}, want: FoundPoint, says: `of function "catalog"`},
		"a site that holds a later state than was made": {change: func(r []Record) []Record {
			return and(r, durable("s2", r[len(r)-1].Time, r[len(r)-1].Time))
		}, want: FoundPoint, says: "which made it, says"},
		"a site that holds a state of later": {change: func(r []Record) []Record {
			at := r[len(r)-1].Time.Add(time.Hour)
			return and(r, durable("never", at, at))
		}, want: FoundPoint, says: "later than the record itself"},
		"a site that holds what was never made": {change: func(r []Record) []Record {
			return and(r, durable("never", r[len(r)-1].Time, r[len(r)-1].Time))
		}, warns: WarnUnmade, says: "held by a site"},
		"a restore of a later state than was made": {change: func(r []Record) []Record {
			n, at := uint64(len(r)), r[len(r)-1].Time
			return and(r, Record{Act: ActRestore, Phase: Intent, Function: "payments", Restore: &Restore{Snapshot: "s2", Target: "db2"}},
				Record{Act: ActRestore, Phase: Result, Intent: &n, Function: "payments", Outcome: Done, Restore: &Restore{Snapshot: "s2", RecoveryPoint: &at, Target: "db2"}})
		}, want: FoundPoint, says: "which made it, says"},
		"an old one is told as a new one, again and again": {change: func(r []Record) []Record {
			for i := range r {
				if r[i].Snapshot != nil {
					r[i].Snapshot.ID = "s2"
				}
			}
			return r
		}, want: FoundPoint, says: "under the name of the one that record 3 made"},
		"one is told twice in the same way": {change: func(r []Record) []Record {
			n := uint64(len(r))
			again := *resultOf(t, r, ActSnapshot)
			again.Intent = &n
			return and(r, Record{Act: ActSnapshot, Phase: Intent, Function: "payments", Late: "its result could not be recorded"}, again)
		}, warns: WarnUntimed, says: "its result could not be recorded"},
	} {
		t.Run(name, func(t *testing.T) { a.try(t, l, records) })
	}
}

// TestWhatIsToldOfPointsFromBeforeAPeriod: those that came along count as well.
func TestWhatIsToldOfPointsFromBeforeAPeriod(t *testing.T) {
	l, records := made(t)
	last := records[len(records)-1]
	forged := and(records, Record{Act: ActDurable, Phase: Event, Function: "payments", Durable: &Durable{
		Snapshot: last.Snapshot.ID, RecoveryPoint: last.Time, Site: "third", At: last.Time,
	}})
	forged[len(forged)-1].Durable.RecoveryPoint = last.Snapshot.RecoveryPoint.Add(4 * time.Minute)
	forged[len(forged)-1].Time = last.Time.Add(10 * time.Minute)
	forged = and(forged, Record{Act: ActAlive, Phase: Event, Alive: &Alive{SinceSequence: uint64(len(forged) - 1)}})
	v := verify(t, bundleOf(t, forge(t, l, forged), forged[len(forged)-1].Time, time.Time{}), VerifyOptions{Keys: []PublicKey{l.PublicKey()}})
	if len(v.Findings) != 1 || v.Findings[0].Kind != FoundPoint || !strings.Contains(v.Findings[0].Text, "which made it, says") {
		t.Errorf("%+v", v.Findings)
	}
}
