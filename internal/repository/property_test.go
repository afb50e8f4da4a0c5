package repository

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/saypro/backupd/internal/rowhash"
)

type cut struct {
	Kind    Kind
	Content string
	Rows    int64
}

func chunkUp(t *rapid.T, rows []byte, steps []int) ([]cut, *rowChunker) {
	var out []cut
	c := &rowChunker{emit: func(kind Kind, content []byte, rows int64) error {
		out = append(out, cut{kind, string(content), rows})
		return nil
	}}
	for i := 0; len(rows) > 0; i++ {
		n := min(steps[i%len(steps)], len(rows))
		if err := c.write(rows[:n]); err != nil {
			t.Fatal(err)
		}
		rows = rows[n:]
	}
	if err := c.flush(KindRows); err != nil {
		t.Fatal(err)
	}
	return out, c
}

// drawRows makes rows of all widths, the widest longer than a chunk may be.
func drawRows(t *rapid.T) []byte {
	var b bytes.Buffer
	n := rapid.IntRange(0, 100).Draw(t, "rows")
	huge := rapid.IntRange(0, 1000).Draw(t, "huge") // one case in ten has such a row
	for i := range n {
		width := rapid.OneOf(rapid.IntRange(0, 300), rapid.IntRange(0, 100<<10)).Draw(t, "width")
		if i == huge {
			width += 2*maxRowPart + 1
		}
		fill := rapid.Byte().Filter(func(c byte) bool { return c != '\n' }).Draw(t, "fill")
		b.Write(bytes.Repeat([]byte{fill}, width))
		b.WriteByte('\n')
	}
	return b.Bytes()
}

// Chunks are the rows and nothing but the rows, are bounded, end between rows
// unless they say otherwise, and do not depend on how the stream arrives.
func TestChunksDependOnRowsAlone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rows := drawRows(t)
		whole, c := chunkUp(t, rows, []int{len(rows) + 1})
		pieces, _ := chunkUp(t, rows, rapid.SliceOfN(rapid.IntRange(1, 1<<20), 1, 5).Draw(t, "steps"))
		if diff := cmp.Diff(whole, pieces); diff != "" && len(diff) < 1000 {
			t.Fatalf("other cuts when the stream arrives in pieces: %s", diff)
		} else if diff != "" {
			t.Fatal("other cuts when the stream arrives in pieces")
		}
		var joined bytes.Buffer
		for _, ch := range whole {
			joined.WriteString(ch.Content)
			if len(ch.Content) > maxRowPart+maxChunk {
				t.Fatalf("chunk of %d bytes", len(ch.Content))
			}
			if ends := ch.Content[len(ch.Content)-1] == '\n'; ends != (ch.Kind == KindRows) {
				t.Fatalf("chunk of kind %d ends with %q", ch.Kind, ch.Content[len(ch.Content)-1])
			}
		}
		if !bytes.Equal(joined.Bytes(), rows) {
			t.Fatal("the chunks are not the rows")
		}
		var w rowhash.Writer
		_, _ = w.Write(rows)
		if want, _ := w.Sum(); c.digest != want {
			t.Fatalf("digest %s, the rows have %s", c.digest, want)
		}
	})
}

// memoryNodes keeps the nodes of a tree.
type memoryNodes map[ChunkID][]byte

func (m memoryNodes) put(_ Kind, content []byte) (ChunkID, error) {
	id := ChunkID(sum(content))
	m[id] = bytes.Clone(content)
	return id, nil
}

func (m memoryNodes) leaves(r Ref) ([]Ref, error) {
	if r.Kind != KindNode {
		return []Ref{r}, nil
	}
	children, err := parseNode(m[r.ID])
	if err != nil {
		return nil, err
	}
	var out []Ref
	for _, c := range children {
		below, err := m.leaves(c)
		if err != nil {
			return nil, err
		}
		out = append(out, below...)
	}
	return out, nil
}

// A tree gives back its leaves in order, and its nodes carry their sums.
func TestTreeGivesBackItsLeaves(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 6000).Draw(t, "leaves")
		step := rapid.Uint64().Draw(t, "step") | 1
		var refs []Ref
		var raw, rows int64
		for i := range n {
			r := Ref{Kind: KindRows, Raw: int64(i % 977), Rows: int64(i % 13)}
			binary.BigEndian.PutUint64(r.ID[24:], uint64(i+1)*step)
			refs = append(refs, r)
			raw += r.Raw
			rows += r.Rows
		}
		nodes := memoryNodes{}
		root, err := (&treeBuilder{put: nodes.put}).root(refs)
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			if root != (Ref{}) {
				t.Fatal("no leaves have a root")
			}
			return
		}
		got, err := nodes.leaves(root)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(refs, got); diff != "" {
			t.Fatal("other leaves")
		}
		if n > 1 && (root.Raw != raw || root.Rows != rows) {
			t.Fatalf("root says %d bytes, %d rows; there are %d and %d", root.Raw, root.Rows, raw, rows)
		}
	})
}

func FuzzNode(f *testing.F) {
	f.Add(appendRef(nil, Ref{Kind: KindRows, Raw: 5, Rows: 1}))
	f.Fuzz(func(t *testing.T, b []byte) {
		refs, err := parseNode(b)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Errorf("error is %v", err)
			}
			return
		}
		var again []byte
		for _, r := range refs {
			again = appendRef(again, r)
		}
		if len(again) > len(b) { // a number may be written longer than need be, never shorter
			t.Errorf("%d bytes were read as what is written in %d", len(b), len(again))
		}
	})
}

func FuzzFooter(f *testing.F) {
	f.Add(encodeFooter([]footerEntry{{Kind: KindRows, Stored: 9, Raw: 7}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := parseFooter(b); err != nil && !errors.Is(err, ErrCorrupt) {
			t.Errorf("error is %v", err)
		}
	})
}

func FuzzDecode(f *testing.F) {
	comp, err := newCompressor()
	if err != nil {
		f.Fatal(err)
	}
	encoded, err := comp.encode(nil, bytes.Repeat([]byte("row\n"), 100))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(encoded, uint32(400))
	f.Fuzz(func(t *testing.T, b []byte, raw uint32) {
		dec, err := newDecoder()
		if err != nil {
			t.Fatal(err)
		}
		defer dec.Close()
		content, err := decode(dec, nil, b, raw)
		if err != nil && !errors.Is(err, ErrCorrupt) {
			t.Errorf("error is %v", err)
		}
		if err == nil && len(content) != int(raw) {
			t.Errorf("%d bytes instead of %d", len(content), raw)
		}
	})
}

func FuzzCommit(f *testing.F) {
	// What is sealed differs each time, and a fuzzer is several processes.
	key, object := fuzzKey(f), testdata(f, "commit.bin")
	const name = "c/2026/03/01/120000.000-0badcafe-7"
	if _, err := openCommitObject(ringOf(key), name, object); err != nil {
		f.Fatal(err)
	}
	f.Add(object)
	f.Fuzz(func(t *testing.T, b []byte) {
		_, err := openCommitObject(ringOf(key), name, b)
		if err != nil && !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrWrongKey) {
			t.Errorf("error is %v", err)
		}
		if err == nil && !bytes.Equal(b, object) {
			t.Error("a commit that nobody sealed was opened")
		}
	})
}
