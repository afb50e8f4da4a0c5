package config

import (
	"errors"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// Percent is a share in whole percent, 50% in the file.
type Percent int

var (
	percentForm = regexp.MustCompile(`^(100|[1-9][0-9]?)%$`)
	errPercent  = errors.New("not a share; write 1% to 100%")
)

// ParsePercent reads a share: 50%.
func ParsePercent(s string) (Percent, error) {
	if !percentForm.MatchString(s) {
		return 0, errPercent
	}
	n, err := strconv.Atoi(strings.TrimSuffix(s, "%"))
	return Percent(n), err
}

// Share returns the percentage as a number from 0 to 1.
func (p Percent) Share() float64 { return float64(p) / 100 }

// String writes the share as in the file.
func (p Percent) String() string { return strconv.Itoa(int(p)) + "%" }

// MarshalText writes the share as [Percent.String] does.
func (p Percent) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads what MarshalText writes, 0% for what is not set included.
func (p *Percent) UnmarshalText(text []byte) (err error) {
	if *p = 0; string(text) == p.String() {
		return nil
	}
	*p, err = ParsePercent(string(text))
	return err
}

func (d *decoder) percent(path string, n ast.Node, v reflect.Value) {
	s, ok := d.expanded(path, n, "a share such as 50%", false)
	if !ok {
		return
	}
	p, err := ParsePercent(s)
	if err != nil {
		hint := "write a whole number from 1% to 100%"
		if near := s + "%"; s == d.raw[path] && percentForm.MatchString(near) {
			hint = "did you mean " + near + "?"
		}
		d.problem(path, d.shown(path)+" is not a share", hint)
		return
	}
	v.SetInt(int64(p))
}
