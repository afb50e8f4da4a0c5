package evidence

import (
	"time"
)

// Verification is what came of checking a bundle.
type Verification struct {
	// OK is true when nothing was found to be wrong.
	OK     bool   `json:"ok"`
	Origin string `json:"origin"`
	// From and To are the records, From to To-1; Size is how many the log held
	// when the bundle was made. First and Last are when the first and the last
	// of the records were written.
	From  uint64    `json:"from"`
	To    uint64    `json:"to"`
	Size  uint64    `json:"size"`
	First time.Time `json:"first,omitzero"`
	Last  time.Time `json:"last,omitzero"`
	// Since and Until are the period that was asked for; zero where it is open. A
	// bundle begins with the last record before it, and ends with the first behind.
	Since time.Time `json:"since,omitzero"`
	Until time.Time `json:"until,omitzero"`
	// Root is the root of the first To records, worked out from them.
	Root string `json:"root,omitempty"`
	// Acts counts the records by act and outcome, "proof done": 12; those
	// without an outcome by phase.
	Acts map[string]int `json:"acts"`
	// Findings are what is wrong, in the order of the records. More is how many
	// were left out behind the first thousand of each kind.
	Findings []Finding `json:"findings"`
	More     int       `json:"more,omitempty"`
	// Warnings are what is in order and yet not as it should be: things that did
	// not happen, and promises that were lowered. MoreWarnings is how many were
	// left out behind the first thousand of each kind.
	Warnings     []Warning `json:"warnings"`
	MoreWarnings int       `json:"more_warnings,omitempty"`
	// Open are acts that may have been under way when the bundle ends.
	Open []OpenIntent `json:"open,omitempty"`
	// Keys are the keys that sign the records, Policies the changes of what was
	// promised, Anchors the checkpoints that were given to somebody outside.
	Keys     []KeyUse       `json:"keys"`
	Policies []PolicyChange `json:"policies,omitempty"`
	Anchors  []AnchorGiven  `json:"anchors,omitempty"`
	// Silence is the longest stretch without any record, Silences how many were
	// longer than an hour and ten minutes: a service that runs writes at least
	// one in an hour.
	Silence  Stretch `json:"silence"`
	Silences int     `json:"silences"`
	// Days is how many summaries of a day were derived anew; Skipped how many
	// could not be, because the bundle begins within or after their day.
	Days    int `json:"days"`
	Skipped int `json:"days_skipped,omitempty"`
	// Heads says of each checkpoint that was brought along whether it fits.
	Heads []HeadCheck `json:"heads,omitempty"`
	// Before is how many records from before the period came along and are of
	// this log.
	Before int `json:"before,omitempty"`
	// PromiseShown is true when the newest policy from before the period came
	// along, and a record of the period says that it is the newest.
	PromiseShown bool `json:"promise_shown,omitempty"`
}

// Finding is something wrong.
type Finding struct {
	// Record is its sequence; none when it concerns the whole.
	Record *uint64 `json:"record,omitempty"`
	// Kind is short and stable.
	Kind FindingKind `json:"kind"`
	// Text says what is wrong, Meaning what that means.
	Text    string `json:"text"`
	Meaning string `json:"meaning"`
}

// FindingKind is what a finding is about.
type FindingKind string

// The kinds of findings.
const (
	FoundForm       FindingKind = "form"
	FoundSignature  FindingKind = "signature"
	FoundKey        FindingKind = "key"
	FoundSequence   FindingKind = "sequence"
	FoundTime       FindingKind = "time"
	FoundClock      FindingKind = "clock"
	FoundSubject    FindingKind = "subject"
	FoundUnfinished FindingKind = "unfinished"
	FoundResult     FindingKind = "result"
	FoundVerdict    FindingKind = "verdict"
	FoundDay        FindingKind = "day"
	FoundPoint      FindingKind = "point"
	FoundAnchor     FindingKind = "anchor"
	FoundStamp      FindingKind = "stamp"
	FoundPeriod     FindingKind = "period"
	FoundPromise    FindingKind = "promise"
	FoundRoot       FindingKind = "root"
	FoundHead       FindingKind = "head"
)

// meanings say what a finding of each kind means.
var meanings = map[FindingKind]string{
	FoundForm:       "this is not a record as the program writes them: it was altered, or made by something else",
	FoundSignature:  "the record was altered after it was signed, or somebody without the key made it",
	FoundKey:        "nothing vouches for the key: ask, by another way than this bundle, why there is another key, and give it with --key only if the answer convinces",
	FoundSequence:   "a record is missing, was put in, or stands elsewhere than it was written",
	FoundTime:       "the record was not written when it says, or not in this place",
	FoundClock:      "nobody knows when what is dated later than this record was written: ask what happened to the clock, and compare with checkpoints that were given outside",
	FoundSubject:    "the record is not about what it says, or was written into another history",
	FoundUnfinished: "how this ended was never put on record: a failure may have been hidden",
	FoundResult:     "a result without the act that it is of: its intent was removed, or it was made up",
	FoundVerdict:    "the program drew a conclusion that its own figures do not bear out",
	FoundDay:        "the summary of the day says other than its records: reports that rest on it are wrong",
	FoundPoint:      "when the data is from, or where it came from, cannot be as it is told: exposure was counted from a moment that was made up, or the clock was set back meanwhile",
	FoundAnchor:     "what was given to somebody outside is not what the log holds: one of the two was changed",
	FoundStamp:      "the time stamp does not bear out when the log was written: records were dated back or ahead, the clock was wrong, or nobody gave the stamp",
	FoundPeriod:     "the bundle is of less than the period that it says: what is left out may be what somebody does not want to be seen",
	FoundPromise:    "a change of what is promised is left out: the records are judged by another promise than the one that was in force",
	FoundRoot:       "the records are not those that the checkpoint was signed for: some were changed, removed or added",
	FoundHead:       "the checkpoint that you were given and this bundle do not belong to one history: the log was cut, or there are two",
}

// OpenIntent is an act that had begun and not ended.
type OpenIntent struct {
	Record   uint64    `json:"record"`
	Time     time.Time `json:"time"`
	Act      Act       `json:"act"`
	Function string    `json:"function,omitempty"`
}

// KeyUse is a key that signs from a record on.
type KeyUse struct {
	Record uint64    `json:"record"`
	Time   time.Time `json:"time"`
	Public string    `json:"public"`
	// How is "first", "announced" by the key before, or "break": it announced
	// itself, because the one before was lost, or it is a stranger's.
	How string `json:"how"`
	// Trusted is true when it was given with --key, or announced by one that
	// is.
	Trusted bool   `json:"trusted"`
	By      string `json:"by,omitempty"`
}

// PolicyChange is a record from which on something else was promised.
type PolicyChange struct {
	Record    uint64                       `json:"record"`
	Time      time.Time                    `json:"time"`
	SHA256    string                       `json:"sha256"`
	By        string                       `json:"by,omitempty"`
	Functions map[string]FunctionObjective `json:"functions"`
	// Anchors are the seconds between two anchors, by to whom.
	Anchors map[string]float64 `json:"anchors,omitempty"`
	Terms   *Terms             `json:"terms,omitempty"`
}

// AnchorGiven is a checkpoint that was given to somebody outside: whoever has it
// can compare.
type AnchorGiven struct {
	Record uint64    `json:"record"`
	Time   time.Time `json:"time"`
	To     string    `json:"to"`
	Size   uint64    `json:"size"`
	Root   string    `json:"root"`
	// Checked is false when the bundle does not hold what it takes.
	Checked bool `json:"checked"`
	// Stamp is what a time stamp says whose signature fits.
	Stamp *StampSeen `json:"stamp,omitempty"`
	// Locked, of a site, is until when nobody can delete what it holds.
	Locked time.Time `json:"locked,omitzero"`
}

// StampSeen is a time stamp by a third party.
type StampSeen struct {
	Time      time.Time `json:"time"`
	Authority string    `json:"authority"`
	// Trusted is true when its certificates lead to a root that was given with
	// --tsa-roots. Otherwise anybody may have made it.
	Trusted bool `json:"trusted"`
}

// Stretch is a time without records.
type Stretch struct {
	From    time.Time `json:"from,omitzero"`
	To      time.Time `json:"to,omitzero"`
	Seconds float64   `json:"seconds"`
	// Before is the sequence of the record that ends it.
	Before uint64 `json:"before"`
}

// HeadCheck is what became of a checkpoint that was brought along.
type HeadCheck struct {
	Size uint64 `json:"size"`
	Root string `json:"root,omitempty"`
	Fits bool   `json:"fits"`
	// NotChecked says why it could not be compared, which shows nothing; empty
	// when it was.
	NotChecked string `json:"not_checked,omitempty"`
}
