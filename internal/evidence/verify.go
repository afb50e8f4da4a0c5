package evidence

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// VerifyOptions are what whoever checks a bundle brings along: all trust comes
// from here.
type VerifyOptions struct {
	// Keys are the public keys of the log that were obtained by another way.
	// Keys that they announce are taken too.
	Keys []PublicKey
	// Heads are signed checkpoints that were obtained by another way.
	Heads [][]byte
	// Stampers are the roots of the time-stamping authorities that are trusted;
	// nil means that none is, and that whose stamps they are is not checked.
	Stampers *x509.CertPool

	flight int64 // see [maxFlight]; zero: that
}

const (
	// longest is how long a service that runs may be without a record: it writes
	// one after an hour, and needs a moment for it.
	longest = time.Hour + 10*time.Minute
	// underway is how old an intent without a result may be at the end of a
	// bundle and still be taken for an act that was under way.
	underway = 24 * time.Hour
	// underwayAtBorder is that at the end of a part behind which the log is said to
	// go on: what would show how the act ended is not in the bundle then.
	underwayAtBorder = 7 * 24 * time.Hour
	// mostFindings of each kind are told one by one: a flood of one kind must not hide
	// another.
	mostFindings = 1000
)

// Verify checks a bundle. What is wrong is in the findings; the error matches
// [ErrBundle] when the file is no bundle at all.
func Verify(ctx context.Context, r io.ReaderAt, size int64, o VerifyOptions) (*Verification, error) {
	v, _, err := check(ctx, r, size, o)
	return v, err
}

// check returns the records from before the period as well.
func check(ctx context.Context, r io.ReaderAt, size int64, o VerifyOptions) (*Verification, []Record, error) {
	if len(o.Keys) == 0 {
		return nil, nil, fmt.Errorf("%w: nothing can be checked without one that you trust", ErrKey)
	}
	b, err := openBundle(r, size)
	if err != nil {
		return nil, nil, err
	}
	v := newVerifier(b, o)
	if err := v.before(); err != nil {
		return nil, nil, err
	}
	if err := v.records(ctx); err != nil {
		return nil, nil, err
	}
	if !v.gaveUp {
		v.after()
	}
	return v.conclude(), v.earlierRecords, nil
}

// verifier is the check of one bundle under way.
type verifier struct {
	bundle   *bundleFile
	given    []PublicKey
	heads    [][]byte
	stampers *x509.CertPool
	flight   int64
	out      *Verification

	tree            *tree
	keys            keychain
	trusted         map[PublicKey]bool
	strange         map[PublicKey]*span // records signed by keys that nothing vouches for
	last            time.Time
	open            map[uint64]intended
	newest          map[string]uint64 // by function, the last intent of a snapshot: they never overlap
	acts            map[actKey]int
	times           []int64 // milliseconds since 1970, from From on
	days            *dayBook
	points          *pointBook
	clamped         uint64               // the newest record with the time of the one before it
	retired         map[PublicKey]uint64 // how many records there were when a key signed for the last time
	actions         map[string]uint64
	promise         *Policy         // in force, as far as it is known
	promisedAt      uint64          // the record of it
	unpromised      map[uint64]bool // policies that records name and that are not there
	earlierPolicies []uint64        // that came along from before the period
	due             map[string]due  // anchors, by to whom
	passed          map[uint64]test // results
	earlierRecords  []Record        // from before the period
	wrong           *signatures
	told            map[FindingKind]int
	warned          map[WarningKind]int
	kept            int  // bytes of records of which much is kept, see [maxKept]
	gaveUp          bool // too much is wrong
}

// intended is what is kept of an intent.
type intended struct {
	act         Act
	function    string
	at          time.Time
	late, table bool // told when it was over; an exercise at a table
}

// actKey is what records are counted by.
type actKey struct {
	act   Act
	ended string
}

type span struct {
	first, last uint64
	n           int
}

func newVerifier(b *bundleFile, o VerifyOptions) *verifier {
	return &verifier{
		bundle: b, given: o.Keys, heads: o.Heads, stampers: o.Stampers, flight: cmp.Or(o.flight, maxFlight),
		out: &Verification{
			Origin: b.about.Origin, From: b.about.From, To: b.about.To, Size: b.about.Size,
			Findings: []Finding{}, Warnings: []Warning{}, Keys: []KeyUse{}, Acts: map[string]int{},
		},
		trusted: map[PublicKey]bool{}, strange: map[PublicKey]*span{}, open: map[uint64]intended{}, newest: map[string]uint64{}, acts: map[actKey]int{},
		actions: map[string]uint64{}, passed: map[uint64]test{}, due: map[string]due{}, retired: map[PublicKey]uint64{}, unpromised: map[uint64]bool{},
		days: newDayBook(b.about.From), points: newPointBook(), wrong: newSignatures(),
		told: map[FindingKind]int{}, warned: map[WarningKind]int{},
	}
}

// found notes that something is wrong with a record, or with the whole when
// record is nil.
func (v *verifier) found(record *uint64, kind FindingKind, format string, args ...any) {
	if v.told[kind]++; v.told[kind] > mostFindings {
		v.out.More++
		return
	}
	v.out.Findings = append(v.out.Findings, Finding{Record: record, Kind: kind, Text: inShort(fmt.Sprintf(format, args...)), Meaning: meanings[kind]})
}

// before checks what lies before the period: the keys, and the tree.
func (v *verifier) before() error {
	about := v.bundle.about
	for _, k := range v.given {
		if k.Origin != about.Origin {
			v.found(nil, FoundKey, "the key that was given is of the log %s, and the bundle is of %s", k.Origin, about.Origin)
		}
	}
	for i := range v.bundle.keys {
		if x := &v.bundle.keys[i]; x.record.Sequence < about.From {
			v.follow(x.record.Sequence, x)
		}
	}
	var err error
	if v.tree, err = growFrom(about.From, v.bundle.hashes.Before); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrBundle, bundleTree, err)
	}
	return v.earlier()
}

// take follows one record. The error is one of the bundle itself.
func (v *verifier) take(seq uint64, x *item) error {
	before := v.tree.size
	if err := v.tree.add(x.leaf); err != nil {
		return fmt.Errorf("%w: %w", ErrBundle, err)
	}
	v.giveUp(seq)
	if x.err != nil {
		v.found(&seq, FoundForm, "%v", x.err)
		v.times = append(v.times, v.last.UnixMilli())
		return nil
	}
	r := x.record
	if r.Sequence != seq {
		v.found(&seq, FoundSequence, "the record here says that it is number %d", r.Sequence)
	}
	v.atItsTime(seq, r)
	if err := v.aboutIts(seq, x, uint64(before)); err != nil {
		return err
	}
	if !v.follow(seq, x) {
		return nil
	}
	for _, claim := range x.claims {
		v.found(&seq, FoundVerdict, "%s", claim)
	}
	if err := v.keeps(x); err != nil {
		return err
	}
	if seq == v.out.From {
		v.beginsUnder(r)
	}
	v.underPromise(seq, r)
	v.ofAct(seq, r)
	v.specifics(seq, r)
	return nil
}

// atItsTime checks that no record is older than the one before it, and measures
// silence.
func (v *verifier) atItsTime(seq uint64, r *Record) {
	if seq == v.out.From {
		v.out.First = r.Time
	} else {
		if r.Time.Equal(v.last) {
			v.clamped = seq
		}
		if r.setsBack(v.last) {
			v.found(&seq, FoundClock, "the clock was set back by %v, to %s: %s", v.last.Sub(r.Time).Round(time.Second), stamp(r.Time), r.Clock.Reason)
		} else if r.Time.Before(v.last) {
			v.found(&seq, FoundTime, "it was written at %s, before the record before it (%s)", stamp(r.Time), stamp(v.last))
		} else if r.Clock != nil {
			// It would end a day, whose summaries are not missed then.
			v.found(&seq, FoundClock, "it says that the clock is set back from %s, which is not that of the record before it (%s)", stamp(r.Clock.Was), stamp(v.last))
		}
		silence := r.Time.Sub(v.last)
		if silence > longest {
			v.out.Silences++
			v.silent(&seq, v.last, r.Time)
		}
		if silence.Seconds() > v.out.Silence.Seconds {
			v.out.Silence = Stretch{From: v.last, To: r.Time, Seconds: silence.Seconds(), Before: seq}
		}
	}
	v.last, v.out.Last = r.Time, r.Time
	v.times = append(v.times, r.Time.UnixMilli())
	v.days.take(seq, r)
}

// aboutIts checks the subject of a statement. One without a digest of its own
// names the log as it stood before the record.
func (v *verifier) aboutIts(seq uint64, x *item, size uint64) error {
	var before Hash
	if _, of := x.about.Subject[0].Digest["rfc6962"]; of {
		var err error
		if before, err = v.tree.root(size); err != nil {
			return fmt.Errorf("%w: %w", ErrBundle, err)
		}
	}
	if !x.about.about(v.out.Origin, before) {
		v.found(&seq, FoundSubject, "its subject is not what the record is about, or not the log as it stood then")
	}
	return nil
}

// follow checks that a record is signed by the key that signs the log here. It
// reports whether what the record says can be looked at.
func (v *verifier) follow(seq uint64, x *item) bool {
	chain := v.keys
	by, step, err := chain.follow(x.keyID, x.record)
	if errors.Is(err, ErrKeyBack) {
		v.found(&seq, FoundKey, "%v: whoever did this holds a key that was to sign no more, and may have stolen it", err)
		return false
	}
	if err != nil {
		v.found(&seq, FoundSignature, "%v", err)
		return false
	}
	if step == keyStays {
		v.vouch(seq, by)
		return v.signed(seq, by, x)
	}
	// A key is taken only from a record whose signature is right.
	if err := x.signedBy(by); err != nil {
		v.found(&seq, FoundSignature, "%v", err)
		return false
	}
	if old := v.keys.current; old != (PublicKey{}) && old != chain.current {
		v.retired[old] = seq
	}
	v.keys = chain
	v.stepped(seq, x.record, by, step)
	v.vouch(seq, by)
	return true
}

// stepped notes another key.
func (v *verifier) stepped(seq uint64, r *Record, by PublicKey, step keyStep) {
	next := v.keys.current
	use := KeyUse{Record: seq, Time: r.Time, Public: next.String(), By: r.By}
	given := slices.Contains(v.given, next)
	switch step {
	case keyFirst:
		use.How, use.Trusted = "first", given
	case keyNext:
		use.How, use.Trusted = "announced", given || v.trusted[by]
	case keyBreak:
		use.How, use.Trusted = "break", given
		if !given {
			v.found(&seq, FoundKey, "key %s announced itself and was not announced by the key before it: that was lost, or this is a stranger's", next.ID)
		}
	case keyStays:
	}
	v.trusted[next] = use.Trusted
	v.out.Keys = append(v.out.Keys, use)
}

// vouch counts records of keys that nothing vouches for.
func (v *verifier) vouch(seq uint64, by PublicKey) {
	if v.trusted[by] || seq < v.out.From || seq >= v.out.To {
		return
	}
	s := v.strange[by]
	if s == nil {
		s = &span{first: seq}
		v.strange[by] = s
	}
	s.last, s.n = seq, s.n+1
}

// conclude sorts what was found.
func (v *verifier) conclude() *Verification {
	for by, s := range v.strange {
		v.found(&s.first, FoundKey, "%d records from here to %d are signed with key %s, which none of the keys that were given vouches for", s.n, s.last, by.ID)
	}
	slices.SortStableFunc(v.out.Findings, func(a, b Finding) int {
		switch {
		case a.Record == nil && b.Record == nil:
			return 0
		case a.Record == nil:
			return 1
		case b.Record == nil:
			return -1
		}
		return cmp.Compare(*a.Record, *b.Record)
	})
	v.out.OK = len(v.out.Findings) == 0
	for k, n := range v.acts {
		v.out.Acts[string(k.act)+" "+k.ended] = n
	}
	return v.out
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05.000 UTC") }

// signatures checks signatures in batches on all processors.
type signatures struct {
	group   errgroup.Group
	mu      sync.Mutex
	wrong   []uint64
	by      PublicKey
	waiting []signatureCheck
}

func newSignatures() *signatures {
	s := &signatures{}
	s.group.SetLimit(runtime.GOMAXPROCS(0))
	return s
}

func (s *signatures) add(by PublicKey, c signatureCheck) {
	if by != s.by || len(s.waiting) == batchSize {
		s.flush()
	}
	s.by, s.waiting = by, append(s.waiting, c)
}

func (s *signatures) flush() {
	by, batch := s.by, s.waiting
	s.waiting = nil
	if len(batch) == 0 {
		return
	}
	s.group.Go(func() error {
		if wrong := wrongSignatures(by, batch); len(wrong) > 0 {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.wrong = append(s.wrong, wrong...)
		}
		return nil
	})
}

// wait returns the sequences of all that are wrong, ascending.
func (s *signatures) wait() []uint64 {
	s.flush()
	_ = s.group.Wait() // none returns an error
	slices.Sort(s.wrong)
	return s.wrong
}
