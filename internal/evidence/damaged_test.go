package evidence

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"testing"
	"time"
)

// A record that is damaged on this host is named by whoever reads it, with the
// way out.
func TestADamagedRecordIsNamed(t *testing.T) {
	l := full(t)
	promised, _, err := l.Latest(ActPolicy, "")
	must(t, l, err)
	n := promised.Sequence
	whole := l.store.entries[n].Envelope
	damaged := []byte(strings.Replace(string(whole), `"payload":"ey`, `"payload":"e*`, 1))
	last := func(records iter.Seq2[Record, error]) (err error) {
		for _, err = range records {
			if err != nil {
				return err
			}
		}
		return nil
	}
	for name, read := range map[string]func() error{
		"records": func() error { return last(l.Records(0, l.Size())) },
		"find":    func() error { return last(l.Find(ActPolicy, "", time.Time{}, time.Time{})) },
		"latest":  func() error { _, _, err := l.Latest(ActPolicy, ""); return err },
		"history": func() error { _, err := History(l, "payments", begin, begin.Add(time.Hour)); return err },
		"bundle":  func() error { _, err := l.WriteBundle(io.Discard, promised.Time, time.Time{}); return err },
	} {
		l.store.entries[n].Envelope = whole
		if err := read(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		l.store.entries[n].Envelope = damaged
		err := read()
		if name == "bundle" && err == nil {
			continue // only when the search for the begin hits the record: who checks the bundle is told
		}
		if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), fmt.Sprintf("record %d ", n)) || !strings.Contains(err.Error(), "catalog rebuild") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
