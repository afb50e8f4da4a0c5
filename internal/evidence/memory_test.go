package evidence

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// memory is a store that keeps all in lists and finds by looking at each record.
// The real one is the catalog, whose tests run the same log on a disk.
type memory struct {
	mu      sync.Mutex
	head    []byte
	entries []Entry
	hashes  map[int64]Hash
	fail    error // of the next append
}

func (m *memory) EvidenceHead() ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.head), nil
}

func (m *memory) AppendEvidence(head []byte, entries []Entry) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.fail; err != nil {
		m.fail = nil
		return err
	}
	if m.hashes == nil {
		m.hashes = map[int64]Hash{}
	}
	for _, e := range entries {
		if e.Sequence != uint64(len(m.entries)) {
			return fmt.Errorf("record %d comes after %d", e.Sequence, len(m.entries))
		}
		for i := range m.entries {
			if e.SetsBack && m.entries[i].Time.After(e.Time) {
				m.entries[i].Time = e.Time
			}
		}
		m.entries = append(m.entries, e)
		for i, h := range e.Hashes {
			m.hashes[e.HashIndex+int64(i)] = h
		}
	}
	if head != nil {
		m.head = slices.Clone(head)
	}
	return nil
}

func (m *memory) EvidenceEnvelopes(from uint64, limit int) (out [][]byte, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for ; from < uint64(len(m.entries)) && len(out) < limit; from++ {
		out = append(out, m.entries[from].Envelope)
	}
	return out, nil
}

func (m *memory) EvidenceHashes(indexes []int64) ([]Hash, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []Hash
	for _, i := range indexes {
		h, ok := m.hashes[i]
		if !ok {
			return nil, fmt.Errorf("no hash %d", i)
		}
		out = append(out, h)
	}
	return out, nil
}

func (m *memory) FindEvidence(act Act, function string, from, to time.Time) (out []uint64, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range m.entries {
		if e.Act == act && (function == "" || e.Function == function) && (from.IsZero() || !e.Time.Before(from)) && (to.IsZero() || e.Time.Before(to)) {
			out = append(out, e.Sequence)
		}
	}
	return out, nil
}

func (m *memory) UnfinishedEvidence() (out []uint64, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range m.entries {
		if e.Opens {
			out = append(out, e.Sequence)
		}
		if e.Closes != nil {
			out = slices.DeleteFunc(out, func(n uint64) bool { return n == *e.Closes })
		}
	}
	return out, nil
}

func (m *memory) ClearEvidence() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.head != nil {
		return errors.New("has a head")
	}
	m.entries, m.hashes = nil, nil
	return nil
}
