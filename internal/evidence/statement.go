package evidence

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

const (
	statementType = "https://in-toto.io/Statement/v1"
	// predicatePrefix begins the type of each predicate; the act follows.
	predicatePrefix = "https://github.com/saypro/backupd/evidence/v1/"
)

// ErrRecord says: a record does not say what its act asks for, or its bytes are no
// record.
var ErrRecord = errors.New("not a record of an evidence log")

// statement is an in-toto Statement v1 with a record as its predicate.
type statement struct {
	Type          string    `json:"_type"`
	Subject       []subject `json:"subject"`
	PredicateType string    `json:"predicateType"`
	Predicate     Record    `json:"predicate"`
}

type subject struct {
	Name   string            `json:"name"`
	Digest map[string]string `json:"digest"`
}

// subjectOf returns what a record is about: the commit of a snapshot, the
// policy, a scenario; and for a record that names nothing with a digest, the log
// as it stood before the record, whose Merkle root that is.
func subjectOf(r *Record, origin string, before tlog.Hash) subject {
	sha := func(name, digest string) (subject, bool) {
		return subject{Name: name, Digest: map[string]string{"sha256": digest}}, isSHA256(digest)
	}
	var s subject
	var ok bool
	switch {
	case r.Snapshot != nil:
		s, ok = sha("snapshot "+r.Snapshot.ID, r.Snapshot.Commit)
	case r.Proof != nil:
		s, ok = sha("snapshot "+r.Proof.Snapshot, r.Proof.Commit)
	case r.Policy != nil:
		s, ok = sha("policy", r.Policy.SHA256)
	case r.Drill != nil:
		s, ok = sha("scenario "+r.Drill.Scenario, r.Drill.SHA256)
	}
	if ok {
		return s
	}
	return subject{Name: origin, Digest: map[string]string{"rfc6962": hex.EncodeToString(before[:])}}
}

// about reports whether a statement's subject is what its record is about.
func (s *statement) about(origin string, before tlog.Hash) bool {
	want, got := subjectOf(&s.Predicate, origin, before), s.Subject[0]
	return got.Name == want.Name && maps.Equal(got.Digest, want.Digest)
}

func isSHA256(text string) bool {
	raw, err := hex.DecodeString(text)
	return err == nil && len(raw) == 32 && text == strings.ToLower(text)
}

func encodeStatement(r *Record, origin string, before tlog.Hash) ([]byte, error) {
	return json.Marshal(statement{
		Type: statementType, Subject: []subject{subjectOf(r, origin, before)},
		PredicateType: predicatePrefix + string(r.Act), Predicate: *r,
	})
}

// decodeStatement reads a statement. It takes the bytes only when they are what
// encoding the same statement gives: no field that is unknown, twice there or
// differently written can mean one thing to this reader and another to the next.
func decodeStatement(payload []byte) (*statement, error) {
	if crowded(payload) {
		return nil, fmt.Errorf("%w: it has more objects than any record", ErrRecord)
	}
	s, err := parseStatement(payload)
	if err != nil {
		return nil, err
	}
	again, err := json.Marshal(s)
	if err != nil || !bytes.Equal(again, payload) {
		return nil, fmt.Errorf("%w: it is not written in the one way that is taken", ErrRecord)
	}
	return s, nil
}

// maxObjects is how many objects a statement may have. The proof of a function
// with ten thousand tables has little more than that many.
const maxObjects = 50_000

// crowded reports whether a document has so many objects that it takes many times
// its size in memory. As records are written each of many objects has a name or a
// field with some bytes in it.
func crowded(payload []byte) bool {
	most := min(len(payload)/16+64, maxObjects)
	if bytes.Count(payload, []byte{'{'}) <= most {
		return false
	}
	objects, inText := 0, false
	for i := 0; i < len(payload); i++ {
		switch c := payload[i]; {
		case c == '"':
			inText = !inText
		case inText && c == '\\':
			i++
		case !inText && c == '{':
			objects++
		}
	}
	return objects > most
}

// maxName bounds, in bytes, the names of functions, sites and recovery points; the
// program makes much shorter ones. maxSites bounds how many sites there are.
const (
	maxName  = 256
	maxSites = 1000
)

// misnames reports whether a record calls things that are remembered longer than
// it by such names.
func (r *Record) misnames() bool {
	out := []string{r.Function}
	switch {
	case r.Snapshot != nil:
		out = slices.AppendSeq(append(out, r.Snapshot.ID), maps.Keys(r.Snapshot.Durable))
	case r.Durable != nil:
		out = append(out, r.Durable.Snapshot, r.Durable.Site)
	case r.Proof != nil:
		out = append(out, r.Proof.Snapshot, r.Proof.Site, r.Proof.Drill)
	case r.Drill != nil:
		out = append(out, r.Drill.ID)
	case r.Anchor != nil:
		out = append(out, r.Anchor.Root)
	}
	return len(out) > maxSites+2 || slices.ContainsFunc(out, func(name string) bool { return len(name) > maxName })
}

// parseStatement reads a statement that was checked when it was taken in.
func parseStatement(payload []byte) (*statement, error) {
	s := &statement{}
	if err := json.Unmarshal(payload, s); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRecord, err)
	}
	if s.Type != statementType || s.PredicateType != predicatePrefix+string(s.Predicate.Act) || len(s.Subject) != 1 {
		return nil, fmt.Errorf("%w: %q about %q is not a statement of this log", ErrRecord, s.Type, s.PredicateType)
	}
	return s, nil
}

// Those that last have an intent and a result; some of them have events, too.
var (
	acts    = []Act{ActSnapshot, ActDurable, ActProof, ActRestore, ActControls, ActDrill, ActPolicy, ActDeletion, ActKey, ActSuspect, ActAlive, ActAnchor, ActDay, ActFound, ActClock}
	lasting = []Act{ActSnapshot, ActProof, ActRestore, ActControls, ActDrill, ActDeletion, ActKey}
	instant = []Act{ActDurable, ActDrill, ActPolicy, ActDeletion, ActKey, ActSuspect, ActAlive, ActAnchor, ActDay, ActFound, ActClock}
)

// bodies returns the acts of the bodies that a record has.
func (r *Record) bodies() []Act {
	var out []Act
	for _, b := range []struct {
		act   Act
		there bool
	}{
		{ActSnapshot, r.Snapshot != nil},
		{ActDurable, r.Durable != nil},
		{ActProof, r.Proof != nil},
		{ActRestore, r.Restore != nil},
		{ActControls, r.Controls != nil},
		{ActDrill, r.Drill != nil},
		{ActPolicy, r.Policy != nil},
		{ActDeletion, r.Deletion != nil},
		{ActKey, r.Key != nil},
		{ActSuspect, r.Suspect != nil},
		{ActAlive, r.Alive != nil},
		{ActAnchor, r.Anchor != nil},
		{ActDay, r.Day != nil},
		{ActFound, r.Found != nil},
		{ActClock, r.Clock != nil},
	} {
		if b.there {
			out = append(out, b.act)
		}
	}
	return out
}

// check returns what is wrong with the form of a record.
func (r *Record) check() error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: %.40q %.40q: %s", ErrRecord, r.Act, r.Phase, fmt.Sprintf(format, args...))
	}
	if !slices.Contains(acts, r.Act) {
		return bad("there is no act of that name")
	}
	switch r.Phase {
	case Intent, Result:
		if !slices.Contains(lasting, r.Act) {
			return bad("such an act is an event")
		}
	case Event:
		if !slices.Contains(instant, r.Act) {
			return bad("such an act has an intent and a result")
		}
	default:
		return bad("there is no phase of that name")
	}
	ended := r.Phase == Result
	known := slices.Contains([]Outcome{Done, Degraded, Different, Failed, CutShort}, r.Outcome)
	switch bodies := r.bodies(); {
	case len(bodies) > 1 || len(bodies) == 1 && bodies[0] != r.Act:
		return bad("it has the body of %v", bodies)
	case len(bodies) == 0 && (r.Phase == Event || ended && r.Outcome != Failed && r.Outcome != CutShort):
		return bad("it has no body")
	case ended != (r.Intent != nil):
		return bad("a result, and nothing else, names its intent")
	case ended != known:
		return bad("a result, and nothing else, has one of the outcomes; this one has %q", r.Outcome)
	case r.misnames():
		return bad("it has names that are longer, or more sites, than there can be")
	case r.Clock != nil && (r.Clock.Reason == "" || !r.Clock.Was.After(r.Time)):
		return bad("it must say why, and set the clock back")
	case r.Late != "" && r.Phase != Intent:
		return bad("only an intent can be late")
	case r.Promise != nil && !r.namesPromise():
		return bad("only an intent and a policy name the promise before them")
	case r.Outcome == Done && r.Error != "" || !ended && r.Error != "":
		return bad("it has an error, though nothing failed")
	}
	return nil
}
