package evidence

import (
	"errors"
	"slices"
	"testing"
	"time"
)

// TestAnOldKeySignsNoMore: who stole the key before a rotation makes another end
// with it, or a checkpoint for the auditor.
func TestAnOldKeySignsNoMore(t *testing.T) {
	l := newLife(t)
	old := l.signer
	l.hours(t, 1)
	must(t, l, l.Rotate(must1(NewSigner(l.Origin()))(t), "root"))
	rotated := l.Size() - 1
	l.hours(t, 1)
	trust := VerifyOptions{Keys: []PublicKey{old.Public()}}
	bundle := bundleOf(t, l.Log, time.Time{}, time.Time{})
	signed := func(size uint64) []byte {
		return must1(Checkpoint{Origin: l.Origin(), Size: size, Root: must1(l.rootAt(size))(t)}.sign(old))(t)
	}
	if v := verify(t, rezip(t, bundle, map[string][]byte{bundleEnd: signed(l.Size())}), trust); !slices.Equal(kinds(v), []FindingKind{FoundKey}) {
		t.Errorf("the end signed with the old key: %+v", v.Findings)
	}
	for size, want := range map[uint64][]FindingKind{rotated - 1: nil, rotated: nil, rotated + 1: {FoundKey}, l.Size(): {FoundKey}} {
		v := verify(t, bundle, VerifyOptions{Keys: trust.Keys, Heads: [][]byte{signed(size)}})
		if !slices.Equal(kinds(v), want) {
			t.Errorf("a checkpoint of %d records with the old key, rotated by record %d: %+v", size, rotated, v.Findings)
		}
	}
	// A checkpoint in the log itself, of what a site holds. The good one comes
	// first: a bundle brings the record before its period, too.
	for _, anchored := range []struct {
		signer *Signer
		want   []FindingKind
	}{{l.state().signer, nil}, {old, []FindingKind{FoundAnchor}}} {
		at := Checkpoint{Origin: l.Origin(), Size: l.Size(), Root: l.state().root}
		l.note(t, Record{Act: ActAnchor, Anchor: &Anchor{To: "site cloud", Size: at.Size, Root: at.Root.String(), Checkpoint: string(must1(at.sign(anchored.signer))(t))}})
		v := verify(t, bundleOf(t, l.Log, l.clock.Now(), time.Time{}), trust)
		if !slices.Equal(kinds(v), anchored.want) {
			t.Errorf("what a site holds: %+v", v.Findings)
		}
		l.clock.Advance(time.Minute)
	}
}

func TestALostKeyIsABreak(t *testing.T) {
	l := full(t)
	old := l.PublicKey()
	next := must1(NewSigner(l.Origin()))(t)
	l.Log = must1(StartOver(Options{Store: l.store, Signer: next, Clock: l.clock, Program: "test"}, "root"))(t)
	l.hours(t, 1)
	bundle := bundleOf(t, l.Log, time.Time{}, time.Time{})
	if v := verify(t, bundle, VerifyOptions{Keys: []PublicKey{old}}); !slices.Equal(kinds(v), []FindingKind{FoundKey}) {
		t.Errorf("with the old key alone: %+v", v.Findings)
	}
	if v := verify(t, bundle, VerifyOptions{Keys: []PublicKey{next.Public()}}); !slices.Equal(kinds(v), []FindingKind{FoundKey}) {
		t.Errorf("with the new key alone: %+v", v.Findings)
	}
	v := verify(t, bundle, VerifyOptions{Keys: []PublicKey{old, next.Public()}})
	good(t, v)
	if len(v.Keys) != 2 || v.Keys[1].How != "break" {
		t.Errorf("%+v", v.Keys)
	}
	// A stolen record cannot bring a key in: the one that announces must sign.
	forged := collect(t, l.Records(0, 4))
	forged = append(copied(t, forged), Record{Sequence: 4, Time: forged[3].Time, Act: ActKey, Phase: Event, Key: &Key{Operation: operationSign, Public: next.Public().String()}})
	v = verify(t, bundleOf(t, forge(t, &life{Log: l.Log, clock: l.clock, signer: next}, forged), time.Time{}, time.Time{}), VerifyOptions{Keys: []PublicKey{old}})
	if v.OK {
		t.Error("a key brought itself in")
	}
}

// thief goes on with a log by a key of their own choice, whatever the log says of
// it.
func thief(t testing.TB, l *life, key *Signer) *life {
	t.Helper()
	o := Options{Store: l.store, Signer: key, Clock: l.clock, Program: "thief"}
	log, head, at, err := openUnsigned(o)
	must(t, log, err)
	must(t, log, log.take(at, head))
	must1(log.write(key, key, signed(key.public, "thief")))(t)
	return &life{Log: log, clock: l.clock, store: l.store, signer: key}
}

// TestAStolenOldKeyDoesNotComeBack: who stole the key that gave way to another
// announces it anew, in place, and goes on with it. The auditor was given the old
// key at the beginning, as docs/auditing.md says.
func TestAStolenOldKeyDoesNotComeBack(t *testing.T) {
	l := newLife(t)
	old, next := l.signer, must1(NewSigner(l.Origin()))(t)
	l.hours(t, 1)
	must(t, l, l.Rotate(next, "root"))
	l.hours(t, 1)
	anchored, rotated := must1(l.Checkpoint())(t), l.Size()
	for name, back := range map[string]func() error{
		"rotated to": func() error { return l.Rotate(old, "root") },
		"started over with": func() error {
			_, err := StartOver(Options{Store: l.store, Signer: old, Clock: l.clock}, "root")
			return err
		},
	} {
		if err := back(); !errors.Is(err, ErrKeyBack) || l.Size() != rotated {
			t.Errorf("%s: %v", name, err)
		}
	}
	forged := thief(t, l, old)
	forged.hours(t, 1)
	forged.proof(t, Done, goodProof())
	bundle := bundleOf(t, forged.Log, time.Time{}, time.Time{})
	for name, o := range map[string]VerifyOptions{
		"the old key":                           {Keys: []PublicKey{old.Public()}},
		"the old key, a head of the new one":    {Keys: []PublicKey{old.Public()}, Heads: [][]byte{anchored}},
		"both keys":                             {Keys: []PublicKey{old.Public(), next.Public()}},
		"both keys, a head of the new one":      {Keys: []PublicKey{old.Public(), next.Public()}, Heads: [][]byte{anchored}},
		"the new key alone, as after the theft": {Keys: []PublicKey{next.Public()}},
	} {
		v := verify(t, bundle, o)
		at := slices.IndexFunc(v.Findings, func(f Finding) bool { return f.Kind == FoundKey && f.Record != nil && *f.Record == rotated })
		if v.OK || at < 0 || len(v.Keys) != 2 {
			t.Errorf("%s: ok %t, %d findings, keys %+v", name, v.OK, len(v.Findings), v.Keys)
		}
	}
	// Nor is such a log taken over, whoever holds which key.
	envelopes, head := joined(t, segments(t, forged.Log, 1000))
	for _, key := range []*Signer{old, next} {
		if err := openLog(t, &memory{}, key, l.clock).Adopt(sequence(envelopes), head, nil, "root"); !errors.Is(err, ErrKeyBack) {
			t.Errorf("taken over with key %s: %v", key.public.ID, err)
		}
	}
}

// TestAnOldKeyIsNotAnnounced: nor is it the newer key that may bring it back.
func TestAnOldKeyIsNotAnnounced(t *testing.T) {
	l := newLife(t)
	old, next := l.signer, must1(NewSigner(l.Origin()))(t)
	l.hours(t, 1)
	must(t, l, l.Rotate(next, "root"))
	made := must1(l.write(next, old, signed(old.public, "root")))(t)
	l.hours(t, 1)
	v := verify(t, bundleOf(t, l.Log, time.Time{}, time.Time{}), VerifyOptions{Keys: []PublicKey{old.Public(), next.Public()}})
	if !slices.ContainsFunc(v.Findings, func(f Finding) bool { return f.Kind == FoundKey && f.Record != nil && *f.Record == made }) {
		t.Errorf("%+v", v.Findings)
	}
}
