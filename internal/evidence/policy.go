package evidence

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
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
