package evidence

import (
	"bytes"
	"fmt"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"testing"
	"time"
)

// The check of a test may have so much in flight, an eighth of what it may
// otherwise, and hold half as much again, with what the garbage collector has not
// come round to.
const (
	testFlight = maxFlight / 8
	mostHeld   = testFlight + testFlight/2
)

// peak returns the most memory that objects took while something was done, beside
// what there was before.
func peak(do func()) uint64 {
	defer debug.SetGCPercent(debug.SetGCPercent(20))
	runtime.GC()
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	read := func() uint64 { metrics.Read(sample); return sample[0].Value.Uint64() }
	before, most := read(), uint64(0)
	done, stop := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
				most = max(most, read())
			}
		}
	}()
	do()
	close(stop)
	<-done
	return most - min(most, before)
}

// lineOf is a record in an envelope of that key, whose signature fits nothing.
func lineOf(t testing.TB, by PublicKey, payload string) []byte {
	t.Helper()
	signer := must1(NewSigner(by.Origin))(t)
	return bytes.Replace(must1(seal([]byte(payload), signer))(t), []byte(signer.public.ID), []byte(by.ID), 1)
}

// TestBombsTakeLittleMemory: each line of a bundle may be long, each of its files
// has many, and a zip makes nothing of all that are alike. Whoever makes one can
// have the check read them for long, and not make it hold them.
func TestBombsTakeLittleMemory(t *testing.T) {
	l := newLife(t)
	l.hours(t, 1)
	good := bundleOf(t, l.Log, time.Time{}, time.Time{})
	about := string(unzip(t, good, bundleAbout))
	trust := VerifyOptions{Keys: []PublicKey{l.PublicKey()}, flight: testFlight}
	const long = 1 << 20
	statement := func(act Act, body string) string {
		return fmt.Sprintf(`{"_type":%q,"subject":[{"name":"x","digest":{"rfc6962":""}}],"predicateType":%q,"predicate":{"sequence":0,"time":"2026-11-25T00:00:00Z","act":%q,"phase":"event",%s}}`,
			statementType, predicatePrefix+string(act), act, body)
	}
	text := strings.Repeat("x", long-1000)
	for name, bomb := range map[string]struct {
		line []byte
		n    int
	}{
		"long lines that are none": {bytes.Repeat([]byte("x"), 2*long), 40},
		"long texts":               {lineOf(t, l.PublicKey(), statement(ActAlive, fmt.Sprintf(`"by":%q,"alive":{"since_sequence":0}`, text))), 40},
		"long names":               {lineOf(t, l.PublicKey(), statement(ActFound, fmt.Sprintf(`"function":%q,"found":{"sources":{}}`, text))), 40},
		"many objects":             {lineOf(t, l.PublicKey(), statement(ActDrill, `"drill":{"id":"","kind":"","scenario":"","steps":[`+strings.Repeat("{},", long/3-1000)+`{}]}`)), 8},
		"many objects with a name": {lineOf(t, l.PublicKey(), statement(ActDrill, `"drill":{"id":"","kind":"","scenario":"","steps":[`+strings.Repeat(`{"id":"","x":12},`, maxObjects/5)+`{}]}`)), 60},
		"nothing but lines":        {nil, 3 * bundleLines},
	} {
		files := map[string][]byte{bundleAbout: []byte(strings.NewReplacer(`"to": 25`, fmt.Sprint(`"to": `, bomb.n), `"size": 25`, fmt.Sprint(`"size": `, bomb.n)).Replace(about))}
		for first := 0; first < bomb.n; first += bundleLines {
			files[recordsFile(uint64(first))] = bytes.Repeat(append(bytes.Clone(bomb.line), '\n'), min(bundleLines, bomb.n-first))
		}
		b := rezip(t, good, files)
		clear(files)
		var v *Verification
		var err error
		held := peak(func() { v, err = Verify(t.Context(), bytes.NewReader(b), int64(len(b)), trust) })
		t.Logf("%s: a bundle of %d KiB, of %d MiB unpacked, takes %d MiB", name, len(b)>>10, bomb.n*(len(bomb.line)+1)>>20, held>>20)
		if err != nil || v.OK {
			t.Errorf("%s: %v, %+v", name, err, v)
		}
		if held > mostHeld {
			t.Errorf("%s: the check held %d MiB, and may hold %d", name, held>>20, mostHeld>>20)
		}
	}
}
