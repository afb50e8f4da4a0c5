package main

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"time"
)

// reportPeriod is the period that the flags name; this month so far without.
func reportPeriod(f reportFlags, now time.Time) (from, to time.Time, err error) {
	given := 0
	for _, set := range []bool{f.month != "", f.quarter != "", f.from != "" || f.to != ""} {
		if set {
			given++
		}
	}
	switch {
	case given > 1:
		return from, to, errors.New("a period is given by one of --month, --quarter and --from with --to")
	case f.month != "":
		return month(f.month)
	case f.quarter != "":
		return quarter(f.quarter)
	case f.from == "" && f.to != "":
		return from, to, errors.New("--to needs --from: a period has a begin")
	case f.from == "":
		return time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC), now, nil
	}
	if from, err = boundary("--from", f.from); err != nil {
		return from, to, err
	}
	if to = now; f.to != "" {
		if to, err = boundary("--to", f.to); err != nil {
			return from, to, err
		}
	}
	if !from.Before(to) {
		return from, to, fmt.Errorf("the period from %s to %s has no time in it", from.Format(time.RFC3339), to.Format(time.RFC3339))
	}
	return from, to, nil
}

func month(text string) (from, to time.Time, err error) {
	from, err = time.Parse("2006-01", text)
	if err != nil {
		return from, to, fmt.Errorf("--month %q: write it as 2026-10", text)
	}
	return from, from.AddDate(0, 1, 0), nil
}

var quarterForm = regexp.MustCompile(`^([0-9]{4})-[Qq]([1-4])$`)

func quarter(text string) (from, to time.Time, err error) {
	m := quarterForm.FindStringSubmatch(text)
	if m == nil {
		return from, to, fmt.Errorf("--quarter %q: write it as 2026-Q3", text)
	}
	year, _ := strconv.Atoi(m[1]) // digits only
	n, _ := strconv.Atoi(m[2])
	from = time.Date(year, time.Month(3*n-2), 1, 0, 0, 0, 0, time.UTC)
	return from, from.AddDate(0, 3, 0), nil
}

// boundary reads a time that bounds a period; none is the zero time. A day alone
// is its begin.
func boundary(flag, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	at, err := time.Parse(time.RFC3339Nano, text)
	for _, layout := range append([]string{time.DateOnly}, atLayouts...) {
		if err == nil {
			break
		}
		at, err = time.ParseInLocation(layout, text, time.UTC)
	}
	if err != nil {
		return at, fmt.Errorf("%s %q: write it as 2006-01-02, \"2006-01-02 15:04\" or \"2006-01-02 15:04:05\", all UTC, or as RFC 3339 with its offset", flag, text)
	}
	return at.UTC(), nil
}
