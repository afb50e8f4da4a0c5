package suspicion

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// A sample is the least hashes of the distinct rows, whatever their order,
// however they are shared out and however often each occurs.
func TestSampleIsOfTheSet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		rows := make([]uint64, rapid.IntRange(0, 3000).Draw(t, "rows"))
		distinct := 1 + rapid.Uint64Max(6000).Draw(t, "distinct")
		for i := range rows {
			rows[i] = random.Uint64N(distinct) * (^uint64(0) / distinct)
		}
		var parts [3]Sampler
		for _, h := range rows {
			parts[random.IntN(len(parts))].Add(h)
		}
		var all Sampler
		for _, p := range parts {
			all.Merge(p)
		}
		want := slices.Compact(slices.Sorted(slices.Values(rows)))
		want = want[:min(len(want), SampleRows)]
		got := all.Sample()
		if !slices.Equal(got, Sample(want)) {
			t.Fatalf("%d rows of %d kinds: a sample of %d, want %d", len(rows), distinct, len(got), len(want))
		}
		checkText(t, got)
	})
}

func checkText(t *rapid.T, s Sample) {
	text, err := json.Marshal(s)
	var back Sample
	if err == nil {
		err = json.Unmarshal(text, &back)
	}
	if err != nil || !slices.Equal(back, s) {
		t.Fatalf("%v becomes %v: %v", s, back, err)
	}
}

// What a pair of samples tells of is true of each row it counts; and it tells
// of all rows when both tables are small.
func TestGoneIsTrueOfTheRowsItCounts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 2))
		before, after := map[uint64]bool{}, map[uint64]bool{}
		var was, is Sampler
		removed := rapid.Float64Range(0, 1).Draw(t, "removed")
		for range rapid.IntRange(0, 2000).Draw(t, "before") {
			h := random.Uint64()
			before[h] = true
			was.Add(h)
			if random.Float64() >= removed {
				after[h] = true
				is.Add(h)
			}
		}
		for range rapid.IntRange(0, 2000).Draw(t, "added") {
			h := random.Uint64()
			after[h] = true
			is.Add(h)
		}
		old, now := was.Sample(), is.Sample()
		reach := min(old.reach(), now.reach())
		wantOf, wantGone := 0, 0
		for h := range before {
			if h <= reach {
				wantOf++
				if !after[h] {
					wantGone++
				}
			}
		}
		if of, gone := old.Gone(now); of != wantOf || gone != wantGone {
			t.Fatalf("%d of %d are gone, want %d of %d", gone, of, wantGone, wantOf)
		}
		if len(before) < SampleRows && len(after) < SampleRows && wantOf != len(before) {
			t.Fatalf("of %d rows of a small table %d are told of", len(before), wantOf)
		}
	})
}

// The share that is told with confidence is hardly ever more than the true
// one: with 0.13 % of estimates expected above, 1 % would show an error.
func TestConfidenceHolds(t *testing.T) {
	for _, truth := range []float64{0.05, 0.3, 0.5, 0.7, 0.95} {
		const trials = 2000
		random := rand.New(rand.NewPCG(7, uint64(truth*100)))
		over, near := 0, 0
		for range trials {
			m := sampled(random, truth)
			if m.least > truth {
				over++
			}
			if m.share-m.least < 0.12 {
				near++
			}
		}
		if over > trials/100 {
			t.Errorf("of %d estimates of %.2f %d are too high", trials, truth, over)
		}
		if near < trials*99/100 {
			t.Errorf("of %d estimates of %.2f only %d are near", trials, truth, near)
		}
	}
}

// sampled measures a table of ten thousand rows of which a share was changed.
// Only hashes that a sample could hold are made: the least of ten thousand.
func sampled(random *rand.Rand, changed float64) measure {
	var was, is Sampler
	for range 10 * SampleRows {
		h := random.Uint64()
		was.Add(h)
		if random.Float64() < changed {
			h = random.Uint64()
		}
		is.Add(h)
	}
	m, ok := changedOf(was.Sample(), is.Sample())
	if !ok {
		return measure{}
	}
	return m
}

func changedOf(was, is Sample) (measure, bool) {
	return changed(Table{Rows: 2560, Digest: "a", Sample: was}, Table{Rows: 2560, Digest: "b", Sample: is})
}

func TestSampleRefusesWhatIsNone(t *testing.T) {
	for _, text := range []string{`"AAA"`, `"?"`, `7`} {
		var s Sample
		if err := json.Unmarshal([]byte(text), &s); err == nil {
			t.Errorf("%s is taken for %v", text, s)
		}
	}
}

func TestInputsStayAsTheyAre(t *testing.T) {
	was := Point{Tables: map[string]Table{"t": {Rows: 1000, Drops: []float64{0.1}, Changes: []float64{0.2}}}, Gaps: []float64{5}}
	copied := Point{Tables: map[string]Table{"t": {Rows: 1000, Drops: []float64{0.1}, Changes: []float64{0.2}}}, Gaps: []float64{5}}
	now := Point{Tables: map[string]Table{"t": {Rows: 900}}}
	Learn(&was, now, nil)
	if !reflect.DeepEqual(was, copied) || now.Tables["t"].Drops != nil {
		t.Errorf("%v has become %v, and now is %v", copied, was, now)
	}
}
