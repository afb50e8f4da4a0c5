package rowhash

import (
	"bytes"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// The digest does not depend on the order of the rows, on how they are cut
// into writes, or on how they are shared out; it depends on every row, as often
// as it occurs.
func TestDigestIsOfTheMultiset(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rows := rapid.SliceOf(rapid.StringMatching(`[a-c\t]{0,6}`)).Draw(t, "rows")
		shuffled := rapid.Permutation(rows).Draw(t, "shuffled")
		whole := digest(strings.Join(rows, "\n"), len(rows))
		var merged Digest
		split := rapid.IntRange(0, len(rows)).Draw(t, "split")
		merged.Merge(digest(strings.Join(shuffled[:split], "\n"), split))
		merged.Merge(digest(strings.Join(shuffled[split:], "\n"), len(rows)-split))
		if merged != whole {
			t.Fatalf("%s in two parts, %s in one", merged, whole)
		}
		if len(rows) > 0 {
			twice := append(append([]string{}, rows...), rows[0])
			if d := digest(strings.Join(twice, "\n"), len(twice)); d == whole || d.Rows != whole.Rows+1 {
				t.Fatal("a doubled row does not show")
			}
			changed := append([]string{rows[0] + "x"}, rows[1:]...)
			if d := digest(strings.Join(changed, "\n"), len(changed)); d == whole || d.String() == whole.String() {
				t.Fatal("a changed row does not show")
			}
		}
		checkWrites(t, rows, whole)
	})
}

// checkWrites digests the rows through writes cut anywhere.
func checkWrites(t *rapid.T, rows []string, want Digest) {
	var w Writer
	text := []byte(lines(strings.Join(rows, "\n"), len(rows)))
	for rest := text; len(rest) > 0; {
		n := rapid.IntRange(1, len(rest)).Draw(t, "write")
		_, _ = w.Write(rest[:n])
		rest = rest[n:]
	}
	got, size := w.Sum()
	if got != want || size != int64(len(text)) || !w.Whole() {
		t.Fatalf("%s of %d bytes through a writer, want %s of %d", got, size, want, len(text))
	}
}

func lines(joined string, n int) string {
	if n == 0 {
		return ""
	}
	return joined + "\n"
}

func digest(joined string, n int) Digest {
	var d Digest
	for _, row := range bytes.SplitAfter([]byte(lines(joined, n)), []byte("\n")) {
		if len(row) > 0 {
			d.Add(Row(row))
		}
	}
	return d
}

// goldenDigest pins hash and sum: it is written into every commit.
const goldenDigest = "xxh3:859708c9116634a4b69845a7d06d7589"

func TestGolden(t *testing.T) {
	var w Writer
	_, _ = w.Write([]byte("1\talpha\n2\tbeta\n2\tbeta\n"))
	d, _ := w.Sum()
	if got, want := d.String(), goldenDigest; got != want || d.Rows != 3 {
		t.Errorf("digest %s of %d rows, want %s", got, d.Rows, want)
	}
	_, _ = w.Write([]byte("half"))
	if w.Whole() {
		t.Error("half a row counts as whole")
	}
}

// The hash of nothing as the reference implementation of XXH3-128 has it.
func TestReferenceVector(t *testing.T) {
	var d Digest
	d.Add(Row(nil))
	if want := "xxh3:99aa06d3014798d86001c324468d497f"; d.String() != want {
		t.Errorf("hash of nothing is %s, want %s", d, want)
	}
}
