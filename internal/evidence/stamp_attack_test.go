package evidence

import (
	"crypto/x509"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/testenv"
)

// stamped is a log whose checkpoint was stamped in the middle, and the sequence
// of the record that holds the token.
func stamped(t testing.TB, tsa *testenv.TimeStamps) (l *life, seq uint64) {
	t.Helper()
	l = newLife(t)
	l.hours(t, 2)
	at, _, err := OpenCheckpoint(must1(l.Checkpoint())(t), l.PublicKey())
	must(t, at, err)
	l.clock.Advance(2 * time.Second)
	token := tsa.Token(t, []byte(at.Text()), l.clock.Now(), testenv.StampsWell)
	l.snapshot(t, "payments") // it goes on meanwhile
	seq = l.note(t, Record{Act: ActAnchor, Anchor: &Anchor{To: "timestamp " + tsa.URL, Size: at.Size, Root: at.Root.String(), Token: token}})
	l.hours(t, 1)
	return l, seq
}

func TestTimeStampsAreChecked(t *testing.T) {
	tsa := testenv.StampTime(t)
	l, seq := stamped(t, tsa)
	bundle := bundleOf(t, l.Log, time.Time{}, time.Time{})
	for name, roots := range map[string]*x509.CertPool{"trusted": tsa.Roots(), "not checked": nil} {
		v := verify(t, bundle, VerifyOptions{Keys: []PublicKey{l.PublicKey()}, Stampers: roots})
		good(t, v)
		if len(v.Anchors) != 1 || v.Anchors[0].Stamp == nil || v.Anchors[0].Stamp.Trusted != (roots != nil) || v.Anchors[0].Record != seq {
			t.Errorf("%s: %+v", name, v.Anchors)
		}
	}
	// The stamp stays checked in the bundle of a later period.
	at := collect(t, l.Records(seq, seq+1))[0].Time
	v := verify(t, bundleOf(t, l.Log, at, time.Time{}), VerifyOptions{Keys: []PublicKey{l.PublicKey()}, Stampers: tsa.Roots()})
	good(t, v)
	if len(v.Anchors) != 1 || v.Anchors[0].Checked || v.Anchors[0].Stamp == nil {
		t.Errorf("%+v", v.Anchors)
	}
}

// TestWhatTimeStampsCatch: whoever has the key writes the log anew, and has the
// new one stamped by the same authority, which gives no other time than now; or
// makes stamps themselves.
func TestWhatTimeStampsCatch(t *testing.T) {
	tsa, other := testenv.StampTime(t), testenv.StampTime(t)
	l, seq := stamped(t, tsa)
	all := collect(t, l.Records(0, l.Size()))
	later := l.clock.Now().Add(30 * 24 * time.Hour)
	// anew rewrites what was before the stamp, and has that stamped at a time.
	anew := func(r []Record, by *testenv.TimeStamps, at time.Time) []Record {
		r[10].Snapshot.Rows = 9999
		size := r[seq].Anchor.Size
		f := forge(t, l, r[:size])
		text := Checkpoint{Origin: l.Origin(), Size: size, Root: f.state().root}.Text()
		r[seq].Anchor.Root, r[seq].Anchor.Token = f.state().root.String(), by.Token(t, []byte(text), at, testenv.StampsWell)
		return r
	}
	shifted := func(r []Record, from uint64, by time.Duration) []Record {
		for i := from; i < uint64(len(r)); i++ {
			r[i].Time = r[i].Time.Add(by)
		}
		return r
	}
	for name, attack := range map[string]struct {
		change func(r []Record) []Record
		say    string // part of the finding; empty: none
	}{
		"nothing is changed":                          {func(r []Record) []Record { return r }, ""},
		"history is dated back and stamped today":     {func(r []Record) []Record { return anew(r, tsa, later) }, "later than that"},
		"history is dated back and stamped by itself": {func(r []Record) []Record { return anew(r, other, r[seq].Time) }, "nobody who is trusted"},
		"the old stamp is kept for another history":   {func(r []Record) []Record { r[10].Snapshot.Rows = 9999; return r }, ""}, // FoundAnchor, below
		"the old stamp is given the new root": {func(r []Record) []Record {
			t := r[seq].Anchor.Token
			r = anew(r, tsa, later)
			r[seq].Anchor.Token = t
			return r
		}, "time stamp of something else"},
		"what was stamped is dated ahead":              {func(r []Record) []Record { return anew(shifted(r, seq-4, time.Hour), tsa, r[seq].Time.Add(-time.Hour)) }, "later than that"},
		"the record of the stamp is dated back":        {func(r []Record) []Record { return anew(shifted(r, 0, -time.Hour), tsa, r[seq].Time.Add(time.Hour)) }, "later than that"},
		"a clock a minute off is not held against one": {func(r []Record) []Record { return anew(r, tsa, r[seq].Time.Add(time.Minute)) }, ""},
		"a token that is none":                         {func(r []Record) []Record { r[seq].Anchor.Token = []byte("noon"); return r }, "does not hold"},
		"no token":                                     {func(r []Record) []Record { r[seq].Anchor.Token = nil; return r }, "does not hold"},
		"a token with a changed bit":                   {func(r []Record) []Record { r[seq].Anchor.Token[len(r[seq].Anchor.Token)/2] ^= 1; return r }, "does not hold"},
		"a root that is none":                          {func(r []Record) []Record { r[seq].Anchor.Root = "x"; return r }, "cannot be told"},
	} {
		t.Run(name, func(t *testing.T) {
			f := forge(t, l, attack.change(copied(t, all)))
			v := verify(t, bundleOf(t, f, time.Time{}, time.Time{}), VerifyOptions{Keys: []PublicKey{l.PublicKey()}, Stampers: tsa.Roots()})
			at := slices.IndexFunc(v.Findings, func(f Finding) bool { return f.Kind == FoundStamp && strings.Contains(f.Text, attack.say) })
			switch {
			case strings.HasPrefix(name, "the old stamp is kept"):
				if !slices.Equal(kinds(v), []FindingKind{FoundAnchor}) {
					t.Errorf("%+v", v.Findings)
				}
			case attack.say == "":
				good(t, v)
			case at < 0:
				t.Errorf("no finding of a stamp that says %q among %+v", attack.say, v.Findings)
			}
		})
	}
}
