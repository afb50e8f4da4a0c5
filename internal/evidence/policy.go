package evidence

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"
)

// Digest is the SHA-256, in hexadecimal digits, of the JSON object with the
// promise's sites, functions and, if there are any, anchors and terms, written as
// in the record: by it the same promise is told once.
func (p *Policy) Digest() (string, error) {
	text, err := json.Marshal(struct {
		Sites     []string                     `json:"sites"`
		Functions map[string]FunctionObjective `json:"functions"`
		Anchors   map[string]float64           `json:"anchors,omitempty"`
		Terms     *Terms                       `json:"terms,omitempty"`
	}{p.Sites, p.Functions, p.Anchors, p.Terms})
	if err != nil {
		return "", fmt.Errorf("digest of the objectives: %w", err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}

// findPromise returns the newest policy of the log, nil when there is none.
func (l *Log) findPromise() (*uint64, error) {
	found, err := l.store.FindEvidence(ActPolicy, "", time.Time{}, time.Time{})
	if err != nil {
		return nil, fmt.Errorf("search the evidence log: %w", err)
	}
	if len(found) == 0 {
		return nil, nil
	}
	return &found[len(found)-1], nil
}
