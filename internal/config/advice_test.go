package config

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAdvice(t *testing.T) {
	for name, c := range map[string]struct {
		pairs []string
		want  []Advice
	}{
		"nothing":               {nil, nil},
		"all that is fine":      {[]string{"kind: s3,", "kind: s3, lock: {mode: compliance, for: 14d},", "rto: 1h", "rto: 1h\n    keep: {last: 24, daily: 7}"}, nil},
		"the last of each week": {[]string{"rto: 1h", "rto: 1h\n    keep: {weekly: 1}"}, nil},
		"beyond all bounds": {[]string{"kind: s3,", "kind: s3, lock: {mode: compliance, for: 35d},", "rto: 1h", "rto: 1h\n    keep: {last: 100000, hourly: 100000, daily: 100000, weekly: 100000, monthly: 100000, yearly: 100000}\n    prove: {every: 15000w}"}, []Advice{
			{"site", "cloud", "locked for 35d: from a host that was taken over, copies can be deleted after as little as half of that", "write 36500d or more, so that it is noticed before"},
		}},
		"scrub never": {[]string{"version: 1", "version: 1\nscrub: {every: never}"}, []Advice{
			{"data", "scrub", "nothing reads what the sites hold: rot shows when a proof or a restore needs it", "remove scrub: {every: never}"},
		}},
		"short lock": {[]string{"kind: s3,", "kind: s3, lock: {mode: compliance, for: 3d},"}, []Advice{
			{"site", "cloud", "locked for 3d: from a host that was taken over, copies can be deleted after as little as half of that", "write 14d or more, so that it is noticed before"},
		}},
		"lock and slow proofs": {[]string{"kind: s3,", "kind: s3, lock: {mode: compliance, for: 35d},", "rto: 1h", "rto: 1h\n    prove: {every: 2w}"}, []Advice{
			{"site", "cloud", "locked for 35d: from a host that was taken over, copies can be deleted after as little as half of that", "write 56d or more, so that it is noticed before"},
		}},
		"two hours": {[]string{"rto: 1h", "rto: 1h\n    keep: {last: 24}"}, []Advice{
			{"function", "payments", "keeps recovery points of about 2h: a mistake that is noticed later is in all of them", "add daily: 30 or the like to its keep"},
		}},
	} {
		if diff := cmp.Diff(c.want, mustParse(t, edit(t, c.pairs...)).Advice()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
