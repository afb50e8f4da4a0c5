package evidence

import (
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/saypro/backupd/internal/rfc3161"
)

// StampSlack is how far the clock of the host and that of a time-stamping
// authority may be apart, beside the authority's own accuracy, and how long an
// answer may take to be put on record.
const StampSlack = 5 * time.Minute

func (v *verifier) anchor(seq uint64, r *Record) {
	a := AnchorGiven{Record: seq, Time: r.Time, To: r.Anchor.To, Size: r.Anchor.Size, Root: r.Anchor.Root, Locked: r.Anchor.Locked}
	switch {
	case a.Size > seq:
		v.found(&seq, FoundAnchor, "it says that %s was given a checkpoint of %d records, which were not there yet", a.To, a.Size)
	case a.Size >= v.out.From:
		root, err := v.tree.root(a.Size)
		if a.Checked = err == nil; a.Checked && root.String() != a.Root {
			v.found(&seq, FoundAnchor, "it says that %s was given the root %s of %d records, and these have %s", a.To, a.Root, a.Size, root)
		}
	}
	switch r.Anchor.Kind() {
	case AnchorTimestamp:
		a.Stamp = v.stamp(seq, r)
	case AnchorSite:
		v.held(seq, r.Anchor)
	}
	v.anchored(seq, a.To, r.Time)
	v.out.Anchors = append(v.out.Anchors, a)
}

// held checks the checkpoint in a record of what a site holds.
func (v *verifier) held(seq uint64, a *Anchor) {
	if a.Checkpoint == "" {
		return
	}
	// A key that gave way just before the record was written may have signed it, of
	// records that were all there by then.
	at, by, err := OpenCheckpoint([]byte(a.Checkpoint), v.known()...)
	last, gone := v.retired[by]
	switch {
	case err != nil:
		v.found(&seq, FoundAnchor, "its checkpoint of what %s holds is not signed by the key of then: %v", a.To, err)
	case by != v.keys.current && (!gone || at.Size > last):
		v.found(&seq, FoundAnchor, "its checkpoint of what %s holds is of %d records and signed with key %s, which did not sign the log then", a.To, at.Size, by.ID)
	case at.Size != a.Size || at.Root.String() != a.Root:
		v.found(&seq, FoundAnchor, "its checkpoint is of %d records with the root %v, and it says %d with %s", at.Size, at.Root, a.Size, a.Root)
	}
}

// stamp checks a time stamp: what was stamped, who did it, and that its time and
// those of the records around it bear each other out. What it covers was there
// then, so no such record can say that it was written later; and the record that
// holds it was written afterwards, so it cannot say that it was before.
func (v *verifier) stamp(seq uint64, r *Record) *StampSeen {
	a := r.Anchor
	root, err := tlog.ParseHash(a.Root)
	if err != nil {
		v.found(&seq, FoundStamp, "what %s stamped cannot be told: %v", a.To, err)
		return nil
	}
	text := Checkpoint{Origin: v.out.Origin, Size: a.Size, Root: root}.Text()
	s, trusted, err := rfc3161.Check(a.Token, []byte(text), v.stampers)
	if err != nil {
		v.found(&seq, FoundStamp, "the time stamp by %s of %d records does not hold: %v", a.To, a.Size, err)
		return nil
	}
	slack := StampSlack + s.Accuracy
	if newest, ok := v.timeOf(a.Size); ok && newest.After(s.Time.Add(slack)) {
		v.found(&seq, FoundStamp, "%s saw the first %d records at %s, and the last of them says that it was written at %s, later than that",
			a.To, a.Size, stamp(s.Time), stamp(newest))
	}
	if r.Time.Before(s.Time.Add(-slack)) {
		v.found(&seq, FoundStamp, "it says that it was written at %s, and holds a time stamp that %s gave at %s, later than that",
			stamp(r.Time), a.To, stamp(s.Time))
	}
	return &StampSeen{Time: s.Time, Authority: s.Authority, Trusted: trusted}
}

// timeOf returns when the last of the first so many records says that it was
// written; ok is false when it lies before the period.
func (v *verifier) timeOf(size uint64) (at time.Time, ok bool) {
	if size <= v.out.From || size-v.out.From > uint64(len(v.times)) {
		return at, false
	}
	return time.UnixMilli(v.times[size-v.out.From-1]), true
}

// Anchored says, a sentence, what an anchor in a bundle shows.
func (a *AnchorGiven) Anchored() string {
	switch {
	case a.Stamp != nil && a.Stamp.Trusted:
		return fmt.Sprintf("it stamped %s; signed by %s, whom you trust", stamp(a.Stamp.Time), a.Stamp.Authority)
	case a.Stamp != nil:
		return fmt.Sprintf("it stamped %s; whether %s is an authority was NOT CHECKED: give its roots with --tsa-roots", stamp(a.Stamp.Time), a.Stamp.Authority)
	case !a.Locked.IsZero():
		return "locked until " + stamp(a.Locked)
	}
	return ""
}
