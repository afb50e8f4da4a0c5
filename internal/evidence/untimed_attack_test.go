package evidence

import (
	"testing"
	"time"
)

// TestTimesThatNoRecordBearsOut: whoever has the key fills up afterwards what was
// not done, with the excuses of the honest.
func TestTimesThatNoRecordBearsOut(t *testing.T) {
	l, records := made(t)
	filled := func(late string) func(r []Record) []Record {
		return func(r []Record) []Record {
			n, at := uint64(len(r)), r[len(r)-1].Time.Add(-2*time.Hour)
			r = and(r, Record{Act: ActSnapshot, Phase: Intent, Function: "payments", Late: late}, Record{
				Act: ActSnapshot, Phase: Result, Intent: &n, Function: "payments", Outcome: Done, Snapshot: &Snapshot{
					ID: "filled", RecoveryPoint: at, Started: at, Ended: at, Commit: digest, Durable: map[string]time.Time{"cloud": at, "onsite": at},
				},
			})
			r[n].Time, r[n+1].Time = r[n-1].Time, r[n-1].Time // as when the clock was set back
			return r
		}
	}
	for name, a := range map[string]attack{
		"points of hours ago, told late":             {change: filled("the disk was full"), warns: WarnUntimed, says: "when it was over: the disk was full"},
		"points of hours ago, as with a wrong clock": {change: filled(""), warns: WarnUntimed, says: "as when the clock was set back"},
		"a site that is said to have had it for hours": {change: func(r []Record) []Record {
			first := resultOf(t, r, ActSnapshot)
			return and(r, Record{Act: ActDurable, Phase: Event, Function: "payments", Durable: &Durable{
				Snapshot: first.Snapshot.ID, RecoveryPoint: first.Snapshot.RecoveryPoint, Site: "third", At: first.Time,
			}})
		}, warns: WarnUntimed, says: "before that was put on record"},
		"a proof that says to have taken less": {change: func(r []Record) []Record {
			result := resultOf(t, r, ActProof)
			for i := result.Sequence; i < uint64(len(r)); i++ {
				r[i].Time = r[i].Time.Add(time.Hour)
				if s := r[i].Snapshot; s != nil {
					s.RecoveryPoint = s.RecoveryPoint.Add(time.Hour)
					for site, at := range s.Durable {
						s.Durable[site] = at.Add(time.Hour)
					}
				}
			}
			result.Proof.Started, result.Proof.Ended = result.Time.Add(-time.Minute), result.Time
			return r
		}, warns: WarnUntimed, says: "it says that it took 1m0s, and it was under way for 1h1m0s"},
		"a clock that was set back from a time that no record has": {change: func(r []Record) []Record {
			return and(r, Record{Act: ActClock, Phase: Event, Clock: &Clock{Was: r[len(r)-1].Time.Add(time.Hour), Reason: "it was ahead"}})
		}, want: FoundClock, says: "which is not that of the record before it"},
	} {
		t.Run(name, func(t *testing.T) { a.try(t, l, records) })
	}
}
