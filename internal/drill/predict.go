package drill

import (
	"fmt"
	"slices"
	"time"

	"github.com/saypro/backupd/internal/evidence"
)

// restoring is the lowest level of a proof that restores.
const restoring = "L3"

// place is a function at a site.
type place struct{ function, site string }

// predicted says what the newest proofs before an exercise told: of each
// function at the site that it was restored from; at a table of all functions
// at all sites that were ever proven.
func (b *Book) predicted(x *Exercise) ([]Prediction, error) {
	newest, err := b.proofsBefore(x)
	if err != nil {
		return nil, err
	}
	var out []Prediction
	if x.Kind == Tabletop {
		for at, r := range newest {
			out = append(out, predict(at, &r, x.Begun))
		}
		slices.SortFunc(out, func(a, b Prediction) int {
			return slices.Compare([]string{a.Function, a.Site}, []string{b.Function, b.Site})
		})
		return out, nil
	}
	for _, s := range x.Steps {
		if !s.Restores() {
			continue
		}
		at := place{s.Function, s.Site}
		var before *evidence.Record
		if r, ok := newest[at]; ok {
			before = &r
		}
		p := predict(at, before, x.Begun)
		if err := b.compare(&p, s, before); err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// proofsBefore returns the newest result of a proof that was to restore, of
// each function at each site, from before an exercise.
func (b *Book) proofsBefore(x *Exercise) (map[place]evidence.Record, error) {
	newest := map[place]evidence.Record{}
	until := x.Begun.Add(time.Second) // times may be equal, sequences are not
	for r, err := range b.Log.Find(evidence.ActProof, "", time.Time{}, until) {
		if err != nil {
			return nil, fmt.Errorf("read the proofs before %s: %w", x.ID, err)
		}
		if r.Phase == evidence.Result && r.Proof != nil && r.Proof.Requested >= restoring && r.Sequence < x.Intent {
			newest[place{r.Function, r.Proof.Site}] = r
		}
	}
	return newest, nil
}

// predict says what one proof told.
func predict(at place, r *evidence.Record, begun time.Time) Prediction {
	p := Prediction{Function: at.function, Site: at.site}
	if r == nil {
		p.Says = "nothing predicted it: no proof that restores had ever been made from there"
		return p
	}
	sequence := r.Sequence
	p.Proof, p.At, p.AgeSeconds = &sequence, r.Time, begun.Sub(r.Time).Seconds()
	p.Level, p.Passed = r.Proof.Level, r.Outcome == evidence.Done && r.Proof.Passed
	age := span(p.AgeSeconds)
	if !p.Passed {
		p.Says = fmt.Sprintf("the last proof, %s before, had not passed: %s", age, orElse(r.Error, string(r.Outcome)))
		return p
	}
	p.ForecastSeconds = r.Proof.Seconds
	p.Says = fmt.Sprintf("the last proof, %s before, had passed to %s in %s", age, p.Level, span(r.Proof.Seconds))
	return p
}

// compare sets what was predicted against what happened.
func (b *Book) compare(p *Prediction, s evidence.DrillStep, before *evidence.Record) error {
	if !p.Passed {
		return nil
	}
	if s.Proof == nil || s.Status == evidence.Inconclusive {
		p.Says += "; what the exercise found cannot be compared with it"
		return nil
	}
	now, err := b.record(*s.Proof)
	if err != nil {
		return err
	}
	if now.Proof != nil && before.Proof.BytesRaw > 0 && now.Proof.BytesRaw > 0 {
		p.ForecastSeconds *= float64(now.Proof.BytesRaw) / float64(before.Proof.BytesRaw)
	}
	p.ActualSeconds = s.Seconds
	if now.Outcome != evidence.Done {
		p.Says += "; it did not predict that this one would not"
		return nil
	}
	p.Says += fmt.Sprintf("; in proportion to the size that forecast %s, and it took %s", span(p.ForecastSeconds), span(p.ActualSeconds))
	if ratio := p.ActualSeconds / p.ForecastSeconds; p.ForecastSeconds > 0 && (ratio > 1.25 || ratio < 0.8) {
		p.Says += fmt.Sprintf(", %.1f times that", ratio)
	}
	return nil
}
