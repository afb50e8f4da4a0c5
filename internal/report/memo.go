package report

import (
	"iter"
	"sort"
	"time"

	"github.com/saypro/backupd/internal/evidence"
)

// remembered is how far before a period records are kept in memory: what its
// judgement looks back to in the first place.
const remembered = 10 * day

// memo reads the roll-ups of days and the proofs of a log once, though several
// parts of a report look at them: reading a record costs far more than keeping it.
type memo struct {
	evidence.Reader
	since time.Time
	known map[evidence.Act][]evidence.Record
}

// Find implements [evidence.Reader].
func (m *memo) Find(act evidence.Act, function string, from, to time.Time) iter.Seq2[evidence.Record, error] {
	if act != evidence.ActDay && act != evidence.ActProof || from.Before(m.since) {
		return m.Reader.Find(act, function, from, to)
	}
	return func(yield func(evidence.Record, error) bool) {
		records, err := m.of(act)
		if err != nil {
			yield(evidence.Record{}, err)
			return
		}
		i := sort.Search(len(records), func(i int) bool { return !records[i].Time.Before(from) })
		for ; i < len(records); i++ {
			r := records[i]
			if !to.IsZero() && !r.Time.Before(to) {
				return
			}
			if (function == "" || r.Function == function) && !yield(r, nil) {
				return
			}
		}
	}
}

func (m *memo) of(act evidence.Act) ([]evidence.Record, error) {
	if records, ok := m.known[act]; ok {
		return records, nil
	}
	var records []evidence.Record
	for r, err := range m.Reader.Find(act, "", m.since, time.Time{}) {
		if err != nil {
			return nil, err
		}
		records = append(records, r)
	}
	m.known[act] = records
	return records, nil
}
