package repository

import (
	"context"
	"errors"
	"slices"

	"pgregory.net/rapid"
)

// doPublish gives the next run of records of a log to the sites.
func (m *machine) doPublish(t *rapid.T) {
	count := rapid.IntRange(1, 30).Draw(t, "records")
	defer m.step(t, "publish %d records from %d on", count, m.records)()
	first := m.records
	m.records += uint64(count) // also when it fails: another run is another one
	err := m.AddEvidence(context.Background(), someLog, first, count, evidenceOf(first, count))
	if err != nil && !errors.Is(err, ErrSpool) && !m.dead() {
		m.fatalf(t, "evidence is refused: %v", err)
	}
	if err == nil && !m.dead() {
		m.runs = append(m.runs, EvidenceObject{Log: someLog, First: first, Count: count})
	}
}

// checkEvidence: at rest each site holds exactly the evidence that the catalog
// knows, each run as it was published; and what was published is known, unless
// the model took it away.
func (m *machine) checkEvidence(t rapid.TB) {
	t.Helper()
	known, err := m.EvidenceObjects()
	m.must(t, err)
	var names []string
	for _, o := range known {
		if len(o.Waiting) > 0 {
			fault, _, err := m.cat.FaultAt(o.Waiting[0], o.Name())
			m.must(t, err)
			if !fault.Lost || o.First >= m.safeFrom {
				m.fatalf(t, "at rest evidence %s waits for %v: %s", o.Name(), o.Waiting, fault.Detail)
			}
			continue
		}
		names = append(names, o.Name())
	}
	for _, p := range m.places {
		if got := p.list(t, evidencePrefix); !slices.Equal(got, names) {
			m.fatalf(t, "at rest site %s holds the evidence %v, the catalog knows %v", p.name, got, names)
		}
		for _, name := range names {
			o, _ := parseEvidenceName(name)
			content, err := p.read(name)
			m.must(t, err)
			if sum(content) != sum(evidenceOf(o.First, o.Count)) {
				m.fatalf(t, "at rest site %s: %s is not what was published", p.name, name)
			}
		}
	}
	for _, o := range m.runs {
		if o.First >= m.safeFrom && !slices.ContainsFunc(known, func(k EvidenceObject) bool { return k.Name() == o.Name() }) {
			m.fatalf(t, "evidence %s was published and nobody knows it", o.Name())
		}
	}
}
