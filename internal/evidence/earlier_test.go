package evidence

import (
	"encoding/json"
	"testing"
)

// Records that earlier versions wrote are taken as they are, byte for byte, and
// what they promised has the digest that it had.
func TestRecordsOfEarlierVersionsAreTaken(t *testing.T) {
	const subject = `"subject":[{"name":"x","digest":{"rfc6962":"00"}}]`
	for _, predicate := range []string{
		`restore","predicate":{"sequence":7,"time":"2026-11-25T10:00:00Z","act":"restore","phase":"intent","function":"payments","restore":{"snapshot":"","recovery_point":"0001-01-01T00:00:00Z","target":"db2"}}}`,
		`key","predicate":{"sequence":7,"time":"2026-11-25T10:00:00Z","act":"key","phase":"intent","key":{"operation":"rotate"}}}`,
		`policy","predicate":{"sequence":7,"time":"2026-11-25T10:00:00Z","act":"policy","phase":"event","policy":{"sha256":"` + earlierDigest + `","sites":["onsite"],"functions":` + earlierFunctions + `}}}`,
	} {
		s, err := decodeStatement([]byte(`{"_type":"` + statementType + `",` + subject + `,"predicateType":"` + predicatePrefix + predicate))
		if err != nil {
			t.Errorf("%s: %v", predicate, err)
			continue
		}
		if err := s.Predicate.check(); err != nil {
			t.Errorf("%s: %v", predicate, err)
		}
		if p := s.Predicate.Policy; p != nil {
			if sum, err := p.Digest(); err != nil || sum != earlierDigest {
				t.Errorf("the digest is %s now, %v", sum, err)
			}
		}
	}
	var functions map[string]FunctionObjective
	if err := json.Unmarshal([]byte(earlierFunctions), &functions); err != nil || functions["payments"].RPOSeconds != 300 {
		t.Error(functions, err)
	}
}

const (
	earlierFunctions = `{"payments":{"rpo_seconds":300,"rto_seconds":3600,"priority":1,"source":"market","scope":["payments"],"prove_every_seconds":86400,"prove_level":"L5","checks":{"balanced":"ab"}}}`
	// earlierDigest is the SHA-256 of {"sites":["onsite"],"functions":…}.
	earlierDigest = "9ab57b0cb8125647caf44f1752063b962c1b9820a1ce0142f53dc443136e4a7e"
)
