package report

import (
	"cmp"
	"slices"
	"time"

	"github.com/saypro/backupd/internal/evidence"
)

// Captured is what the records say of how a recovery point came to be.
type Captured struct {
	// Sequence is that of the result of its snapshot, Program the version that
	// took it, By who asked for it.
	Sequence uint64    `json:"sequence"`
	Program  string    `json:"program,omitempty"`
	By       string    `json:"by,omitempty"`
	Started  time.Time `json:"started"`
	Ended    time.Time `json:"ended"`
	Rows     int64     `json:"rows"`
	BytesRaw int64     `json:"bytes_raw"`
	// BytesNew is what was new of it, BytesStored what that took at a site.
	BytesNew    int64  `json:"bytes_new"`
	BytesStored int64  `json:"bytes_stored"`
	Schema      string `json:"schema,omitempty"`
	// Durable says since when each site holds it.
	Durable map[string]time.Time `json:"durable"`
}

// Earlier is the newest proof of the same function that ended before.
type Earlier struct {
	Site     string    `json:"site"`
	Sequence uint64    `json:"sequence"`
	Time     time.Time `json:"time"`
	// AgeSeconds is from its end to that of the proof that is reported.
	AgeSeconds float64 `json:"age_seconds"`
	Finding    Finding `json:"finding"`
	Level      string  `json:"level,omitempty"`
	// Same is true when it was of the same recovery point.
	Same bool `json:"same_recovery_point,omitempty"`
}

const (
	// captureWithin is how long after its consistency point the records of a
	// snapshot are looked for, earlierWithin how far before a proof others are.
	captureWithin = 2 * day
	earlierWithin = 100 * day
)

// addContext reads what else the log says of what was proven: the policy in
// force, how the recovery point was captured, and the proofs before.
func (p *Proof) addContext(l Log, until time.Time) error {
	policies, err := l.all(evidence.ActPolicy, "", time.Time{}, until)
	if err != nil {
		return err
	}
	for _, r := range slices.Backward(policies) {
		if r.Policy == nil || r.Sequence > p.Sequence {
			continue
		}
		if o, ok := r.Policy.Functions[p.Function]; ok {
			p.Policy = &Policy{
				Sequence: r.Sequence, Time: r.Time.UTC(), By: r.By, SHA256: r.Policy.SHA256, Sites: r.Policy.Sites,
				Functions: map[string]evidence.FunctionObjective{p.Function: o}, Changes: []string{},
			}
		}
		break
	}
	if err := p.addCaptured(l); err != nil {
		return err
	}
	return p.addEarlier(l, until)
}

func (p *Proof) addCaptured(l Log) error {
	if p.RecoveryPoint.IsZero() {
		return nil
	}
	from, to := p.RecoveryPoint.Add(-time.Minute), p.RecoveryPoint.Add(captureWithin)
	for r, err := range l.Find(evidence.ActSnapshot, p.Function, from, to) {
		if err != nil {
			return readError(evidence.ActSnapshot, err)
		}
		if s := r.Snapshot; r.Phase == evidence.Result && s != nil && s.ID == p.Snapshot {
			p.Captured = &Captured{
				Sequence: r.Sequence, Program: r.Program, By: r.By, Started: s.Started.UTC(), Ended: s.Ended.UTC(), Rows: s.Rows, BytesRaw: s.BytesRaw,
				BytesNew: s.BytesNew, BytesStored: s.BytesStored, Schema: s.Schema, Durable: map[string]time.Time{},
			}
			for site, at := range s.Durable {
				p.Captured.Durable[site] = at.UTC()
			}
			break
		}
	}
	if p.Captured == nil {
		return nil
	}
	for r, err := range l.Find(evidence.ActDurable, p.Function, from, to) {
		if err != nil {
			return readError(evidence.ActDurable, err)
		}
		if d := r.Durable; d != nil && d.Snapshot == p.Snapshot && p.Captured.Durable[d.Site].IsZero() {
			p.Captured.Durable[d.Site] = d.At.UTC()
		}
	}
	return nil
}

func (p *Proof) addEarlier(l Log, until time.Time) error {
	newest := map[string]Earlier{}
	for r, err := range l.Find(evidence.ActProof, p.Function, until.Add(-earlierWithin), until) {
		if err != nil {
			return readError(evidence.ActProof, err)
		}
		if r.Phase != evidence.Result || r.Proof == nil || r.Sequence >= p.Sequence {
			continue
		}
		newest[r.Proof.Site] = Earlier{
			Site: r.Proof.Site, Sequence: r.Sequence, Time: r.Time.UTC(), AgeSeconds: p.Time.Sub(r.Time).Seconds(), Finding: finding(r), Level: r.Proof.Level,
			Same: r.Proof.Snapshot == p.Snapshot,
		}
	}
	for _, e := range newest {
		p.Before = append(p.Before, e)
	}
	slices.SortFunc(p.Before, func(a, b Earlier) int { return cmp.Compare(b.Sequence, a.Sequence) })
	return nil
}
