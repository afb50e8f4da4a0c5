package suspicion

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"slices"
)

// SampleRows is how many rows a sample holds. A share of changed rows of one
// half is then found with a standard error of 3 %.
const SampleRows = 256

// Sample are the least of the hashes of a table's distinct rows, rising, at
// most [SampleRows]. Which rows those are depends on nothing but the rows, so
// that two samples of one table are of the same rows as far as both still have
// them (A. Z. Broder, On the resemblance and containment of documents, 1997;
// Z. Bar-Yossef and others, Counting distinct elements in a data stream, 2002).
type Sample []uint64

// whole says whether the sample is of all rows.
func (s Sample) whole() bool { return len(s) < SampleRows }

// reach is up to which hash the sample tells of every row.
func (s Sample) reach() uint64 {
	if s.whole() {
		return ^uint64(0)
	}
	return s[len(s)-1]
}

// Gone compares two samples of a table: of how many rows of before it is known
// what became of them, and how many of those are gone.
func (s Sample) Gone(after Sample) (of, gone int) {
	reach := min(s.reach(), after.reach())
	for _, h := range s {
		if h > reach {
			break
		}
		of++
		if _, there := slices.BinarySearch(after, h); !there {
			gone++
		}
	}
	return of, gone
}

// Sampler takes the sample of rows. The zero value is ready to use.
type Sampler struct {
	seen []uint64 // candidates in any order, possibly more than once
	most uint64   // no hash above it is one; 0: all are
}

// Add takes the hash of one row.
func (s *Sampler) Add(hash uint64) {
	if s.most != 0 && hash > s.most {
		return
	}
	if s.seen = append(s.seen, hash); len(s.seen) >= 4*SampleRows {
		s.settle()
	}
}

// Merge takes the rows that another one has taken.
func (s *Sampler) Merge(o Sampler) {
	for _, h := range o.seen {
		s.Add(h)
	}
}

// settle keeps the least hashes, each once.
func (s *Sampler) settle() {
	slices.Sort(s.seen)
	s.seen = slices.Compact(s.seen)
	if len(s.seen) >= SampleRows {
		s.seen = s.seen[:SampleRows]
		s.most = s.seen[SampleRows-1]
	}
}

// Sample returns the sample of the rows taken so far.
func (s *Sampler) Sample() Sample {
	s.settle()
	return append(Sample{}, s.seen...)
}

// MarshalText writes the hashes as base64 of eight bytes each, the most
// significant first.
func (s Sample) MarshalText() ([]byte, error) {
	raw := make([]byte, 0, 8*len(s))
	for _, h := range s {
		raw = binary.BigEndian.AppendUint64(raw, h)
	}
	return base64.RawStdEncoding.AppendEncode(nil, raw), nil
}

// UnmarshalText reads what MarshalText writes.
func (s *Sample) UnmarshalText(text []byte) error {
	raw, err := base64.RawStdEncoding.AppendDecode(nil, text)
	if err != nil || len(raw)%8 != 0 {
		return fmt.Errorf("suspicion: not a sample: %.20q", text)
	}
	*s = make(Sample, 0, len(raw)/8)
	for ; len(raw) > 0; raw = raw[8:] {
		*s = append(*s, binary.BigEndian.Uint64(raw))
	}
	return nil
}
