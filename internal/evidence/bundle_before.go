package evidence

import (
	"bytes"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"math"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// bundleBefore is the file of a bundle with records from before its period,
// each with the proof that the log had it there. Without them nothing would be
// known of the moment at which the period begins.
const bundleBefore = "before.jsonl"

// beforeLine is a line of that file.
type beforeLine struct {
	// Proof is the RFC 6962 proof that the tree of the first From records
	// includes the record.
	Proof []Hash `json:"proof"`
	// Envelope are the exact bytes of the record as it is stored.
	Envelope json.RawMessage `json:"envelope"`
}

// beforeBack are how far before a period is looked for what it begins with:
// when that does not tell of every site, one tries the next.
var beforeBack = append([]time.Duration{24 * time.Hour}, lookBack...)

// beforeRecords returns the lines of that file; none when the bundle begins with
// the log.
func (l *Log) beforeRecords(about About) ([]byte, error) {
	if about.From == 0 {
		return nil, nil
	}
	wanted, err := l.wantedBefore(about)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	for _, n := range slices.Sorted(maps.Keys(wanted)) {
		if n >= about.From {
			break // in the bundle itself
		}
		proof, err := tlog.ProveRecord(int64(about.From), int64(n), tlog.HashReaderFunc(l.store.EvidenceHashes))
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		hashes, err := json.Marshal([]Hash(append(tlog.RecordProof{}, proof...)))
		if err != nil {
			return nil, err
		}
		for e, err := range l.Envelopes(n, n+1) {
			if err != nil {
				return nil, err
			}
			fmt.Fprintf(&out, "{\"proof\":%s,\"envelope\":%s}\n", hashes, e)
		}
	}
	return out.Bytes(), nil
}

// sequences is a set of records.
type sequences map[uint64]bool

// wantedBefore chooses the records: the policies, what each site last had
// and what was last proven there, and the actions of earlier exercises.
func (l *Log) wantedBefore(about About) (sequences, error) {
	out := sequences{}
	policies, err := gathered(l.Find(ActPolicy, "", time.Time{}, about.Since))
	if err != nil {
		return nil, err
	}
	// All of them, and not the newest alone: since when something is promised of a
	// function decides whether it is new.
	for _, p := range policies {
		out[p.Sequence] = true
	}
	if n := len(policies); n > 0 && policies[n-1].Policy != nil {
		for function := range policies[n-1].Policy.Functions {
			newest, err := l.newestPoints(function, policies[n-1].Policy.Sites, about.Since)
			if err != nil {
				return nil, err
			}
			for _, r := range newest {
				out[r.Sequence] = true
			}
		}
	}
	return out, l.wantedActions(about, out)
}

// newestPoints returns the records that tell of the newest recovery point that
// each site had, and of the newest that was proven there.
func (l *Log) newestPoints(function string, sites []string, until time.Time) ([]Record, error) {
	for _, back := range beforeBack {
		since := time.Time{}
		if back != math.MaxInt64 {
			since = until.Add(-back)
		}
		newest, err := l.newestSince(function, since, until)
		if err != nil {
			return nil, err
		}
		missing := slices.ContainsFunc(sites, func(site string) bool {
			return newest[site].consistent.IsZero() || newest[proven+site].consistent.IsZero()
		})
		if missing && !since.IsZero() {
			continue
		}
		var out []Record
		for _, p := range newest {
			out = append(out, p.record)
		}
		return out, nil
	}
	return nil, nil // not reached
}

// newestSince returns the newest point that each site had, or that was proven
// there, of those that records of a stretch of time tell.
func (l *Log) newestSince(function string, since, until time.Time) (map[string]point, error) {
	newest := map[string]point{}
	for _, act := range []Act{ActSnapshot, ActDurable, ActProof} {
		for r, err := range l.Find(act, function, since, until) {
			if err != nil {
				return nil, err
			}
			for place, at := range reached(&r) {
				if have, ok := newest[place]; !ok || at.After(have.consistent) {
					newest[place] = point{at, r}
				}
			}
		}
	}
	return newest, nil
}

// point is a recovery point, and the record that tells of it.
type point struct {
	consistent time.Time
	record     Record
}

// proven marks a site at which something was proven, and not only durable.
const proven = "proven at "

// reached says which recovery point a record tells to be durable, or proven, at
// which sites.
func reached(r *Record) map[string]time.Time {
	out := map[string]time.Time{}
	switch {
	case r.Snapshot != nil && r.Phase == Result:
		for site := range r.Snapshot.Durable {
			out[site] = r.Snapshot.RecoveryPoint
		}
	case r.Durable != nil:
		out[r.Durable.Site] = r.Durable.RecoveryPoint
	case r.provesARestore():
		out[proven+r.Proof.Site] = r.Proof.RecoveryPoint
	}
	return out
}

// provesARestore reports whether a record is the result of a proof that passed
// and restored.
func (r *Record) provesARestore() bool {
	return r.Proof != nil && r.Phase == Result && r.Outcome == Done && r.Proof.Passed && r.Proof.Level >= restoring
}

// wantedActions adds what tells of the actions of earlier exercises, and the
// tests that closed them.
func (l *Log) wantedActions(about About, out sequences) error {
	for r, err := range l.Find(ActDrill, "", time.Time{}, about.Since) {
		if err != nil {
			return err
		}
		if r.Drill == nil || len(r.Drill.Actions) == 0 {
			continue
		}
		out[r.Sequence] = true
		for _, a := range r.Drill.Actions {
			if a.Closed != nil && *a.Closed < about.From {
				out[*a.Closed] = true
			}
		}
	}
	return nil
}

func gathered(found iter.Seq2[Record, error]) (out []Record, err error) {
	for r, err := range found {
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

// readBefore goes through the records from before the period; there are none when
// the bundle has no such file.
func (b *bundleFile) readBefore() iter.Seq2[beforeLine, error] {
	return func(yield func(beforeLine, error) bool) {
		if b.files[bundleBefore] == nil {
			return
		}
		text, err := b.part(bundleBefore)
		if err != nil {
			yield(beforeLine{}, err)
			return
		}
		n := 0
		for line, err := range lines(bytes.NewReader(text)) {
			var out beforeLine
			if n++; err == nil {
				err = strictJSON(line, &out)
			}
			if err != nil {
				err = fmt.Errorf("%w: %s, line %d: %w", ErrBundle, bundleBefore, n, err)
			}
			if !yield(out, err) || err != nil {
				return
			}
		}
	}
}

// earlier checks the records from before the period: the log that the bundle's
// start is a checkpoint of had each at its place.
func (v *verifier) earlier() error {
	from := v.bundle.about.From
	root := Hash{}
	if from > 0 {
		var err error
		if root, err = v.tree.root(from); err != nil {
			return fmt.Errorf("%w: %s: %w", ErrBundle, bundleTree, err)
		}
	}
	next := uint64(0)
	for line, err := range v.bundle.readBefore() {
		if err != nil {
			return err
		}
		x := prepare(line.Envelope)
		if x.err != nil {
			return fmt.Errorf("%w: %s, behind record %d: %w", ErrBundle, bundleBefore, next, x.err)
		}
		seq := x.record.Sequence
		if seq < next || seq >= from {
			return fmt.Errorf("%w: %s: record %d does not belong there", ErrBundle, bundleBefore, seq)
		}
		next = seq + 1
		if err := tlog.CheckRecord(line.Proof, int64(from), root, int64(seq), x.leaf); err != nil {
			v.found(&seq, FoundRoot, "it is given as a record from before the period, and the log before the period does not have it: %v", err)
			continue
		}
		for _, claim := range x.claims {
			v.found(&seq, FoundVerdict, "%s", claim)
		}
		v.points.take(seq, x.record)
		v.earlierRecords = append(v.earlierRecords, *x.record)
	}
	v.out.Before = len(v.earlierRecords)
	v.promisedBefore()
	return nil
}
