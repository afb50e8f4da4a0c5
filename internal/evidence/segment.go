package evidence

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// ErrSegment says: bytes are not a piece of an evidence log.
var ErrSegment = errors.New("not a segment of an evidence log")

const segmentFormat = "https://github.com/saypro/backupd/evidence/segment/v1"

// Segment is a piece of a log as it lies at a site: the exact envelopes of
// records From to To-1, and a signed checkpoint of the first To records.
type Segment struct {
	Origin     string
	From, To   uint64
	Checkpoint []byte
	Envelopes  [][]byte
}

// segmentHead is the first line of a segment.
type segmentHead struct {
	Format     string `json:"format"`
	Origin     string `json:"origin"`
	From       uint64 `json:"from"`
	To         uint64 `json:"to"`
	Checkpoint string `json:"checkpoint"`
}

// Segment returns the records from ≤ sequence < to as bytes for a site: a line
// that says what they are, with a signed checkpoint, and each envelope as a
// line.
func (l *Log) Segment(from, to uint64) ([]byte, error) {
	if from > to || to > l.Size() {
		return nil, fmt.Errorf("segment %d to %d: the evidence log holds %d records", from, to, l.Size())
	}
	checkpoint, err := l.CheckpointAt(to)
	if err != nil {
		return nil, fmt.Errorf("segment %d to %d: %w", from, to, err)
	}
	head, err := json.Marshal(segmentHead{segmentFormat, l.Origin(), from, to, string(checkpoint)})
	if err != nil {
		return nil, fmt.Errorf("segment %d to %d: %w", from, to, err)
	}
	out := append(head, '\n')
	for e, err := range l.Envelopes(from, to) {
		if err != nil {
			return nil, fmt.Errorf("segment %d to %d: %w", from, to, err)
		}
		out = append(append(out, e...), '\n')
	}
	return out, nil
}

// ParseSegment reads a segment. It checks its form and no signature.
func ParseSegment(b []byte) (Segment, error) {
	bad := func(format string, args ...any) (Segment, error) {
		return Segment{}, fmt.Errorf("%w: %s", ErrSegment, fmt.Sprintf(format, args...))
	}
	first, rest, _ := bytes.Cut(b, []byte("\n"))
	var h segmentHead
	if err := json.Unmarshal(first, &h); err != nil {
		return bad("its first line: %v", err)
	}
	if again, err := json.Marshal(h); err != nil || !bytes.Equal(again, first) || h.Format != segmentFormat {
		return bad("its first line is not one of %s", segmentFormat)
	}
	s := Segment{Origin: h.Origin, From: h.From, To: h.To, Checkpoint: []byte(h.Checkpoint)}
	for len(rest) > 0 {
		line, more, ended := bytes.Cut(rest, []byte("\n"))
		if !ended {
			return bad("it ends within a record")
		}
		if _, err := unseal(line); err != nil { // before the next: a file of empty lines is many times its size in memory
			return bad("%v", err)
		}
		s.Envelopes, rest = append(s.Envelopes, line), more
	}
	if s.To < s.From || s.To-s.From != uint64(len(s.Envelopes)) {
		return bad("it says records %d to %d, and has %d", s.From, s.To, len(s.Envelopes))
	}
	at, err := peekCheckpoint(s.Checkpoint)
	if err != nil || at.Origin != s.Origin || at.Size != s.To {
		return bad("its checkpoint is of other records (%+v, %v)", at, err)
	}
	return s, nil
}
