package evidence

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"
)

// raised promises with another RPO.
func (l *life) raised(t testing.TB, rpo float64) {
	t.Helper()
	p := promised()
	f := p.Functions["payments"]
	f.RPOSeconds = rpo
	p.Functions["payments"] = f
	l.promise(t, p)
}

// TestAPolicyLeftOutOfAPeriod: whoever makes a bundle of a period cannot have it
// judged by another promise than the one in force then.
func TestAPolicyLeftOutOfAPeriod(t *testing.T) {
	l := newLife(t)
	for _, rpo := range []float64{300, 900, 600} {
		l.raised(t, rpo)
		l.hours(t, 1)
	}
	since := l.clock.Now()
	l.clock.Advance(time.Minute)
	l.hours(t, 1)
	trust := VerifyOptions{Keys: []PublicKey{l.PublicKey()}}
	bundle := bundleOf(t, l.Log, since, time.Time{})
	v := verify(t, bundle, trust)
	good(t, v)
	if !v.PromiseShown {
		t.Error("nothing shows which promise is the newest")
	}
	if whole := verify(t, bundleOf(t, l.Log, time.Time{}, time.Time{}), trust); !whole.OK || whole.PromiseShown {
		t.Errorf("the whole log: %+v", whole.Findings)
	}

	all := bytes.SplitAfter(unzip(t, bundle, bundleBefore), []byte("\n"))
	var policies []int
	for i, line := range all {
		var b beforeLine
		if len(line) > 0 && strictJSON(line, &b) == nil && must1(decodeRecord(b.Envelope))(t).Policy != nil {
			policies = append(policies, i)
		}
	}
	if len(policies) != 3 {
		t.Fatalf("%d policies came along", len(policies))
	}
	for name, gone := range map[string]int{"the oldest": 0, "one between": 1, "the newest": 2} {
		i := policies[gone]
		v := verify(t, rezip(t, bundle, map[string][]byte{bundleBefore: bytes.Join(slices.Delete(slices.Clone(all), i, i+1), nil)}), trust)
		if !slices.Equal(kinds(v), []FindingKind{FoundPromise}) {
			t.Errorf("without %s: %+v", name, v.Findings)
		}
		if gone == 2 && v.PromiseShown {
			t.Errorf("without %s the promise is said to be shown", name)
		}
	}
	for name, none := range map[string][]byte{"missing": nil, "empty": {}} {
		if v := verify(t, rezip(t, bundle, map[string][]byte{bundleBefore: none}), trust); !slices.Equal(kinds(v), []FindingKind{FoundPromise}) || len(v.Findings) != 1 || v.PromiseShown {
			t.Errorf("%s: %+v", name, v.Findings)
		}
	}
}

// TestWhatWasPromisedIsNotShown: where no record names the promise that it is
// under, nothing shows that a policy was left out; so it is said that nothing does.
func TestWhatWasPromisedIsNotShown(t *testing.T) {
	l := newLife(t)
	l.raised(t, 300)
	idle := func(hours int) {
		for range hours {
			l.clock.Advance(time.Hour)
			l.note(t, Record{Act: ActAlive, Alive: &Alive{}})
		}
	}
	idle(4)
	since := l.clock.Now()
	l.clock.Advance(time.Minute)
	idle(5)
	trust := VerifyOptions{Keys: []PublicKey{l.PublicKey()}}
	bundle := bundleOf(t, l.Log, since, time.Time{})
	for name, b := range map[string][]byte{
		"record 1 is the newest policy that came along": bundle,
		"no policy from before":                         rezip(t, bundle, map[string][]byte{bundleBefore: {}}),
	} {
		v := verify(t, b, trust)
		good(t, v)
		if got := warnings(v, WarnUnpromised); len(got) != 1 || !strings.Contains(got[0], name) {
			t.Errorf("%s: %q", name, got)
		}
	}
	// The first act shows it; and where the period begins with a policy, its place does.
	must1(l.Begin(Record{Act: ActControls, Controls: &Controls{}}))(t)
	l.raised(t, 400)
	changed := l.clock.Now().Add(time.Second)
	idle(1)
	for name, from := range map[string]time.Time{"an act": since, "a policy": changed, "all": {}} {
		v := verify(t, bundleOf(t, l.Log, from, time.Time{}), trust)
		good(t, v)
		if got := warnings(v, WarnUnpromised); len(got) > 0 {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// TestThePromiseOfALogThatGoesOn: taken over by another host and opened anew, a
// log names the newest policy that it has.
func TestThePromiseOfALogThatGoesOn(t *testing.T) {
	l := newLife(t)
	l.raised(t, 300)
	l.raised(t, 600)
	l.hours(t, 1)
	store := &memory{}
	taken := openLog(t, store, l.signer, l.clock)
	envelopes, checkpoint := joined(t, segments(t, l.Log, 1000))
	if err := taken.Adopt(sequence(envelopes), checkpoint, nil, "root"); err != nil {
		t.Fatal(err)
	}
	n := must1(taken.Begin(Record{Act: ActControls, Controls: &Controls{}}))(t)
	if r := collect(t, taken.Records(n, n+1))[0]; r.Promise == nil || *r.Promise != 2 {
		t.Errorf("taken over: %v", r.Promise)
	}
	again := openLog(t, store, l.signer, l.clock)
	n = must1(again.Begin(Record{Act: ActRestore, Function: "payments", Restore: &Restore{Target: "db2"}}))(t)
	if r := collect(t, again.Records(n, n+1))[0]; r.Promise == nil || *r.Promise != 2 {
		t.Errorf("opened anew: %v", r.Promise)
	}
	if v := verify(t, bundleOf(t, again, time.Time{}, time.Time{}), VerifyOptions{Keys: []PublicKey{l.PublicKey()}}); !v.OK {
		t.Errorf("%+v", v.Findings)
	}
}

// TestAPromiseIsNamedOnlyWhereItCounts: and never one that is yet to come.
func TestAPromiseIsNamedOnlyWhereItCounts(t *testing.T) {
	of := func(n uint64) *uint64 { return &n }
	event := Record{Act: ActAlive, Phase: Event, Alive: &Alive{}, Promise: of(0)}
	if err := event.check(); err == nil {
		t.Error("an event names a promise")
	}
	l := newLife(t)
	l.raised(t, 300)
	n := must1(l.Begin(Record{Act: ActControls, Controls: &Controls{}, Promise: of(77)}))(t)
	if r := collect(t, l.Records(n, n+1))[0]; *r.Promise != 1 {
		t.Errorf("whoever records says which promise it is: %d", *r.Promise)
	}
}
