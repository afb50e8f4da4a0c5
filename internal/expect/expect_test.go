package expect

import (
	"errors"
	"math/big"
	"strconv"
	"testing"

	"pgregory.net/rapid"
)

func TestHolds(t *testing.T) {
	for _, c := range []struct {
		expect, observed string
		want             bool
	}{
		{"0", "0", true},
		{"= 0", "0.000", true},
		{"=0", "-0", true},
		{"= 0", "1", false},
		{">= 1", "1", true},
		{">= 1", "0.999999999999999999999", false},
		{"> 9007199254740992", "9007199254740993", true}, // equal as floats
		{"= 0.1", "0.1000000000000000055511151231257827", false},
		{"< 1e3", "999.9", true},
		{"<= 10", "9", true}, // not as text
		{"!= 0", "0.0", false},
		{"!= broken", "whole", true},
		{"!= 0", "t", true},
		{"t", "t", true},
		{"= t", "f", false},
		{"0", "", false},
		{"=", "", true},
		{"!=", "", false},
		{"< b", "a", true},
		{">= 2026-01-01", "2026-11-25", true},
		{"= NaN", "NaN", true},
		{"= 1/2", "0.5", false},
		{"= 0x10", "16", false},
		{"= 1_000", "1000", false},
		{" = two words ", "two words", true},
	} {
		e, err := Parse(c.expect)
		if err != nil {
			t.Errorf("%q: %v", c.expect, err)
			continue
		}
		if got, err := e.Holds(c.observed); got != c.want || err != nil {
			t.Errorf("observed %q, expected %q: %t, %v", c.observed, c.expect, got, err)
		}
	}
}

// A text that is not a number must not pass a check for a number because of how
// it is spelt.
func TestNumberAndTextHaveNoOrder(t *testing.T) {
	for expect, observed := range map[string]string{
		">= 1": "f", "< 5": "", "> 0": "Infinity", "<= 0": "-Infinity", ">= 0": "NaN", "< zebra": "1", "> 1": "1e1000000000",
	} {
		e, err := Parse(expect)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := e.Holds(observed); got || !errors.Is(err, ErrIncomparable) {
			t.Errorf("observed %q, expected %q: %t, %v", observed, expect, got, err)
		}
	}
}

func TestWrongForms(t *testing.T) {
	for _, text := range []string{"", "  ", "== 1", "=> 1", "<>1", ">> 1", "<", ">= ", "!== 1", "=< 3"} {
		if e, err := Parse(text); !errors.Is(err, ErrForm) {
			t.Errorf("%q was read as %q, %v", text, e, err)
		}
	}
	if _, err := (Expectation{"~", "x"}).Holds("x"); !errors.Is(err, ErrForm) {
		t.Errorf("an unknown operator: %v", err)
	}
}

// Numbers are compared as the whole numbers that they are made of, at any scale.
func TestNumbersCompareExactly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.Int64().Draw(t, "a"), rapid.Int64().Draw(t, "b")
		if rapid.Bool().Draw(t, "near") {
			b = a + int64(rapid.IntRange(-1, 1).Draw(t, "step"))
		}
		scale := rapid.IntRange(-300, 300).Draw(t, "scale")
		text := func(n int64) string { return strconv.FormatInt(n, 10) + "e" + strconv.Itoa(scale) }
		order := big.NewInt(a).Cmp(big.NewInt(b))
		for op, want := range map[Operator]bool{
			Equal: order == 0, NotEqual: order != 0, Less: order < 0, LessOrEqual: order <= 0, Greater: order > 0, GreaterOrEqual: order >= 0,
		} {
			e, err := Parse(Expectation{op, text(b)}.String())
			if err != nil {
				t.Fatal(err)
			}
			if got, err := e.Holds(text(a)); got != want || err != nil {
				t.Fatalf("%s %s %s: %t, %v", text(a), op, text(b), got, err)
			}
		}
	})
}
