package config

import (
	"errors"
	"regexp"
	"strings"
	"time"
)

var (
	durationForm = regexp.MustCompile(`^(([0-9]+(\.[0-9]+)?)(ns|us|µs|ms|s|m|h|d|w))+$`)
	durationPart = regexp.MustCompile(`([0-9]+(?:\.[0-9]+)?)(ns|us|µs|ms|s|m|h|d|w)`)
	errDuration  = errors.New("not a duration; write a number with a unit: 30s, 15m, 6h, 2d, 1w")
)

// ParseDuration reads a duration as Go writes it, and also with d for days of
// 24 hours and w for weeks: 1d12h, 2w. Negative ones are refused.
func ParseDuration(s string) (time.Duration, error) {
	s = strings.TrimSpace(s)
	if s == "0" {
		return 0, nil
	}
	if !durationForm.MatchString(s) {
		return 0, errDuration
	}
	var sum time.Duration
	for _, m := range durationPart.FindAllStringSubmatch(s, -1) {
		unit, times := m[2], time.Duration(1)
		switch unit {
		case "d":
			unit, times = "h", 24
		case "w":
			unit, times = "h", 24*7
		}
		part, err := time.ParseDuration(m[1] + unit)
		if err != nil || part*times/times != part {
			return 0, errDuration
		}
		if sum += part * times; sum < 0 {
			return 0, errDuration
		}
	}
	return sum, nil
}
