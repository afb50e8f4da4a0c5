package storage_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/saypro/backupd/internal/storage"
	"github.com/saypro/backupd/internal/storage/storagetest"
)

func newBody(t *testing.T, obj storage.Object) *storage.Body {
	t.Helper()
	b, err := storage.NewBody(obj)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestBodyGivesTheBytes(t *testing.T) {
	content := storagetest.Bytes(1, 10_000)
	b := newBody(t, storagetest.Object("p/x", content))
	for range 2 {
		if b.Complete() {
			t.Error("complete before it was read")
		}
		got, err := io.ReadAll(iotest.OneByteReader(b))
		if err != nil || !bytes.Equal(got, content) || !b.Complete() || b.Err() != nil {
			t.Errorf("%d bytes, %v, %v", len(got), err, b.Err())
		}
		if _, err := b.Seek(0, io.SeekStart); err != nil {
			t.Fatal(err)
		}
	}
}

// The last bytes of a wrong body stay back however it is read.
func TestBodyHoldsBackAWrongEnd(t *testing.T) {
	content := storagetest.Bytes(1, 10_000)
	for _, chunk := range []int{1, 100, 9_999, 10_000, 20_000} {
		obj := storagetest.Object("p/x", content)
		obj.SHA256[31] ^= 1
		b := newBody(t, obj)
		got, err := 0, error(nil)
		for buffer := make([]byte, chunk); err == nil; {
			var n int
			n, err = b.Read(buffer)
			got += n
		}
		if !errors.Is(err, storage.ErrChecksum) || got == 10_000 {
			t.Errorf("by %d: %d bytes, %v", chunk, got, err)
		}
		if _, again := b.Read(make([]byte, 1)); !errors.Is(again, storage.ErrChecksum) || !errors.Is(b.Err(), storage.ErrChecksum) {
			t.Errorf("by %d: then %v, Err = %v", chunk, again, b.Err())
		}
	}
}

// The clients of sites look for the size by seeking before they read.
func TestBodySeeks(t *testing.T) {
	content := storagetest.Bytes(1, 1000)
	b := newBody(t, storagetest.Object("p/x", content))
	for _, c := range []struct {
		offset int64
		whence int
		want   int64
	}{{0, io.SeekCurrent, 0}, {0, io.SeekEnd, 1000}, {0, io.SeekStart, 0}} {
		if at, err := b.Seek(c.offset, c.whence); err != nil || at != c.want {
			t.Errorf("Seek(%d, %d) = %d, %v", c.offset, c.whence, at, err)
		}
	}
	if got, err := io.ReadAll(b); err != nil || !bytes.Equal(got, content) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if _, err := b.Seek(500, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Read(make([]byte, 1)); !errors.Is(err, storage.ErrInvalid) {
		t.Errorf("read from the middle: %v", err)
	}
}

// ending is a body that gives fewer bytes than its size promises, as a file
// that is cut while it is read.
type ending struct{ *bytes.Reader }

func (e ending) Read(p []byte) (int, error) {
	if e.Len() <= 500 {
		return 0, io.EOF
	}
	return e.Reader.Read(p[:min(len(p), 100)])
}

func TestBodyEndsEarly(t *testing.T) {
	obj := storagetest.Object("p/x", storagetest.Bytes(1, 1000))
	obj.Body = ending{bytes.NewReader(storagetest.Bytes(1, 1000))}
	if got, err := io.ReadAll(newBody(t, obj)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func TestCheckName(t *testing.T) {
	for name, ok := range map[string]bool{
		"repo.json": true, "p/ab/" + strings.Repeat("0", 64): true, "c/2026/01/02/150405.123-ab12-7": true,
		"a=b@c+d_e": true, strings.Repeat("a", 200): true, strings.Repeat("abc/", 190) + "a": true,
		"": false, "/": false, "a/": false, "/a": false, "a//b": false, ".a": false, "a/..": false, "a b": false,
		"a\n": false, "a%2f": false, "a?b": false, "é": false, "\xff": false,
		strings.Repeat("a", 201): false, strings.Repeat("abc/", 200) + "a": false,
	} {
		if err := storage.CheckName(name); (err == nil) != ok || err != nil && !errors.Is(err, storage.ErrInvalid) {
			t.Errorf("CheckName(%q) = %v", name, err)
		}
	}
	for prefix, ok := range map[string]bool{"": true, "p": true, "p/": true, "p/0": true, "/": false, "p//": false, "..": false} {
		if err := storage.CheckPrefix(prefix); (err == nil) != ok {
			t.Errorf("CheckPrefix(%q) = %v", prefix, err)
		}
	}
}

func TestBodyIsReleased(t *testing.T) {
	b := newBody(t, storagetest.Object("p/x", []byte("content")))
	if _, err := b.Read(make([]byte, 3)); err != nil {
		t.Fatal(err)
	}
	b.Release()
	if n, err := b.Read(make([]byte, 3)); n != 0 || err == nil {
		t.Errorf("Read = %d, %v", n, err)
	}
	if _, err := b.Seek(0, io.SeekStart); err == nil {
		t.Error("rewound")
	}
	if b.Complete() || b.Err() != nil {
		t.Errorf("complete %t, %v", b.Complete(), b.Err())
	}
}
