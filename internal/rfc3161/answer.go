package rfc3161

import (
	"encoding/asn1"
	"fmt"
	"strings"
)

// answer is a TimeStampResp of RFC 3161, section 2.4.2. The library reads it,
// too, and loses why a request was refused.
type answer struct {
	Status struct {
		Status int
		Texts  []asn1.RawValue `asn1:"optional"`
		Fail   asn1.BitString  `asn1:"optional"`
	}
	Token asn1.RawValue `asn1:"optional"`
}

// The statuses with a token.
const granted, grantedWithChanges = 0, 1

// unwrap returns the token in an answer.
func unwrap(b []byte) ([]byte, error) {
	var a answer
	rest, err := asn1.Unmarshal(b, &a)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrToken, err)
	case len(rest) > 0:
		return nil, fmt.Errorf("%w: something follows it", ErrToken)
	case a.Status.Status != granted && a.Status.Status != grantedWithChanges:
		var said []string
		for _, t := range a.Status.Texts {
			said = append(said, fmt.Sprintf("%.200q", t.Bytes))
		}
		return nil, refusal(a.Status.Status, said)
	case len(a.Token.FullBytes) == 0:
		return nil, fmt.Errorf("%w: there is none in the answer", ErrToken)
	}
	return a.Token.FullBytes, nil
}

func refusal(status int, said []string) error {
	text := strings.Join(said, ", ")
	if text == "" {
		text = "it says no more"
	}
	return fmt.Errorf("%w: status %d: %s", ErrRefused, status, text)
}
