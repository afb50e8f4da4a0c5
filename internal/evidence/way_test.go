package evidence

import (
	"errors"
	"testing"

	"github.com/saypro/backupd/internal/clock"
)

// TestAWayLeadsThroughWhatFits: from each place of a log only what goes on from there
// leads on, and what was tried in vain changes nothing.
func TestAWayLeadsThroughWhatFits(t *testing.T) {
	l, first, _ := rotatedLog(t, clock.NewFake(begin))
	var all []Segment
	for _, b := range segments(t, l, 7) {
		all = append(all, must1(ParseSegment(b))(t))
	}
	forged := openLog(t, &memory{}, first, clock.NewFake(begin))
	for range 14 {
		alive(t, forged)
	}
	theirs := must1(ParseSegment(must1(forged.Segment(0, 7))(t)))(t)
	next := must1(ParseSegment(must1(forged.Segment(7, 14))(t)))(t)
	claims := theirs
	claims.Checkpoint = all[0].Checkpoint
	way := NewWay(l.Origin())
	if _, err := NewWay(newSigner(t).public.Origin).Through(&all[0]); err == nil {
		t.Error("records of this log led on with another")
	}
	for i, s := range all {
		for name, wrong := range map[string]*Segment{
			"what comes later": &all[(i+1)%len(all)], "another history": &next, "other records than the checkpoint says": &claims,
		} {
			if _, err := way.Through(wrong); err == nil {
				t.Errorf("%s led on from record %d", name, way.At().Size)
			}
		}
		behind, err := way.Through(&s)
		if err != nil {
			t.Fatalf("segment %d: %v", i, err)
		}
		way = behind
	}
	if is := must1(peekCheckpoint(all[len(all)-1].Checkpoint))(t); way.At() != is || is.Size != l.Size() {
		t.Errorf("it led to %+v, and the log ends with %+v", way.At(), is)
	}
	astray := must1(NewWay(l.Origin()).Through(&theirs))(t) // that key signs there
	if _, err := astray.Through(&all[1]); !errors.Is(err, ErrDamaged) {
		t.Errorf("from another history to this one: %v", err)
	}
}
