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
// schedule that never comes twice. It looks through eight years, and at least
// a year when the schedule is so dense that this takes too many steps.
func LongestGap(s cron.Schedule) time.Duration {
	if every, ok := s.(cron.ConstantDelaySchedule); ok {
		return every.Delay
	}
	// A fixed period, so that the answer does not depend on today: it begins
	// before a leap year and holds two leap days.
	begin := time.Date(2023, 1, 1, 0, 0, 0, 0, time.UTC)
	year, end := begin.AddDate(1, 1, 0), begin.AddDate(8, 0, 0)
	const steps = 100_000
	var longest time.Duration
	last := s.Next(begin)
	for n := 0; !last.IsZero() && last.Before(end) && (n < steps || last.Before(year)); n++ {
		next := s.Next(last)
		if next.IsZero() {
			break
		}
		longest = max(longest, next.Sub(last))
		last = next
	}
	return longest
}
