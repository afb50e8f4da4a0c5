package evidence

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// silent warns of a stretch without records; seq is the one that ends it.
func (v *verifier) silent(seq *uint64, from, to time.Time) {
	took := to.Sub(from)
	v.warn(Warning{
		Record: seq, Kind: WarnSilence, From: from, To: to, Missed: v.missed(took),
		Text: fmt.Sprintf("nothing was written from %s to %s, for %s; a service that runs writes at least one record an hour", stamp(from), stamp(to), took.Round(time.Second)),
	})
}

// silentAfter warns of silence from the last record to the end of the period, or
// until the bundle was made. When that was is not signed; it can hide such a
// stretch and make up none.
func (v *verifier) silentAfter() {
	about := v.bundle.about
	end := about.Made
	if !about.Until.IsZero() && about.Until.Before(end) {
		end = about.Until
	}
	if about.From < about.To && end.Sub(v.last) > longest {
		v.silent(nil, v.last, end)
	}
}

// missed says what the promise in force asks for in a stretch of time.
func (v *verifier) missed(took time.Duration) (out []string) {
	if v.promise == nil {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(v.promise.Functions)) {
		f := v.promise.Functions[name]
		if n := times(took, f.RPOSeconds); n > 0 {
			out = append(out, fmt.Sprintf("%s: %d recovery points at least, for an RPO of %s", name, n, inSeconds(f.RPOSeconds)))
		}
		if n := times(took, f.ProveEverySeconds); n > 0 {
			out = append(out, fmt.Sprintf("%s: %d proofs, one every %s", name, n, inSeconds(f.ProveEverySeconds)))
		}
	}
	for _, to := range slices.Sorted(maps.Keys(v.promise.Anchors)) {
		if n := times(took, v.promise.Anchors[to]); n > 0 {
			out = append(out, fmt.Sprintf("%d anchors by %s, one every %s", n, to, inSeconds(v.promise.Anchors[to])))
		}
	}
	return out
}

// times is how often something that is due every so many seconds is due in a
// stretch of time.
func times(took time.Duration, every float64) int64 {
	if every < 1 {
		return 0
	}
	return int64(took.Seconds() / every)
}

// inSeconds writes a duration that a record has in seconds; one that no duration
// can hold as the longest there is.
func inSeconds(s float64) time.Duration {
	const most = float64(1 << 62)
	return time.Duration(min(max(s*float64(time.Second), -most), most))
}
