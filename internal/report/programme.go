package report

import (
	"math"
	"slices"
	"time"

	"github.com/saypro/backupd/internal/evidence"
)

// Programme is what of the proofs that were promised was done, for a function at
// a site, and what can be said from them.
type Programme struct {
	Function string `json:"function"`
	Site     string `json:"site"`
	// Planned is how many proofs the rhythm in force comes to in the judged time;
	// nil: none was promised. Missed are those of them that did not end.
	Planned *int `json:"planned"`
	Ended   int  `json:"ended"`
	Missed  int  `json:"missed"`
	Passed  int  `json:"passed"`
	// Levels counts the passed ones by the level that they reached.
	Levels map[string]int `json:"levels"`
	// Exercises are the kinds of exercises that restored it from here.
	Exercises []string `json:"exercises"`
	// Newest is when the newest that passed ended.
	Newest time.Time `json:"newest_passed,omitzero"`
	Sample Sample    `json:"sample"`
	// Recovery is the time that full restores took; nil when none passed.
	Recovery *Recovery `json:"recovery"`
}

// Sample is what proofs say of the recovery points that were not proven.
type Sample struct {
	// Points are the different recovery points that were restored with a
	// verdict, Bad of them those that differed, Population how many there were
	// to choose from at the last choice.
	Points     int `json:"points"`
	Bad        int `json:"bad"`
	Population int `json:"population"`
	// Rules counts the proofs by the rule that chose.
	Rules map[string]int `json:"rules"`
	// AtMost bounds, with a confidence of 95 %, the share of bad recovery points
	// if those that were proven are taken as a random sample: the one-sided bound
	// of Clopper and Pearson, which for none of n is about 3/n. Nil: no sample.
	AtMost *float64 `json:"bad_at_most_95"`
}

// Recovery is the machine time of the full restores of passed proofs.
type Recovery struct {
	Restores      int     `json:"restores"`
	MedianSeconds float64 `json:"median_seconds"`
	WorstSeconds  float64 `json:"worst_seconds"`
	// FirstSeconds and LastSeconds are the medians of the first and of the last
	// third of at least six, which show a trend; 0: too few.
	FirstSeconds float64 `json:"first_third_seconds,omitempty"`
	LastSeconds  float64 `json:"last_third_seconds,omitempty"`
	RTOSeconds   float64 `json:"rto_seconds,omitempty"`
	// BytesRaw is the size of the data of the newest, BreaksAtBytes the size at
	// which machine time alone would reach the RTO if it grew in proportion, by
	// the slowest rate measured. 0: not known.
	BytesRaw      int64 `json:"bytes_raw,omitempty"`
	BreaksAtBytes int64 `json:"rto_breaks_at_bytes,omitempty"`
}

// addProgramme holds the proofs of the period against what was promised.
func (p *Period) addProgramme() {
	lines := map[[2]string][]*ProofLine{}
	places := map[[2]string]bool{}
	for i := range p.Proofs {
		x := &p.Proofs[i]
		at := [2]string{x.Function, x.Site}
		lines[at] = append(lines[at], x)
		places[at] = true
	}
	planned := p.planned()
	for at := range planned {
		places[at] = true
	}
	exercises := p.exercised()
	for _, f := range p.Functions {
		for _, site := range union(slices.Clone(p.Sites), sitesOf(places, f.Function)) {
			at := [2]string{f.Function, site}
			if places[at] {
				p.Programme = append(p.Programme, programmeOf(at, lines[at], planned, exercises[at]))
			}
		}
	}
}

func sitesOf(places map[[2]string]bool, function string) []string {
	var out []string
	for at := range places {
		if at[0] == function && at[1] != "" {
			out = append(out, at[1])
		}
	}
	slices.Sort(out)
	return out
}

// planned is how many proofs each policy asks for while it was in force. Proofs
// take turns over the sites.
func (p *Period) planned() map[[2]string]float64 {
	out := map[[2]string]float64{}
	for i, policy := range p.Policies {
		from, to := policy.Time, p.JudgedTo
		if from.Before(p.From) {
			from = p.From
		}
		if i+1 < len(p.Policies) {
			to = earlier(to, p.Policies[i+1].Time)
		}
		for function, o := range policy.Functions {
			if o.ProveEverySeconds <= 0 || len(policy.Sites) == 0 || !from.Before(to) {
				continue
			}
			for _, site := range policy.Sites {
				out[[2]string{function, site}] += to.Sub(from).Seconds() / (o.ProveEverySeconds * float64(len(policy.Sites)))
			}
		}
	}
	return out
}

// exercised says in which kinds of exercises a function was restored from a site
// as it should be.
func (p *Period) exercised() map[[2]string][]string {
	out := map[[2]string][]string{}
	for _, d := range p.Drills {
		for _, s := range d.Steps {
			if s.Function != "" && s.Status == evidence.Pass {
				at := [2]string{s.Function, s.Site}
				out[at] = union(out[at], []string{d.Kind})
			}
		}
	}
	return out
}

func programmeOf(at [2]string, lines []*ProofLine, planned map[[2]string]float64, exercises []string) Programme {
	out := Programme{Function: at[0], Site: at[1], Levels: map[string]int{}, Exercises: append([]string{}, exercises...), Sample: sampleOf(lines)}
	var restores []*ProofLine
	for _, x := range lines {
		out.Ended++
		if x.Finding != Passed {
			continue
		}
		out.Passed++
		out.Levels[x.Level]++
		if x.Time.After(out.Newest) {
			out.Newest = x.Time
		}
		if x.Level >= "L3" && x.Seconds > 0 {
			restores = append(restores, x)
		}
	}
	if n, ok := planned[at]; ok {
		whole := int(math.Floor(n))
		out.Planned, out.Missed = &whole, max(0, whole-out.Ended)
	}
	out.Recovery = recoveryOf(restores)
	return out
}

func sampleOf(lines []*ProofLine) Sample {
	s := Sample{Rules: map[string]int{}}
	bad := map[string]bool{} // by recovery point
	for _, x := range lines {
		if x.Selection.Rule != "" {
			s.Rules[x.Selection.Rule]++
		}
		s.Population = x.Selection.Population // of the last choice
		if x.Requested >= "L3" && (x.Finding == Passed || x.Finding == Difference) {
			bad[x.Snapshot] = bad[x.Snapshot] || x.Finding == Difference
		}
	}
	for _, is := range bad {
		s.Points++
		if is {
			s.Bad++
		}
	}
	if s.Points > 0 {
		bound := atMost(s.Bad, s.Points)
		s.AtMost = &bound
	}
	return s
}

// atMost is the upper bound of Clopper and Pearson, one-sided, with a confidence
// of 95 %: the share of bad ones at which so few among n would be seen in 5 % of
// all samples (C. J. Clopper, E. S. Pearson, Biometrika 26, 1934).
func atMost(bad, n int) float64 {
	if bad >= n {
		return 1
	}
	lo, hi := 0.0, 1.0
	for range 60 {
		mid := (lo + hi) / 2
		if seldom(bad, n, mid) > 0.05 {
			lo = mid
		} else {
			hi = mid
		}
	}
	return math.Ceil(hi*1e6) / 1e6
}

// seldom is the chance of at most k bad ones among n when each is bad with a
// chance of share.
func seldom(k, n int, share float64) float64 {
	sum := 0.0
	for i := 0; i <= k; i++ {
		a, _ := math.Lgamma(float64(n + 1))
		b, _ := math.Lgamma(float64(i + 1))
		c, _ := math.Lgamma(float64(n - i + 1))
		sum += math.Exp(a - b - c + float64(i)*math.Log(share) + float64(n-i)*math.Log1p(-share))
	}
	return sum
}

// enoughForATrend is how many restores show one.
const enoughForATrend = 6

func recoveryOf(lines []*ProofLine) *Recovery {
	if len(lines) == 0 {
		return nil
	}
	last := lines[len(lines)-1]
	r := &Recovery{Restores: len(lines), RTOSeconds: last.RTOSeconds, BytesRaw: last.BytesRaw}
	var took []float64
	slowest := 0.0 // seconds a byte
	for _, x := range lines {
		took = append(took, x.Seconds)
		if x.BytesRaw > 0 {
			slowest = max(slowest, x.Seconds/float64(x.BytesRaw))
		}
	}
	if n := len(took); n >= enoughForATrend {
		r.FirstSeconds, r.LastSeconds = median(took[:n/3]), median(took[n-n/3:])
	}
	r.MedianSeconds, r.WorstSeconds = median(took), slices.Max(took)
	if slowest > 0 && r.RTOSeconds > 0 {
		r.BreaksAtBytes = int64(r.RTOSeconds / slowest)
	}
	return r
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
