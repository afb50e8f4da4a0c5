package catalog

import (
	"encoding/json"
	"fmt"
	"time"

	"go.etcd.io/bbolt"
)

// Kinds of runs.
const (
	RunSnapshot = "snapshot"
	RunRestore  = "restore"
	RunPrune    = "prune"
	RunSweep    = "sweep"
	RunControls = "controls" // a round of negative controls
)

// Run is one attempt to do something: a snapshot, a restore, a sweep. It is recorded
// when it starts, so that one that never ended can be told from one that never
// was.
type Run struct {
	Sequence uint64    `json:"sequence"`
	Kind     string    `json:"kind"`     // one of the above
	Function string    `json:"function"` // empty for what is done for all
	Started  time.Time `json:"started"`
	Ended    time.Time `json:"ended,omitzero"` // zero: still running, or cut short by a crash
	Snapshot string    `json:"snapshot,omitempty"`
	// DurableSeconds is the time from the start of the run until the first
	// site had acknowledged the commit; 0 when none has.
	DurableSeconds float64         `json:"durable_seconds,omitempty"`
	Error          string          `json:"error,omitempty"`
	Result         json.RawMessage `json:"result,omitempty"`
}

// Proof is one attempt to restore a snapshot from one site and check it.
type Proof struct {
	Sequence uint64    `json:"sequence"`
	Function string    `json:"function"`
	Snapshot string    `json:"snapshot"`
	Site     string    `json:"site"`
	Started  time.Time `json:"started"`
	Ended    time.Time `json:"ended,omitzero"` // zero: still running, or cut short by a crash
	// Rule says why this snapshot was chosen, Scheduled that nobody asked for
	// the proof.
	Rule      string `json:"rule,omitempty"`
	Scheduled bool   `json:"scheduled,omitempty"`
	// Extra: it was made beside the turns of the schedule, because definitions
	// had changed; it moves none of them.
	Extra bool `json:"extra,omitempty"`
	// Cold: it was a cold start, on a host with nothing on it.
	Cold bool `json:"cold,omitempty"`
	// Level is the highest level that held, empty when not even L0 did.
	Level  string `json:"level,omitempty"`
	Passed bool   `json:"passed"` // the level asked for was reached
	// Difference: something was found to be wrong. A proof that neither passed
	// nor found a difference could not be carried out and says nothing.
	Difference bool `json:"difference,omitempty"`
	// Lowered: a higher level was wanted than this snapshot can be proven to.
	Lowered bool            `json:"lowered,omitempty"`
	Error   string          `json:"error,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
}

// OwnCheckFailed reports whether what the proof found wrong is not the copy, which
// was restored whole and equals what was captured: a check of the function's own
// failed on it.
func (p *Proof) OwnCheckFailed() bool { return p.Difference && p.Level >= "L5" }

// PutRun records r: a new run when its Sequence is 0, which is then set.
func (c *Catalog) PutRun(r *Run) error {
	return c.db.Update(func(tx *bbolt.Tx) error {
		return putNumbered(tx.Bucket(bucketRuns), &r.Sequence, r)
	})
}

// PutProof records p: a new proof when its Sequence is 0, which is then set.
func (c *Catalog) PutProof(p *Proof) error {
	return c.db.Update(func(tx *bbolt.Tx) error {
		return putNumbered(tx.Bucket(bucketProofs), &p.Sequence, p)
	})
}

func putNumbered(b *bbolt.Bucket, seq *uint64, record any) error {
	if *seq == 0 {
		n, err := b.NextSequence()
		if err != nil {
			return err
		}
		*seq = n
	}
	return putJSON(b, be64(*seq), record)
}

// Runs calls fn for each run, newest first, until fn returns false.
func (c *Catalog) Runs(fn func(*Run) bool) error {
	return newestFirst(c.db, bucketRuns, fn)
}

// Proofs calls fn for each proof, newest first, until fn returns false.
func (c *Catalog) Proofs(fn func(*Proof) bool) error {
	return newestFirst(c.db, bucketProofs, fn)
}

func newestFirst[T any](db *bbolt.DB, bucket []byte, fn func(*T) bool) error {
	return pages(func(before []byte) (page []*T, next []byte, err error) {
		err = db.View(func(tx *bbolt.Tx) error {
			b := tx.Bucket(bucket)
			cur := b.Cursor()
			k, _ := cur.Last()
			if before != nil {
				k = prior(cur, before)
			}
			for ; k != nil && len(page) < pageSize; k, _ = cur.Prev() {
				record := new(T)
				if err := json.Unmarshal(b.Get(k), record); err != nil {
					return fmt.Errorf("catalog: %s: %w", bucket, err)
				}
				page, next = append(page, record), append([]byte{}, k...)
			}
			return nil
		})
		return page, next, err
	}, fn)
}
