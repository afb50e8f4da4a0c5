package catalog

import (
	"bytes"
	"testing"
	"time"
)

func FuzzLocations(f *testing.F) {
	f.Add(appendLocation(nil, 7, &Chunk{Offset: 48, Stored: 100, Raw: 99}))
	f.Fuzz(func(t *testing.T, b []byte) {
		places, err := decodeLocations(b)
		if err != nil {
			return
		}
		var again []byte
		for _, l := range places {
			again = appendLocation(again, l.Pack, &Chunk{Offset: l.Offset, Stored: l.Stored, Raw: l.Raw})
		}
		if !bytes.Equal(again, b) {
			t.Errorf("%x was read as %x", b, again)
		}
	})
}

func FuzzPackRecord(f *testing.F) {
	p, _, _ := pack(1)
	f.Add(p.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := decodePack(b)
		if err == nil && !bytes.Equal(p.encode(), b) {
			t.Errorf("%x was read as %x", b, p.encode())
		}
	})
}

func FuzzCopy(f *testing.F) {
	f.Add(Copy{Read: time.Unix(1_700_000_000, 0), Locked: time.Unix(1_800_000_000, 0)}.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		c := decodeCopy(b)
		if again := decodeCopy(c.encode()); !again.Read.Equal(c.Read) || !again.Locked.Equal(c.Locked) {
			t.Errorf("%+v was read as %+v", c, again)
		}
	})
}

func FuzzEntry(f *testing.F) {
	f.Add(be64(7), []byte(`{"kind":"pack","name":"p/00/00","size":1}`))
	f.Add([]byte{}, []byte(`{}`))
	f.Fuzz(func(t *testing.T, key, value []byte) {
		if e, err := decodeEntry(key, value); err == nil && !bytes.Equal(be64(e.Sequence), key) {
			t.Errorf("key %x was read as %d", key, e.Sequence)
		}
	})
}

func FuzzPackDigest(f *testing.F) {
	f.Add(PackName([32]byte{1, 2, 3}))
	f.Fuzz(func(t *testing.T, name string) {
		if sha, ok := packDigest(name); ok && PackName(sha) != name {
			t.Errorf("%q is taken for the name of %x", name, sha)
		}
	})
}
