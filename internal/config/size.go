package config

import (
	"errors"
	"regexp"
	"strconv"
	"strings"
)

// Size is a number of bytes. In the file it has a unit, as 20MiB, or is a
// plain whole number.
type Size int64

var (
	sizeForm = regexp.MustCompile(`^([0-9]+)(\.[0-9]+)?(B|KiB|MiB|GiB|TiB|KB|MB|GB|TB)$|^[0-9]+$`)
	errSize  = errors.New("not a size; write a number with a unit: 512KiB, 20MiB, 32GiB, 1TiB, or MB and GB for powers of ten")
)

// sizeUnits are the units from the largest to the smallest, so that String
// finds the shortest form.
var sizeUnits = []struct {
	name  string
	bytes int64
}{
	{"TiB", 1 << 40},
	{"TB", 1e12},
	{"GiB", 1 << 30},
	{"GB", 1e9},
	{"MiB", 1 << 20},
	{"MB", 1e6},
	{"KiB", 1 << 10},
	{"KB", 1e3},
	{"B", 1},
}

// ParseSize reads a size: 512KiB, 1.5GiB, 20MB, or bytes as a plain number.
// Units are written exactly so; negative sizes and those beyond all bounds are
// refused. A part of a byte is cut off.
func ParseSize(s string) (Size, error) {
	s = strings.TrimSpace(s)
	if !sizeForm.MatchString(s) {
		return 0, errSize
	}
	number, unit := s, int64(1)
	for _, u := range sizeUnits {
		if rest, ok := strings.CutSuffix(s, u.name); ok {
			number, unit = rest, u.bytes
			break
		}
	}
	whole, fraction, _ := strings.Cut(number, ".")
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || n > (1<<62)/unit {
		return 0, errSize
	}
	part, err := strconv.ParseFloat("0."+fraction+"0", 64)
	if err != nil {
		return 0, errSize
	}
	return Size(n*unit + int64(part*float64(unit))), nil
}

// String writes the size in the largest unit that it is a whole number of.
func (s Size) String() string {
	for _, u := range sizeUnits {
		if s != 0 && int64(s)%u.bytes == 0 {
			return strconv.FormatInt(int64(s)/u.bytes, 10) + u.name
		}
	}
	return "0"
}

// MarshalText writes the size as [Size.String] does, for JSON and YAML.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

var looseSize = regexp.MustCompile(`(?i)^([0-9]+(?:\.[0-9]+)?) *([kmgt])(i?b?)$`)

// sizeHint says what to write instead of s, which stands in the file as raw.
func sizeHint(s, raw string) string {
	const hint = "write a number with a unit: 512KiB, 20MiB, 32GiB or 1TiB"
	if s != raw { // out of a variable
		return hint
	}
	if strings.HasPrefix(s, "-") {
		return "remove the minus"
	}
	if rest, ok := strings.CutSuffix(s, "/s"); ok && sizeForm.MatchString(rest) {
		return "write " + rest + ": a rate is of a second anyway"
	}
	if m := looseSize.FindStringSubmatch(s); m != nil {
		near := m[1] + strings.ToUpper(m[2]) + "iB"
		if _, err := ParseSize(near); err == nil {
			return "did you mean " + near + "?"
		}
	}
	return hint
}
