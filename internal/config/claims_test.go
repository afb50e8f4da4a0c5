package config

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func typeOf(v any) reflect.Type { return reflect.TypeOf(v) }

func fieldNames(v any) []string {
	t := typeOf(v)
	var out []string
	for _, i := range fields(t) {
		out = append(out, t.Name()+"."+t.Field(i).Name)
	}
	return out
}

func glob(p string) *regexp.Regexp {
	return regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(p), `\*`, ".*") + "$")
}

// words are all texts of up to four letters a and b.
func words() []string {
	all, last := []string{""}, []string{""}
	for range 4 {
		var next []string
		for _, w := range last {
			next = append(next, w+"a", w+"b")
		}
		all, last = append(all, next...), next
	}
	return all
}

// TestIntersectAgainstEnumeration: two patterns of at most four signs that
// share a name share one of at most four letters if they have few letters.
func TestIntersectAgainstEnumeration(t *testing.T) {
	all := words()
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.StringOfN(rapid.SampledFrom([]rune("ab*")), 0, 4, -1)
		a, b := pattern.Draw(t, "a"), pattern.Draw(t, "b")
		if len(strings.ReplaceAll(a+b, "*", "")) > 4 {
			return // a common name may need more letters than were enumerated
		}
		want := false
		ga, gb := glob(a), glob(b)
		for _, w := range all {
			want = want || ga.MatchString(w) && gb.MatchString(w)
		}
		if got := intersect(a, b); got != want || intersect(b, a) != want {
			t.Fatalf("intersect(%q, %q) = %v, want %v", a, b, got, want)
		}
	})
}

func TestFunctionsThatDoNotOverlap(t *testing.T) {
	for name, pairs := range map[string][]string{
		"other schema":       {"schemas: [payments]", "schemas: [pay*]"},
		"other table":        {"schemas: [payments]", "tables: [catalog.prices, 'catalog.product_*']"},
		"itself twice":       {"schemas: [payments]", "schemas: [payments, 'pay*']"},
		"other database":     {"functions:", "  copy: {kind: postgres, url: \"postgres://u@db.internal/other\"}\nfunctions:", "source: market\n    schemas: [payments]", "source: copy"},
		"large objects once": {"rpo: 5m", "large_objects: true\n    rpo: 5m"},
	} {
		if _, err := Parse("test.yaml", []byte(edit(t, pairs...)), env); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNearest(t *testing.T) {
	known := []string{"rpo", "rto", "schemas", "tables", "tolerate_failed_runs"}
	for s, want := range map[string]string{
		"rop": "rpo", "schema": "schemas", "tabels": "tables", "tolerate_failed_run": "tolerate_failed_runs",
		"tolerated_failed_runs": "tolerate_failed_runs", "colour": "", "": "", "x": "", strings.Repeat("a", 1000): "",
	} {
		if got := nearest(s, known); got != want {
			t.Errorf("nearest(%q) = %q, want %q", s, got, want)
		}
	}
}

func TestLongestGap(t *testing.T) {
	const day = 24 * time.Hour
	for expression, want := range map[string]time.Duration{
		"* * * * *": time.Minute, "*/15 * * * *": 15 * time.Minute, "5,50 * * * *": 45 * time.Minute,
		"0 6-22 * * *": 8 * time.Hour, "0 9 * * 1-5": 3 * day, "0 0 1 * *": 31 * day, "0 0 1 1 *": 366 * day,
		"0 0 29 2 *": 1461 * day, "0 0 31 2 *": 0, "@hourly": time.Hour, "@every 7m": 7 * time.Minute,
		// One hour more when the clocks of Berlin go back.
		"CRON_TZ=Europe/Berlin 0 12 * * *": 25 * time.Hour,
		// Each minute of six months: longest over the other six.
		"* * * 1-6 *": 184*day + time.Minute,
	} {
		s, err := ParseCron(expression)
		if err != nil {
			t.Errorf("%s: %v", expression, err)
			continue
		}
		if got := LongestGap(s); got != want {
			t.Errorf("%s: longest gap %v, want %v", expression, got, want)
		}
	}
}

// TestLongestGapByDayIsTheSame holds the quick way against the plain one.
func TestLongestGapByDayIsTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		field := func(name string, least, most int) string {
			from := rapid.IntRange(least, most).Draw(t, name)
			return rapid.SampledFrom([]string{"*", fmt.Sprint(from), fmt.Sprintf("%d-%d", from, most), fmt.Sprintf("%d,%d", least, from)}).Draw(t, name)
		}
		// Not every minute: the plain way gives up on so many steps.
		minute := fmt.Sprintf("0,%d", rapid.IntRange(1, 59).Draw(t, "minute"))
		hour := fmt.Sprint(rapid.IntRange(0, 23).Draw(t, "hour"))
		e := strings.Join([]string{minute, hour, field("day", 1, 28), field("month", 1, 12), field("weekday", 0, 6)}, " ")
		s, err := ParseCron(e)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := longestGapByDay(s), longestGapByStep(s); got != want {
			t.Fatalf("%s: %v by day, %v by step", e, got, want)
		}
	})
}
