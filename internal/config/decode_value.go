package config

import (
	"math"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
)

// never is what "never" is decoded to, where it may stand for a duration.
const never time.Duration = -1

// mayBeNever reports whether the duration at path can be switched off: with a
// word, because a zero may also come about by mistake.
func mayBeNever(path string) bool {
	return path == "scrub.every" || path == "drills.controls_every" || strings.HasPrefix(path, "functions.") &&
		(strings.HasSuffix(path, ".prove.rotate") || strings.HasSuffix(path, ".prove.cold_every"))
}

func (d *decoder) duration(path string, n ast.Node, v reflect.Value) {
	s, ok := d.expanded(path, n, "a duration such as 15m", false)
	if !ok {
		return
	}
	if mayBeNever(path) && s == "never" {
		v.SetInt(int64(never))
		return
	}
	t, err := ParseDuration(s)
	if err != nil {
		hint := "write a number with a unit: 30s, 15m, 6h, 2d or 1w, also together as in 1h30m"
		if strings.HasPrefix(s, "-") {
			hint = "remove the minus"
		} else if _, e := strconv.ParseFloat(s, 64); e == nil {
			hint = "a number needs its unit: " + d.raw[path] + "s for seconds, " + d.raw[path] + "m for minutes"
		} else if mayBeNever(path) {
			hint = "write a number with a unit, such as 30d, or never"
		}
		d.problem(path, d.shown(path)+" is not a duration", hint)
		return
	}
	v.SetInt(int64(t))
}

func (d *decoder) integer(path string, n ast.Node, v reflect.Value) {
	s, ok := d.scalar(path, n, "a whole number")
	if !ok {
		return
	}
	i, err := strconv.ParseInt(s, 10, 32)
	if _, isInt := n.(*ast.IntegerNode); err != nil || !isInt {
		d.problem(path, quote(s)+" is not a whole number", "write digits only, without quotes or ${…}")
		return
	}
	v.SetInt(i)
}

func (d *decoder) boolean(path string, n ast.Node, v reflect.Value) {
	b, ok := n.(*ast.BoolNode)
	if !ok {
		if s, scalar := d.scalar(path, n, "true or false"); scalar {
			d.problem(path, quote(s)+" is neither true nor false", "write true or false")
		}
		return
	}
	v.SetBool(b.Value)
}

func (d *decoder) size(path string, n ast.Node, v reflect.Value) {
	s, ok := d.expanded(path, n, "a size such as 32GiB", false)
	if !ok {
		return
	}
	size, err := ParseSize(s)
	if err != nil {
		d.problem(path, d.shown(path)+" is not a size", sizeHint(s, d.raw[path]))
		return
	}
	v.SetInt(int64(size))
}

// decimal is how prices are written: no exponents, no signs.
var decimal = regexp.MustCompile(`^[0-9]+(\.[0-9]+)?$`)

func (d *decoder) number(path string, n ast.Node, v reflect.Value) {
	s, ok := d.scalar(path, n, "a number")
	if !ok {
		return
	}
	f, err := strconv.ParseFloat(s, 64)
	if _, text := n.(*ast.StringNode); text || err != nil || !decimal.MatchString(s) || math.IsInf(f, 0) {
		d.problem(path, quote(s)+" is not a number", "write digits and at most one dot, such as 0.005, without quotes or ${…}")
		return
	}
	v.SetFloat(f)
}
