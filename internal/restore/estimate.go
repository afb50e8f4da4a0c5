package restore

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/saypro/backupd/internal/catalog"
)

// guessRate is the rate, in bytes of rows per second, that an estimate assumes
// when nothing was ever measured: a small machine with a few indexes. A restore
// also takes guessStart whatever its size.
const (
	guessRate  = 10 << 20
	guessStart = 5 * time.Second
)

// Guess returns how long it may take to restore so many bytes of rows, when
// nothing was ever measured.
func Guess(bytes int64) time.Duration {
	return guessStart + time.Duration(float64(bytes)/guessRate*float64(time.Second))
}

// measured is a restore or a proof of a function that ran to its end.
type measured struct {
	what    string
	ended   time.Time
	bytes   int64
	seconds float64
}

// timing is what results of restores and proofs have in common.
type timing struct {
	BytesRaw      int64              `json:"bytes_raw"`
	RestoredBytes int64              `json:"restored_bytes"` // of proofs
	Phases        map[string]float64 `json:"phases"`
}

// phases of a restore; comparing with the source belongs to proofs alone.
var restorePhases = []string{"provision", "fetch", "load", "index"}

// expect estimates how long it takes to restore n bytes of rows, from the last
// restore or proof of the function, whichever is newer.
func (k *job) expect(n int64) (seconds float64, isMeasured bool, basis string, err error) {
	last, err := k.lastMeasured()
	if err != nil {
		return 0, false, "", err
	}
	if last == nil {
		seconds = Guess(n).Seconds()
		return seconds, false, fmt.Sprintf("a guess at %d MiB per second: no restore or proof of %s has been measured yet",
			guessRate>>20, k.req.Function), nil
	}
	seconds = last.seconds
	if last.bytes > 0 && n > 0 {
		seconds *= float64(n) / float64(last.bytes)
	}
	return seconds, true, fmt.Sprintf("measured by the %s of %s: %.1f MiB in %.1f s",
		last.what, stamp(last.ended), float64(last.bytes)/(1<<20), last.seconds), nil
}

// lastMeasured returns the newest restore or proof that loaded everything; nil
// when there is none.
func (k *job) lastMeasured() (*measured, error) {
	var last *measured
	err := k.Catalog.Runs(func(r *catalog.Run) bool {
		if r.Kind != catalog.RunRestore || r.Function != k.req.Function || r.Error != "" || r.Ended.IsZero() {
			return true
		}
		last = measure("restore", r.Ended, r.Result, false)
		return last == nil
	})
	if err != nil {
		return nil, err
	}
	err = k.Catalog.Proofs(func(p *catalog.Proof) bool {
		if p.Function != k.req.Function || p.Ended.IsZero() || p.Level < "L3" {
			return true
		}
		m := measure("proof from site "+p.Site, p.Ended, p.Result, true)
		if m != nil && (last == nil || m.ended.After(last.ended)) {
			last = m
		}
		return m == nil
	})
	return last, err
}

// measure reads the size and the time of a result; nil when it tells nothing.
func measure(what string, ended time.Time, result []byte, proof bool) *measured {
	var t timing
	if json.Unmarshal(result, &t) != nil {
		return nil
	}
	m := &measured{what: what, ended: ended, bytes: t.BytesRaw}
	if proof {
		m.bytes = t.RestoredBytes
	}
	for _, phase := range restorePhases {
		m.seconds += t.Phases[phase]
	}
	if m.bytes == 0 || m.seconds == 0 {
		return nil
	}
	return m
}

// proof says how far the snapshot has been proven.
func (k *job) proof() (string, error) {
	text := ""
	err := k.Catalog.Proofs(func(p *catalog.Proof) bool {
		if p.Snapshot != k.info.ID || p.Ended.IsZero() {
			return true
		}
		switch {
		case p.Passed:
			text = fmt.Sprintf("proven to %s from site %s at %s", p.Level, p.Site, stamp(p.Ended))
		case p.OwnCheckFailed():
			text = fmt.Sprintf("restored whole to %s from site %s at %s, and a check of the function's own failed on it: %s", p.Level, p.Site, stamp(p.Ended), p.Error)
		case p.Difference:
			text = fmt.Sprintf("the last proof, from site %s at %s, found a difference: %s", p.Site, stamp(p.Ended), p.Error)
		default:
			text = fmt.Sprintf("the last proof, from site %s at %s, could not be carried out: %s", p.Site, stamp(p.Ended), p.Error)
		}
		return false
	})
	return text, err
}
