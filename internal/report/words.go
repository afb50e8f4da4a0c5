package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

const day = 24 * time.Hour

// when is a moment as reports write it, UTC.
func when(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}

// until is the time of the end of a stretch that may be short.
func until(from, to time.Time) string {
	if from.UTC().Truncate(day).Equal(to.UTC().Truncate(day)) {
		return to.UTC().Format("15:04:05Z")
	}
	return when(to)
}

// span is a duration in seconds for people. It is rounded up, to a tenth of a
// second below ten and else to a second, so that rounding never makes anything look
// faster or younger than it was.
func span(seconds float64) string {
	switch {
	case math.IsNaN(seconds) || math.IsInf(seconds, 0):
		return "unknown"
	case seconds < 0:
		return "-" + span(-seconds)
	case seconds > 0 && seconds < 10 && seconds != math.Trunc(seconds):
		return strconv.FormatFloat(math.Ceil(seconds*10)/10, 'f', -1, 64) + "s"
	}
	// A float of a time in milliseconds is off by less than a microsecond.
	s := int64(math.Ceil(seconds - 1e-6))
	parts := []string{}
	for _, unit := range []struct {
		name string
		size int64
	}{{"d", 86400}, {"h", 3600}, {"m", 60}, {"s", 1}} {
		if n := s / unit.size; n > 0 {
			parts = append(parts, strconv.FormatInt(n, 10)+unit.name)
			s %= unit.size
		}
	}
	if len(parts) == 0 {
		return "0s"
	}
	return strings.Join(parts, " ")
}

// spanOr is [span], or what stands for not known.
func spanOr(seconds *float64, unknown string) string {
	if seconds == nil {
		return unknown
	}
	return span(*seconds)
}

// percent is a share as a percentage, cut and never rounded up: only all of it
// is 100 %.
func percent(share float64) string {
	switch {
	case share >= 1:
		return "100 %"
	case share <= 0:
		return "0 %"
	}
	for digits := 2; ; digits++ {
		text := cutDecimal(share*100, digits)
		if strings.Trim(text, "9.") != "" || digits == maxDigits {
			return text + " %"
		}
	}
}

// maxDigits is how many decimals of a percentage are shown at most.
const maxDigits = 8

// cutDecimal writes a number with so many decimals, the rest cut off, and no
// more than two zeros at its end.
func cutDecimal(f float64, digits int) string {
	scale := math.Pow(10, float64(digits))
	// A float is off by far less than this, which is far less than is shown.
	text := strconv.FormatFloat(math.Floor(f*scale+1e-6)/scale, 'f', digits, 64)
	if strings.HasPrefix(text, "100") {
		return "99." + strings.Repeat("9", digits)
	}
	for digits > 2 && strings.HasSuffix(text, "0") {
		text, digits = text[:len(text)-1], digits-1
	}
	return text
}

func percentOr(share *float64, unknown string) string {
	if share == nil {
		return unknown
	}
	return percent(*share)
}

// size is a number of bytes for people.
func size(n int64) string {
	if n < 1024 && n > -1024 {
		return strconv.FormatInt(n, 10) + " B"
	}
	f := float64(n)
	for _, unit := range []string{"KiB", "MiB", "GiB", "TiB"} {
		f /= 1024
		if math.Abs(f) < 1024 || unit == "TiB" {
			return strconv.FormatFloat(f, 'f', 1, 64) + " " + unit
		}
	}
	return ""
}

// count is a number with its thousands apart, by spaces that do not break.
func count[N int | int64 | uint64](n N) string { return grouped(fmt.Sprint(n)) }

func grouped(digits string) string {
	sign := ""
	if strings.HasPrefix(digits, "-") {
		sign, digits = "-", digits[1:]
	}
	var b strings.Builder
	for i, c := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteRune('\u00a0')
		}
		b.WriteRune(c)
	}
	return sign + b.String()
}

// plural is a count with its noun, "1 proof" or "3 proofs".
func plural(n int, noun string) string {
	switch {
	case n == 1:
		return "1 " + noun
	case strings.HasSuffix(noun, "y"):
		return count(n) + " " + strings.TrimSuffix(noun, "y") + "ies"
	default:
		return count(n) + " " + noun + "s"
	}
}

// list joins words as in a sentence: "a, b and c".
func list(words []string) string {
	switch len(words) {
	case 0:
		return ""
	case 1:
		return words[0]
	default:
		return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
	}
}

// longText is how much of a text a table shows; the JSON form has all of it.
const longText = 320

// short cuts a text that is too long for a table, and says so.
func short(text string) string {
	runes := []rune(text)
	if len(runes) <= longText {
		return text
	}
	return string(runes[:longText]) + "… (cut here; the JSON form has all of it)"
}

// upTo is a share that is not exceeded, as a percentage, rounded up.
func upTo(share float64) string {
	return strconv.FormatFloat(math.Ceil(share*1000)/10, 'f', 1, 64) + " %"
}
