package config

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// ParseCron reads a cron expression of five fields or a descriptor such as
// @hourly or @every 10m. Times are UTC unless it begins with CRON_TZ=ZONE.
func ParseCron(expression string) (cron.Schedule, error) {
	spec := strings.TrimSpace(expression)
	if strings.HasPrefix(spec, "TZ=") || strings.HasPrefix(spec, "CRON_TZ=") {
		if !strings.Contains(spec, " ") {
			return nil, errors.New("a time zone without an expression after it")
		}
	} else {
		spec = "CRON_TZ=UTC " + spec
	}
	s, err := cron.ParseStandard(spec)
	if err != nil {
		return nil, fmt.Errorf("cron expression: %w", err)
	}
	return s, nil
}

// LongestGap returns the longest time between two activations, and 0 for a
// schedule that never comes twice. It looks through eight years; with a time
// zone only through one, when the schedule is too dense to follow for longer.
func LongestGap(s cron.Schedule) time.Duration {
	if every, ok := s.(cron.ConstantDelaySchedule); ok {
		return every.Delay
	}
	if spec, ok := s.(*cron.SpecSchedule); ok && spec.Location == time.UTC {
		return longestGapByDay(s)
	}
	return longestGapByStep(s)
}

// A fixed period, so that the answer does not depend on today: it begins
// before a leap year and holds two leap days.
var gapsFrom, gapsTo = time.Date(2023, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2031, 1, 1, 0, 0, 0, 0, time.UTC)

// longestGapByStep follows a schedule from each activation to the next.
func longestGapByStep(s cron.Schedule) time.Duration {
	const steps = 100_000
	year := gapsFrom.AddDate(1, 1, 0)
	var longest time.Duration
	last := s.Next(gapsFrom)
	for n := 0; !last.IsZero() && last.Before(gapsTo) && (n < steps || last.Before(year)); n++ {
		next := s.Next(last)
		if next.IsZero() {
			break
		}
		longest = max(longest, next.Sub(last))
		last = next
	}
	return longest
}

// longestGapByDay uses that in UTC a cron expression has the same times of day
// on each day that it has at all, so that one day of steps is enough.
func longestGapByDay(s cron.Schedule) time.Duration {
	first := s.Next(gapsFrom.Add(-time.Second))
	if first.IsZero() {
		return 0
	}
	var longest time.Duration
	last, tomorrow := first, first.Truncate(24*time.Hour).Add(24*time.Hour)
	for next := s.Next(last); !next.IsZero() && next.Before(tomorrow); next = s.Next(last) {
		longest, last = max(longest, next.Sub(last)), next
	}
	span := last.Sub(first)
	for last.Before(gapsTo) {
		next := s.Next(last)
		if next.IsZero() {
			break
		}
		longest, last = max(longest, next.Sub(last)), next.Add(span)
	}
	return longest
}
