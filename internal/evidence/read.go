package evidence

import (
	"fmt"
	"iter"
	"slices"
	"time"
)

// pageSize is how many envelopes are read in one transaction.
const pageSize = 256

// Records returns the records with from ≤ sequence < to, in order. What is
// stored is taken as it is: [Verify] checks, this reads. Only the times of
// records from before the clock was set back are those that count.
func (l *Log) Records(from, to uint64) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		now := l.state()
		for e, err := range l.Envelopes(from, to) {
			var r Record
			if err == nil {
				r, err = decodeStored(e, from)
				now.date(&r)
			}
			from++
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}

// Envelopes returns the exact bytes of the records with from ≤ sequence < to.
func (l *Log) Envelopes(from, to uint64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for to = min(to, l.Size()); from < to; {
			page, err := l.store.EvidenceEnvelopes(from, int(min(pageSize, to-from)))
			if err == nil && len(page) == 0 {
				err = fmt.Errorf("%w: record %d is not there; %s", ErrDamaged, from, wayOut)
			}
			if err != nil {
				yield(nil, fmt.Errorf("read the evidence log: %w", err))
				return
			}
			for _, e := range page {
				if !yield(e, nil) {
					return
				}
			}
			from += uint64(len(page))
		}
	}
}

// Find returns the records of an act that were written in from ≤ time < to, in
// order. An empty function means all, a zero time no bound.
func (l *Log) Find(act Act, function string, from, to time.Time) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		found, err := l.store.FindEvidence(act, function, from, to)
		if err != nil {
			yield(Record{}, fmt.Errorf("search the evidence log: %w", err))
			return
		}
		for _, n := range found {
			r, err := l.read(n)
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}

// Latest returns the newest record of an act; ok is false when there is none. An
// empty function means any.
func (l *Log) Latest(act Act, function string) (r Record, ok bool, err error) {
	found, err := l.store.FindEvidence(act, function, time.Time{}, time.Time{})
	if err != nil || len(found) == 0 {
		return Record{}, false, err
	}
	r, err = l.read(found[len(found)-1])
	return r, err == nil, err
}

// Unfinished returns the intents without a result, in order. While an act runs
// its intent is one of them; at the start of a program all are of acts that the
// end of an earlier one cut short.
func (l *Log) Unfinished() ([]Record, error) {
	found, err := l.store.UnfinishedEvidence()
	if err != nil {
		return nil, fmt.Errorf("search the evidence log: %w", err)
	}
	var out []Record
	for _, n := range found {
		r, err := l.read(n)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

// EndUnfinished ends each intent without a result as cut short, and returns
// them. It is for the start of a program, when nothing runs but exercises at a
// table, which stay open.
func (l *Log) EndUnfinished() ([]Record, error) {
	cut, err := l.Unfinished()
	if err != nil {
		return nil, err
	}
	cut = slices.DeleteFunc(cut, atTable)
	for _, r := range cut {
		err := l.End(r.Sequence, Record{Act: r.Act, Function: r.Function, Outcome: CutShort, Error: "the program ended before this did", By: r.By})
		if err != nil {
			return nil, fmt.Errorf("end record %d: %w", r.Sequence, err)
		}
	}
	return cut, nil
}

// atTable reports whether an intent is of an exercise that people talk through:
// no program carries it out, so the end of one does not cut it short.
func atTable(r Record) bool { return r.Drill != nil && r.Drill.Kind == "tabletop" }

// read returns one record.
func (l *Log) read(sequence uint64) (Record, error) {
	page, err := l.store.EvidenceEnvelopes(sequence, 1)
	if err == nil && len(page) == 0 {
		err = fmt.Errorf("%w: it is not there; %s", ErrDamaged, wayOut)
	}
	if err != nil {
		return Record{}, fmt.Errorf("read record %d of the evidence log: %w", sequence, err)
	}
	r, err := decodeStored(page[0], sequence)
	l.state().date(&r)
	return r, err
}

// wayOut says what to do about a record that is damaged on this host.
const wayOut = "the sites keep it as it was written: run 'backupd sync', so that they have all that is whole, then stop the service, move catalog.db out of data_dir, " +
	"and have 'backupd catalog rebuild --from SITE' take the log from there"

// decodeStored reads the record that is stored at a place. What is damaged is
// named, with the way out.
func decodeStored(sealed []byte, sequence uint64) (Record, error) {
	r, err := decodeRecord(sealed)
	if err == nil && r.Sequence != sequence {
		err = fmt.Errorf("record %d lies there", r.Sequence)
	}
	if err != nil {
		return r, fmt.Errorf("record %d of %w: %w; %s", sequence, ErrDamaged, err, wayOut)
	}
	return r, nil
}

// decodeRecord reads a record of a log whose records were checked when they were
// taken in: how each is written is not looked at again.
func decodeRecord(sealed []byte) (Record, error) {
	e, err := unseal(sealed)
	if err != nil {
		return Record{}, err
	}
	s, err := parseStatement(e.payload)
	if err != nil {
		return Record{}, err
	}
	return s.Predicate, nil
}
