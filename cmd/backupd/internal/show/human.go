// Package show turns results into text for people: sizes, ages, aligned
// tables, and how far long operations have come.
package show

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// None stands where there is nothing to show.
const None = "-"

// Bytes shows a size with three digits or four and a binary unit: "1.21 GiB".
func Bytes(n int64) string {
	const units = "KMGTPE"
	if n < 0 {
		return "-" + Bytes(-n)
	}
	if n < 1024 {
		return strconv.FormatInt(n, 10) + " B"
	}
	v, i := float64(n)/1024, 0
	for v >= 1023.5 && i < len(units)-1 {
		v /= 1024
		i++
	}
	digits := 2
	switch {
	case v >= 99.95:
		digits = 0
	case v >= 9.995:
		digits = 1
	}
	return strconv.FormatFloat(v, 'f', digits, 64) + " " + units[i:i+1] + "iB"
}

// Count shows a number in groups of three digits: "12 345 678".
func Count(n int64) string {
	digits := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, digits = "-", digits[1:]
	}
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(' ')
		}
		b.WriteRune(d)
	}
	return sign + b.String()
}

// Duration shows a span in its two largest units: "3m12s", "2h05m", "4d03h",
// and below ten seconds with fractions: "1.2s", "850ms".
func Duration(d time.Duration) string {
	if d < 0 {
		return "-" + Duration(-d)
	}
	switch {
	case d < time.Second:
		return strconv.FormatInt(d.Milliseconds(), 10) + "ms"
	case d < 10*time.Second:
		// Cut rather than rounded, so that 9.99 s does not become "10.0s".
		return strconv.FormatFloat(d.Truncate(100*time.Millisecond).Seconds(), 'f', 1, 64) + "s"
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return pair(d, time.Minute, "m", time.Second, "s")
	case d < 24*time.Hour:
		return pair(d, time.Hour, "h", time.Minute, "m")
	default:
		return pair(d, 24*time.Hour, "d", time.Hour, "h")
	}
}

// pair shows d in two units, the smaller one left out when it is zero.
func pair(d, large time.Duration, largeName string, small time.Duration, smallName string) string {
	whole := strconv.Itoa(int(d/large)) + largeName
	if rest := int(d % large / small); rest > 0 {
		whole += fmt.Sprintf("%02d%s", rest, smallName)
	}
	return whole
}

// Seconds shows a span given in seconds.
func Seconds(s float64) string {
	return Duration(time.Duration(s * float64(time.Second)))
}

// Taken shows how long something took, or was without: rounded up, as reports do,
// so that rounding makes nothing look better and both say the same.
func Taken(s float64) string {
	d := time.Duration(s * float64(time.Second))
	unit := time.Millisecond
	switch {
	case d >= 10*time.Second:
		unit = time.Second
	case d >= time.Second:
		unit = 100 * time.Millisecond
	}
	if cut := d.Truncate(unit); cut < d-time.Microsecond {
		d = cut + unit
	}
	return Duration(d)
}

// OptionalSeconds shows a span that may not be known.
func OptionalSeconds(s *float64) string {
	if s == nil {
		return "unknown"
	}
	return Seconds(*s)
}

// span is a duration as programs write it: with a fraction, or with parts that
// are zero.
var span = regexp.MustCompile(`\b(?:\d+h)?(?:\d+m)?\d+(?:\.\d+)?(?:µs|ms|s)\b`)

// Text shortens the durations in a text that was not written for people alone:
// "late by 1.669520583s" becomes "late by 1.6s".
func Text(text string) string {
	return span.ReplaceAllStringFunc(text, func(found string) string {
		if d, err := time.ParseDuration(found); err == nil && len(found) > len(Duration(d)) {
			return Duration(d)
		}
		return found
	})
}

// Time shows a moment in UTC: "2026-11-23 10:42:00Z".
func Time(t time.Time) string {
	if t.IsZero() {
		return None
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}

// Ago shows how long before now t was, or how long after: "3m12s ago",
// "in 30s".
func Ago(t, now time.Time) string {
	switch d := now.Sub(t); {
	case t.IsZero():
		return None
	case d < 0:
		return "in " + Duration(-d)
	default:
		return Duration(d) + " ago"
	}
}

// TimeAgo shows a moment both ways: "2026-11-23 10:42:00Z (3m12s ago)".
func TimeAgo(t, now time.Time) string {
	if t.IsZero() {
		return None
	}
	return Time(t) + " (" + Ago(t, now) + ")"
}

// Plural shows a number with its noun: "1 table", "3 tables".
func Plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}
