// Package expect compares what a check has observed with what was expected of
// it: exactly, as numbers or as text. Whoever checks a record of a comparison
// makes it again with this package, so it depends on nothing.
package expect

import (
	"errors"
	"fmt"
	"math/big"
	"regexp"
	"strings"
)

// Operator is a comparison: what was observed, the operator, what is expected.
type Operator string

// The operators.
const (
	Equal          Operator = "="
	NotEqual       Operator = "!="
	Less           Operator = "<"
	LessOrEqual    Operator = "<="
	Greater        Operator = ">"
	GreaterOrEqual Operator = ">="
)

// operators in the order in which they are looked for at the beginning of a
// text.
var operators = []Operator{NotEqual, LessOrEqual, GreaterOrEqual, Equal, Less, Greater}

var (
	// ErrForm marks an expectation that cannot be read.
	ErrForm = errors.New("not an expectation")
	// ErrIncomparable marks two values of which neither is more than the
	// other: one is a number and the other is not.
	ErrIncomparable = errors.New("cannot be compared")
)

// Expectation is an operator and a value.
type Expectation struct {
	Operator Operator
	Value    string
}

// Parse reads "= 0", ">= 1", "!= broken"; a value without an operator is to be
// equalled. Space around the value does not count. The error matches [ErrForm].
func Parse(text string) (Expectation, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return Expectation{}, fmt.Errorf("%w: it is empty", ErrForm)
	}
	for _, op := range operators {
		value, ok := strings.CutPrefix(text, string(op))
		if !ok {
			continue
		}
		e := Expectation{op, strings.TrimSpace(value)}
		if strings.HasPrefix(value, "=") || strings.HasPrefix(value, ">") || strings.HasPrefix(value, "<") {
			return e, fmt.Errorf("%w: %q is no operator; there are = != < <= > >=", ErrForm, string(op)+value[:1])
		}
		if e.Value == "" && op != Equal && op != NotEqual {
			return e, fmt.Errorf("%w: nothing to compare with follows %s", ErrForm, op)
		}
		return e, nil
	}
	return Expectation{Equal, text}, nil
}

// String writes the expectation as it is read.
func (e Expectation) String() string { return strings.TrimSpace(string(e.Operator) + " " + e.Value) }

// Holds reports whether observed is as expected. Two numbers are compared as
// numbers, without rounding; everything else as text, byte by byte, but a
// number is neither more nor less than a text: the error then matches
// [ErrIncomparable].
func (e Expectation) Holds(observed string) (bool, error) {
	got, gotNumber := number(observed)
	want, wantNumber := number(e.Value)
	var order int
	switch {
	case gotNumber && wantNumber:
		order = got.Cmp(want)
	case gotNumber != wantNumber && e.Operator != Equal && e.Operator != NotEqual:
		return false, fmt.Errorf("%w: %q %s %q: one is a number, the other is not", ErrIncomparable, observed, e.Operator, e.Value)
	default:
		order = strings.Compare(observed, e.Value)
	}
	switch e.Operator {
	case Equal:
		return order == 0, nil
	case NotEqual:
		return order != 0, nil
	case Less:
		return order < 0, nil
	case LessOrEqual:
		return order <= 0, nil
	case Greater:
		return order > 0, nil
	case GreaterOrEqual:
		return order >= 0, nil
	}
	return false, fmt.Errorf("%w: operator %q", ErrForm, string(e.Operator))
}

// decimal is the form of a number. The exponent is short, so that no text makes
// a number of a billion digits.
var decimal = regexp.MustCompile(`^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?$`)

// number reads a decimal number. "NaN", "Infinity", fractions and numbers with
// another base are text.
func number(text string) (*big.Rat, bool) {
	text = strings.TrimSpace(text)
	if !decimal.MatchString(text) {
		return nil, false
	}
	return new(big.Rat).SetString(text)
}
