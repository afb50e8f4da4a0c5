package evidence

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"
)

// TestAFloodOfFindingsHidesNone: whoever has no key makes records up that claim
// too much, a thousand times and more, so that what is told of them is cut short
// before it comes to their signatures. No report is made from such records.
func TestAFloodOfFindingsHidesNone(t *testing.T) {
	l := newLife(t)
	l.hours(t, 1)
	records := collect(t, l.Records(0, 3))
	for n := uint64(3); n < mostFindings+100; n++ {
		records = append(records, Record{Sequence: n, Time: records[n-1].Time, Act: ActPolicy, Phase: Event, Policy: &Policy{SHA256: "made up"}})
	}
	bundle := bundleOf(t, forge(t, l, records), time.Time{}, time.Time{})
	lines := linesOf(t, bundle)
	for i := 3; i < len(lines); i++ {
		e := must1(unseal(lines[i]))(t)
		forged := bytes.Clone(e.signature)
		forged[3] ^= 1
		lines[i] = bytes.Replace(lines[i], []byte(base64Of(e.signature)), []byte(base64Of(forged)), 1)
	}
	forged := with(t, bundle, lines)
	trust := VerifyOptions{Keys: []PublicKey{l.PublicKey()}}
	v := verify(t, forged, trust)
	for _, kind := range []FindingKind{FoundVerdict, FoundSignature, FoundRoot} {
		if !slices.Contains(kinds(v), kind) {
			t.Errorf("no finding of %s among %v", kind, kinds(v))
		}
	}
	if v.More == 0 {
		t.Error("nothing was left out: there is no flood")
	}
	if opened, err := ReadBundle(t.Context(), bytes.NewReader(forged), int64(len(forged)), trust); !errors.Is(err, ErrBundle) || len(opened.Records) > 0 {
		t.Errorf("%d records that nobody signed are read: %v", len(opened.Records), err)
	}
}

// TestAFloodOfWarningsHidesNone: whoever has the key has the check warn of a
// thousand things before the one that counts.
func TestAFloodOfWarningsHidesNone(t *testing.T) {
	l := newLife(t)
	l.promise(t, promised())
	for range mostFindings + 5 {
		l.clock.Advance(2 * time.Hour)
		l.note(t, Record{Act: ActAlive, Alive: &Alive{}})
	}
	less := promised()
	less.Sites = less.Sites[:1]
	l.promise(t, less)
	v := verify(t, bundleOf(t, l.Log, time.Time{}, time.Time{}), VerifyOptions{Keys: []PublicKey{l.PublicKey()}})
	good(t, v)
	if got := warnings(v, WarnLowered); len(got) != 1 || len(warnings(v, WarnSilence)) != mostFindings || v.MoreWarnings != 5 {
		t.Errorf("%q, and %d more", got, v.MoreWarnings)
	}
	if said := fmt.Sprint(len(warnings(v, WarnUnanchored))); said == "0" {
		t.Error("anchors are not missed")
	}
}
