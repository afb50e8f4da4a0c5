package evidence

import (
	"archive/zip"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"sort"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

const bundleFormat = "https://github.com/saypro/backupd/evidence/bundle/v1"

// The files of a bundle, besides those with records.
const (
	bundleReadme = "README.txt"
	bundleAbout  = "bundle.json"
	bundleStart  = "checkpoint-start.txt"
	bundleEnd    = "checkpoint-end.txt"
	bundleKey    = "key.txt"
	bundleKeys   = "keys.jsonl"
	bundleTree   = "tree.json"
)

// bundleLines is how many records one file of a bundle holds.
const bundleLines = 10_000

//go:embed bundle.txt
var readmeText string

// About says what a bundle holds.
type About struct {
	Format string `json:"format"`
	Origin string `json:"origin"`
	// From and To are sequences: records From to To-1, the last before the period
	// and the first behind it among them. Size is how many the log held when the
	// bundle was made.
	From uint64 `json:"from"`
	To   uint64 `json:"to"`
	Size uint64 `json:"size"`
	// Since and Until are the period that was asked for, left out where it is
	// open.
	Since   time.Time `json:"since,omitzero"`
	Until   time.Time `json:"until,omitzero"`
	Made    time.Time `json:"made"`
	Program string    `json:"program"`
}

// bundleHashes are what ties a period to the log before it.
type bundleHashes struct {
	// Before are the roots of the whole subtrees that hold the first From
	// records, the largest first.
	Before []Hash `json:"before"`
	// Consistency is the RFC 6962 proof that the tree of To records goes on
	// from that of From records; empty when From is 0.
	Consistency []Hash `json:"consistency"`
}

// recordsFile names the file of a bundle whose first record has that sequence.
func recordsFile(first uint64) string { return fmt.Sprintf("records/%012d.jsonl", first) }

// WriteBundle writes a zip with all that is needed to check the records written
// in since ≤ time < until, and returns what it holds. Zero times mean from the
// first, to the last.
func (l *Log) WriteBundle(w io.Writer, since, until time.Time) (About, error) {
	now := l.state()
	about := About{
		Format: bundleFormat, Origin: now.signer.public.Origin, Size: now.size, To: now.size, Since: since.UTC(), Until: until.UTC(),
		Made: l.clock.Now().UTC().Round(0), Program: l.program,
	}
	var err error
	if !since.IsZero() {
		about.From, err = l.firstAt(since, now.size)
	}
	if !until.IsZero() && err == nil {
		about.To, err = l.firstAt(until, now.size)
	}
	if err == nil {
		about.To = max(about.From, about.To)
		// The record before and the one behind show that all between is there.
		about.From -= min(about.From, 1)
		about.To = min(about.To+1, about.Size)
		err = l.bundle(zip.NewWriter(w), now, about)
	}
	if err != nil {
		return about, fmt.Errorf("bundle of the evidence log: %w", err)
	}
	return about, nil
}

// firstAt returns the sequence of the first record that was not written before
// a time.
func (l *Log) firstAt(t time.Time, size uint64) (uint64, error) {
	var failed error
	n := sort.Search(int(size), func(i int) bool {
		r, err := l.read(uint64(i))
		if err != nil {
			failed = err
		}
		return err != nil || !r.Time.Before(t)
	})
	return uint64(n), failed
}

// bundle writes what the log held in a state: its key may change meanwhile.
func (l *Log) bundle(z *zip.Writer, now state, about About) error {
	text, err := json.MarshalIndent(about, "", "  ")
	if err != nil {
		return err
	}
	start, err1 := l.checkpointAt(now, about.From)
	end, err2 := l.checkpointAt(now, about.To)
	hashes, err3 := l.bundleTree(about)
	keys, err4 := l.keyRecords(about)
	before, err5 := l.beforeRecords(about)
	for _, err := range []error{err1, err2, err3, err4, err5} {
		if err != nil {
			return err
		}
	}
	for _, file := range []struct {
		name    string
		content []byte
	}{
		{bundleReadme, []byte(readmeText)},
		{bundleAbout, append(text, '\n')},
		{bundleStart, start},
		{bundleEnd, end},
		{bundleKey, []byte(now.signer.public.String() + "\n")},
		{bundleKeys, keys},
		{bundleTree, hashes},
		{bundleBefore, before},
	} {
		if err := l.zipped(z, about, file.name, func(w io.Writer) error {
			_, err := w.Write(file.content)
			return err
		}); err != nil {
			return err
		}
	}
	for first := about.From; first < about.To; first += bundleLines {
		err := l.zipped(z, about, recordsFile(first), func(w io.Writer) error {
			for e, err := range l.Envelopes(first, min(first+bundleLines, about.To)) {
				if err != nil {
					return err
				}
				if _, err := w.Write(append(e, '\n')); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return z.Close()
}

func (l *Log) zipped(z *zip.Writer, about About, name string, write func(io.Writer) error) error {
	w, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: about.Made})
	if err != nil {
		return err
	}
	return write(w)
}

func (l *Log) bundleTree(about About) ([]byte, error) {
	h := bundleHashes{Before: []Hash{}, Consistency: []Hash{}}
	if about.From > 0 {
		var err error
		if h.Before, err = l.store.EvidenceHashes(wholeSubtrees(about.From)); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		proof, err := tlog.ProveTree(int64(about.To), int64(about.From), tlog.HashReaderFunc(l.store.EvidenceHashes))
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		h.Consistency = append(h.Consistency, proof...)
	}
	text, err := json.Marshal(h)
	return append(text, '\n'), err
}

// wholeSubtrees returns the indexes, in tlog's order, of the largest subtrees
// that hold so many records between them, from the first on.
func wholeSubtrees(size uint64) (out []int64) {
	for level, done := 62, uint64(0); level >= 0; level-- {
		if size&(1<<level) != 0 {
			out = append(out, tlog.StoredHashIndex(level, int64(done>>level)))
			done += 1 << level
		}
	}
	return out
}

// keyRecords returns, as lines, the records outside of a bundle that say which
// key signs the log: without them an old key could not vouch for a new one.
func (l *Log) keyRecords(about About) (out []byte, err error) {
	for r, err := range l.Find(ActKey, "", time.Time{}, time.Time{}) {
		if err != nil {
			return nil, err
		}
		if r.Sequence >= about.Size || r.Key == nil || r.Key.Operation != operationSign || about.From <= r.Sequence && r.Sequence < about.To {
			continue
		}
		for e, err := range l.Envelopes(r.Sequence, r.Sequence+1) {
			if err != nil {
				return nil, err
			}
			out = append(append(out, e...), '\n')
		}
	}
	return out, nil
}
