package evidence

import (
	"fmt"
	"slices"
	"time"
)

// Warning is something that is on record as it should be, and not as it was
// promised: no forgery, but nothing to overlook either.
type Warning struct {
	// Record is the sequence of the record that shows it; none at the edges of a
	// bundle.
	Record *uint64 `json:"record,omitempty"`
	// Kind is short and stable.
	Kind WarningKind `json:"kind"`
	// Text says what it is, Meaning what that means.
	Text    string `json:"text"`
	Meaning string `json:"meaning"`
	// From and To are the stretch of time that it is about, if it is about one.
	From time.Time `json:"from,omitzero"`
	To   time.Time `json:"to,omitzero"`
	// Missed says, a sentence each, what should have happened meanwhile.
	Missed []string `json:"missed,omitempty"`
}

// WarningKind is what a warning is about.
type WarningKind string

// The kinds of warnings.
const (
	// WarnSilence: nothing was written for longer than a service that runs
	// leaves the log without a record.
	WarnSilence WarningKind = "silence"
	// WarnLowered: less was promised from a record on than before.
	WarnLowered WarningKind = "lowered"
	// WarnUnanchored: somebody was not given a checkpoint for longer than was
	// promised.
	WarnUnanchored WarningKind = "unanchored"
	// WarnTaken: the log goes on from what a site kept; what was written last
	// before that may be missing.
	WarnTaken WarningKind = "taken over"
	// WarnUnmade: a recovery point was proven that no record made.
	WarnUnmade WarningKind = "unmade"
	// WarnOpen: an act has no result by the end of the bundle.
	WarnOpen WarningKind = "open"
	// WarnShort: the bundle ends before the period that was asked for does.
	WarnShort WarningKind = "short"
	// WarnUnpromised: nothing shows what was promised when the period begins.
	WarnUnpromised WarningKind = "unpromised"
	// WarnUntimed: when something happened, or how long it took, is only what the
	// program says.
	WarnUntimed WarningKind = "untimed"
	// WarnUnchecked: a checkpoint that was given could not be compared.
	WarnUnchecked WarningKind = "unchecked"
)

var warningMeans = map[WarningKind]string{
	WarnSilence:    "the service did not run, or could not write: nothing that was promised was done, and nothing that failed was told",
	WarnLowered:    "somebody changed what is promised: from here on less counts as kept. Ask who agreed to it",
	WarnUnanchored: "nobody outside knew meanwhile what the log held: only what was anchored before and after bounds it",
	WarnTaken:      "what no site had been given yet when the host was lost is not on record: compare with the checkpoints that you were given",
	WarnUnmade:     "it was made while nothing could be put on record, or by somebody else: ask, and look for silence at that time",
	WarnShort:      "the log may go on: ask for a later bundle, or compare with a checkpoint that was given outside since (--head)",
	WarnUnpromised: "a policy may be left out, and what is not known is not judged: ask for a bundle of all records, or one that begins earlier",
	WarnUnchecked:  "it shows nothing of this bundle: ask for one that reaches to where it was given",
	WarnUntimed:    "only the program says when that was: it may have been made up afterwards. Look for silence at that time, and compare with the sites' own times of the objects",
	WarnOpen:       "it may be under way: the next bundle must have its result",
}

// mostMissed are told one by one in a warning.
const mostMissed = 100

func (v *verifier) warn(w Warning) {
	if v.warned[w.Kind]++; v.warned[w.Kind] > mostFindings {
		v.out.MoreWarnings++
		return
	}
	if more := len(w.Missed) - mostMissed; more > 0 {
		w.Missed = append(slices.Clone(w.Missed[:mostMissed]), fmt.Sprintf("and %d things more", more))
	}
	w.Meaning, w.Text = warningMeans[w.Kind], inShort(w.Text)
	v.out.Warnings = append(v.out.Warnings, w)
}
