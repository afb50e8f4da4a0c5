package verify

import (
	"strings"
	"testing"
	"time"
)

func TestJudgeCold(t *testing.T) {
	proof := func(level string) Result {
		return Result{
			Function: "payments", Site: "cloud", Snapshot: "3f9c2ab10000", Level: level, Passed: true, RequestedLevel: level,
			NotProven: []string{"L7: a cold start: this proof used the catalog of this host", "people"},
		}
	}
	good := Cold{Rebuild: time.Second, Total: time.Hour, RTO: time.Hour, Key: TheEscrows}
	for name, c := range map[string]struct {
		proof  Result
		cold   func(*Cold)
		level  string
		failed string // name of the check
		word   string
	}{
		"all holds":        {proof("L6"), func(*Cold) {}, "L7", "", ""},
		"a drill's key":    {proof("L6"), func(c *Cold) { c.Key = TheDrills }, "L7", "", ""},
		"the daemon's key": {proof("L6"), func(c *Cold) { c.Key = TheDaemons }, "L6", "the key is not the daemon's", "the key was the daemon's"},
		"too slow":         {proof("L6"), func(c *Cold) { c.Total = time.Hour + time.Millisecond }, "L6", "inside the RTO", "the RTO is 1h0m0s"},
		"without checks":   {proof("L5"), func(*Cold) {}, "L5", "", "L6 does not"},
		"lower":            {proof("L1"), func(*Cold) {}, "L1", "", "L6 does not"},
	} {
		cold := good
		c.cold(&cold)
		r := JudgeCold(c.proof, cold)
		if r.Level != c.level || r.Passed != (c.level == "L7") || r.Difference || r.RequestedLevel != "L7" || r.Phases["rebuild"] != 1 {
			t.Errorf("%s: %+v", name, r)
		}
		if len(r.Checks) != 3 {
			t.Errorf("%s: checks %+v", name, r.Checks)
		}
		for _, check := range r.Checks {
			if check.Level != "L7" || check.Passed != (check.Name != c.failed) || check.Passed != (check.Status == Pass) {
				t.Errorf("%s: %+v", name, check)
			}
		}
		text := strings.Join(r.NotProven, "\n")
		if strings.Contains(text, "L7") != (c.word != "") || !strings.Contains(text, c.word) || !strings.Contains(text, "people") || strings.Contains(text, "catalog of this host") {
			t.Errorf("%s: not proven %s", name, text)
		}
		if (r.Unmet() == "") != r.Passed {
			t.Errorf("%s: unmet %q", name, r.Unmet())
		}
	}
	// Whoever passes over the newest proves nothing, however well.
	good.Known, good.KnownTime, good.Lost = "5a0000000000", time.Unix(1000, 0), []string{"snapshot 5a0000000000 lacks p/aa"}
	for at, passes := range map[int64]bool{999: false, 1000: true, 1001: true} {
		p := proof("L6")
		p.RecoveryPoint = time.Unix(at, 0)
		r := JudgeCold(p, good)
		text := strings.Join(r.NotProven, "\n")
		if r.Passed != passes || r.Difference || len(r.Checks) != 4 || r.Checks[3].Passed != passes || strings.Contains(text, "lacks p/aa") == passes {
			t.Errorf("of the recovery point of %d: %+v", at, r)
		}
	}
	broken := proof("L6")
	broken.Error = "the server vanished"
	if r := JudgeCold(broken, good); r.Passed || r.Level == "L7" || len(r.Checks) > 0 {
		t.Errorf("not carried out to its end: %+v", r)
	}
}
