package drill

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/saypro/backupd/internal/evidence"
)

// Review is what is known of an exercise, as a draft for those who were there:
// everything in it follows from the evidence log.
type Review struct {
	// Drafted is when, UTC, from a log of Size records.
	Drafted  time.Time `json:"drafted"`
	Size     uint64    `json:"size"`
	Exercise *Exercise `json:"exercise"`
	// Summary says in sentences what came of it.
	Summary []string `json:"summary"`
	// Timeline is what the log tells of that time.
	Timeline []Moment `json:"timeline"`
	// Measured is what each function lost and took; none at a table.
	Measured []Measured `json:"measured,omitempty"`
	// PeopleSeconds is how long people took; null when nobody recorded it.
	PeopleSeconds *float64 `json:"people_seconds"`
	// Strengths and Gaps are what was observed.
	Strengths []string `json:"strengths,omitempty"`
	Gaps      []string `json:"gaps,omitempty"`
	// Predicted is what the proofs before said of what happened.
	Predicted []Prediction `json:"predicted,omitempty"`
}

// Moment is one line of a timeline.
type Moment struct {
	Time     time.Time `json:"time"`
	Sequence uint64    `json:"sequence"`
	What     string    `json:"what"`
}

// Measured is what became of one function.
type Measured struct {
	Function      string             `json:"function"`
	Site          string             `json:"site"`
	Status        evidence.Status    `json:"status"`
	Error         string             `json:"error,omitempty"`
	Snapshot      string             `json:"snapshot,omitempty"`
	RecoveryPoint time.Time          `json:"recovery_point,omitzero"`
	Level         string             `json:"level,omitempty"`
	LostSeconds   float64            `json:"lost_seconds"`
	RPOSeconds    float64            `json:"rpo_seconds"`
	WaitedSeconds float64            `json:"waited_seconds"`
	ProofSeconds  float64            `json:"proof_seconds"`
	RTOSeconds    float64            `json:"rto_seconds"`
	Phases        map[string]float64 `json:"phases,omitempty"`
	Concurrent    []string           `json:"concurrent,omitempty"`
	Proof         *uint64            `json:"proof,omitempty"`
}

// Prediction is what the newest proof before an exercise said of a function at
// a site.
type Prediction struct {
	Function string `json:"function"`
	Site     string `json:"site"`
	// Proof is its sequence, nil when there was none that restored.
	Proof      *uint64   `json:"proof"`
	At         time.Time `json:"at,omitzero"`
	AgeSeconds float64   `json:"age_seconds,omitempty"`
	Level      string    `json:"level,omitempty"`
	Passed     bool      `json:"passed"`
	// ForecastSeconds is how long it took, in proportion to the size in the
	// exercise; ActualSeconds what the exercise took. Zero: not known.
	ForecastSeconds float64 `json:"forecast_seconds,omitempty"`
	ActualSeconds   float64 `json:"actual_seconds,omitempty"`
	// Says puts it into a sentence.
	Says string `json:"says"`
}

// Review drafts the review of an exercise, by its id or its scenario.
func (b *Book) Review(name string) (*Review, error) {
	x, err := b.Exercise(name)
	if err != nil {
		return nil, err
	}
	v := &Review{Drafted: b.Clock.Now().UTC(), Size: b.Log.Size(), Exercise: x}
	for _, o := range x.Observations {
		if o.Kind == strength {
			v.Strengths = append(v.Strengths, o.Text)
		} else {
			v.Gaps = append(v.Gaps, o.Text)
		}
	}
	recorded := slices.ContainsFunc(x.Steps, func(s evidence.DrillStep) bool { return s.Kind == StepPeople && s.Status == evidence.Pass })
	if recorded {
		people := evidence.PeopleSeconds(x.Steps)
		v.PeopleSeconds = &people
	}
	v.Measured = measured(x)
	if v.Timeline, err = b.timeline(x); err != nil {
		return nil, err
	}
	if v.Predicted, err = b.predicted(x); err != nil {
		return nil, err
	}
	v.Summary = v.summarize()
	return v, nil
}

func measured(x *Exercise) (out []Measured) {
	for _, s := range Judged(x.Steps) {
		if !s.Restores() {
			continue
		}
		out = append(out, Measured{
			Function: s.Function, Site: s.Site, Status: s.Status, Error: s.Error, Snapshot: s.Snapshot, RecoveryPoint: s.RecoveryPoint,
			Level: s.Level, LostSeconds: s.LostSeconds, RPOSeconds: s.RPOSeconds, WaitedSeconds: s.WaitedSeconds, ProofSeconds: s.Seconds,
			RTOSeconds: s.RTOSeconds, Phases: s.Phases, Concurrent: s.Concurrent, Proof: s.Proof,
		})
	}
	return out
}

// summarize puts into sentences what came of an exercise.
func (v *Review) summarize() []string {
	x := v.Exercise
	out := []string{fmt.Sprintf("%s (%s), begun %s: %s.", x.Title, x.Kind, stamp(x.Begun), said[x.State])}
	if x.Kind == Tabletop {
		out = append(out, tally(x.Steps, StepInject, "inject", "answered as expected"))
		if slices.ContainsFunc(x.Steps, func(s evidence.DrillStep) bool { return s.Kind == StepMessage }) {
			out = append(out, tally(x.Steps, StepMessage, "message", "out in time"))
		}
		return append(out, "No system was touched: nothing of loss or time was measured.")
	}
	for _, m := range v.Measured {
		out = append(out, m.sentence())
	}
	if v.PeopleSeconds == nil {
		out = append(out, "All times are of the machine. How long people took to notice, decide and switch over is not recorded, so that no RTO is shown to be kept.")
	} else {
		out = append(out, fmt.Sprintf("People took %s besides, as they recorded it; both together count against an RTO.", span(*v.PeopleSeconds)))
		if n := evidence.PeopleUnrecorded(x.Steps); n > 0 {
			out = append(out, fmt.Sprintf("Of %s of theirs the time is not recorded, so that no RTO is shown to be kept.", counted(n, "step")))
		}
	}
	for _, r := range x.Refused {
		out = append(out, fmt.Sprintf("Site %s (%s) was refused: %s.", r.Site, r.Place, Refused(r)))
	}
	return out
}

// said puts the state of an exercise into words.
var said = map[string]string{
	StateOpen:         "it has no result yet",
	StatePassed:       "everything that was to be shown held",
	StateMissed:       "not everything held",
	StateInconclusive: "it shows nothing, because not everything could be carried out or was answered",
}

// Refused puts into words what a site was refused.
func Refused(r evidence.Refusal) string {
	text := fmt.Sprintf("%d attempts were refused, %d were let through", r.Attempts, r.Passed)
	if r.Attempts == 0 {
		text += "; that nothing was refused shows nothing"
	}
	return text
}

func (m Measured) sentence() string {
	switch {
	case m.Status == evidence.Inconclusive:
		return fmt.Sprintf("%s could not be restored from %s: %s.", m.Function, m.Site, orElse(m.Error, "not carried out"))
	case m.Level == "" || m.RecoveryPoint.IsZero():
		return fmt.Sprintf("%s from %s: %s.", m.Function, m.Site, m.Error)
	}
	verdict := "within both objectives by machine time"
	if m.Status != evidence.Pass {
		verdict = m.Error
	}
	return fmt.Sprintf("%s came back from %s at %s: %s would be lost (RPO %s), and it took %s (RTO %s) - %s.", m.Function, m.Site, m.Level,
		span(m.LostSeconds), span(m.RPOSeconds), span(m.WaitedSeconds+m.ProofSeconds), span(m.RTOSeconds), verdict)
}

// tally counts what of a kind of steps was good.
func tally(steps []evidence.DrillStep, kind, noun, good string) string {
	count := map[evidence.Status]int{}
	all := 0
	for _, s := range steps {
		if s.Kind == kind {
			count[s.Status]++
			all++
		}
	}
	text := fmt.Sprintf("%d of %d %ss %s", count[evidence.Pass], all, noun, good)
	if n := count[evidence.Fail]; n > 0 {
		text += fmt.Sprintf(", %d not", n)
	}
	if n := count[evidence.Inconclusive]; n > 0 {
		text += fmt.Sprintf(", %d without an answer or a verdict", n)
	}
	return text + "."
}

// timeline is what the log tells of an exercise: at a table its own records,
// else everything from its beginning to its end, and its own ones after that.
func (b *Book) timeline(x *Exercise) ([]Moment, error) {
	moments := map[uint64]Moment{}
	note := func(r evidence.Record, err error) error {
		if err != nil {
			return fmt.Errorf("read the log for the timeline of %s: %w", x.ID, err)
		}
		moments[r.Sequence] = Moment{r.Time, r.Sequence, describe(r)}
		return nil
	}
	for r, err := range b.Log.Find(evidence.ActDrill, "", x.Begun, time.Time{}) {
		if err == nil && (r.Drill == nil || r.Drill.ID != x.ID) {
			continue
		}
		if err := note(r, err); err != nil {
			return nil, err
		}
	}
	if x.Kind != Tabletop && x.Result != nil {
		for r, err := range b.Log.Records(x.Intent, *x.Result+1) {
			if err := note(r, err); err != nil {
				return nil, err
			}
		}
	}
	var out []Moment
	for _, sequence := range slices.Sorted(maps.Keys(moments)) {
		out = append(out, moments[sequence])
	}
	return out, nil
}

// stamp writes a time for people.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") + " UTC" }
