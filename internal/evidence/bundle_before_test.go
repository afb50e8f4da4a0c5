package evidence

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestBeforeThePeriod: a bundle of a period brings the promise in force and the
// newest points along, and nothing else can be passed off as one of them.
func TestBeforeThePeriod(t *testing.T) {
	l := full(t)
	since := l.clock.Now().Add(-time.Hour)
	bundle := bundleOf(t, l.Log, since, time.Time{})
	trust := VerifyOptions{Keys: []PublicKey{l.PublicKey()}}
	v := verify(t, bundle, trust)
	opened, err := ReadBundle(t.Context(), bytes.NewReader(bundle), int64(len(bundle)), trust)
	if err != nil || !v.OK || v.From == 0 || v.Before == 0 || v.Before != len(opened.Earlier) {
		t.Fatalf("%+v", v)
	}
	has := map[Act]int{}
	for _, r := range opened.Earlier {
		if r.Sequence >= v.From {
			t.Errorf("record %d is not from before", r.Sequence)
		}
		has[r.Act]++
	}
	if has[ActPolicy] != 1 || has[ActSnapshot]+has[ActDurable] == 0 && opened.Records[0].Act != ActSnapshot || has[ActProof] == 0 {
		t.Errorf("from before came %v", has)
	}

	all := bytes.Split(bytes.TrimSuffix(unzip(t, bundle, bundleBefore), []byte("\n")), []byte("\n"))
	var line beforeLine
	if err := strictJSON(all[0], &line); err != nil {
		t.Fatal(err)
	}
	of := must1(unseal(line.Envelope))(t)
	lenient := must1(seal(bytes.Replace(of.payload, []byte(`"rpo_seconds":300`), []byte(`"rpo_seconds":900`), 1), l.signer))(t)
	other := full(t)
	foreign := unzip(t, bundleOf(t, other.Log, other.clock.Now().Add(-time.Hour), time.Time{}), bundleBefore)
	with := func(lines ...[]byte) []byte {
		return rezip(t, bundle, map[string][]byte{bundleBefore: append(bytes.Join(lines, []byte("\n")), '\n')})
	}
	replaced := bytes.Replace(all[0], line.Envelope, lenient, 1)
	if bytes.Equal(replaced, all[0]) || bytes.Equal(lenient, line.Envelope) {
		t.Fatal("the attack changes nothing")
	}
	for name, attacked := range map[string][]byte{
		"a laxer promise, by who has the key": with(append([][]byte{replaced}, all[1:]...)...),
		"of another log":                      rezip(t, bundle, map[string][]byte{bundleBefore: foreign}),
		"the proof of another record":         with(bytes.Replace(all[0], all[0][:bytes.Index(all[0], []byte(`,"envelope"`))], all[1][:bytes.Index(all[1], []byte(`,"envelope"`))], 1)),
		"without a proof":                     with([]byte(`{"proof":[],"envelope":` + string(line.Envelope) + `}`)),
	} {
		v := verify(t, attacked, trust)
		if v.OK || len(v.Findings) == 0 || v.Findings[0].Kind != FoundRoot || v.Before >= len(all) {
			t.Errorf("%s: %d findings, %d taken of %d", name, len(v.Findings), v.Before, len(all))
		}
	}
	for name, broken := range map[string][]byte{
		"twice":            with(all[0], all[0]),
		"in another order": with(all[1], all[0]),
		"of the period":    with([]byte(`{"proof":[],"envelope":` + strings.SplitN(string(unzip(t, bundle, recordsFile(v.From))), "\n", 2)[0] + `}`)),
		"more in a line":   with([]byte(`{"proof":[],"note":"","envelope":` + string(line.Envelope) + `}`)),
		"no envelope":      with([]byte(`{"proof":[]}`)),
	} {
		if _, err := Verify(t.Context(), bytes.NewReader(broken), int64(len(broken)), trust); !errors.Is(err, ErrBundle) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Left out, what is there still holds, and the promise is missed.
	if v := verify(t, rezip(t, bundle, map[string][]byte{bundleBefore: {}}), trust); !slices.Equal(kinds(v), []FindingKind{FoundPromise}) || v.Before != 0 {
		t.Errorf("without them: %+v", v.Findings)
	}
	if whole := verify(t, bundleOf(t, l.Log, time.Time{}, time.Time{}), trust); whole.Before != 0 {
		t.Errorf("%d records before all", whole.Before)
	}
}
