package postgres

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
)

// archive is the table of contents of a pg_dump archive in custom format. It
// is read here and not from the output of pg_restore -l because that one does
// not quote names and so cannot be taken apart again.
type archive struct {
	path string
	// dumpVersion is the version of the pg_dump that wrote it: "15.14 (…)".
	dumpVersion string
	entries     []entry
	byID        map[int]int // index into entries
	// from is where the number of entries stands in the file; they follow.
	from int
}

// entry is one object in an archive.
type entry struct {
	id         int
	kind       string // "TABLE", "FK CONSTRAINT", …
	tag        string // the name, for some kinds behind that of the table
	namespace  string // empty when it is in no schema
	owner      string
	tablespace string
	definition string
	needs      []int // ids of entries, some of which may not be in the archive
	// object is what it was in the source; zero for what has no number of its
	// own there.
	object objectID
	// from and to are where the entry begins in the file and ends.
	from, to int
}

// The versions of the format that can be read: of pg_dump 11 to 18.
const (
	archiveMinor13 = 13
	archiveMinor14 = 14 // adds the access method of a table
	archiveMinor15 = 15 // the compression is one byte
	archiveMinor16 = 16 // adds the kind of a relation
)

// errArchive is wrapped by errors about an archive that cannot be read.
var errArchive = errors.New("not a whole pg_dump archive in custom format")

// openArchive reads the table of contents of the archive at path. A damaged
// or truncated one gives an error that wraps errArchive.
func openArchive(path string) (*archive, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read schema archive: %w", err)
	}
	defer func() { _ = f.Close() }() // only read
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("read schema archive %s: %w", path, err)
	}
	a, err := readArchive(bufio.NewReaderSize(f, 256<<10), info.Size())
	if err != nil {
		return nil, fmt.Errorf("read schema archive %s: %w", path, err)
	}
	a.path = path
	return a, nil
}

// readArchive reads the table of contents of an archive of size bytes.
func readArchive(in io.Reader, size int64) (*archive, error) {
	r := &archiveReader{in: in, left: size}
	at := func() int { return int(size - r.left) }
	a := &archive{byID: map[int]int{}}
	r.head(a)
	a.from = at()
	count := r.integer()
	for i := 0; i < count && r.err == nil; i++ {
		from := at()
		e := r.entry()
		e.from, e.to = from, at()
		a.byID[e.id] = len(a.entries)
		a.entries = append(a.entries, e)
	}
	if r.err != nil {
		return nil, fmt.Errorf("%w: %w", errArchive, r.err)
	}
	return a, nil
}

// get returns the entry with the id, nil when the archive has none.
func (a *archive) get(id int) *entry {
	if i, ok := a.byID[id]; ok {
		return &a.entries[i]
	}
	return nil
}

// where returns the ids of the entries that match.
func (a *archive) where(match func(*entry) bool) idSet {
	ids := idSet{}
	for i := range a.entries {
		if match(&a.entries[i]) {
			ids[a.entries[i].id] = true
		}
	}
	return ids
}

// needing adds to ids those among others that need one of them, directly or by
// way of another.
func (a *archive) needing(ids, among idSet) idSet {
	all := maps.Clone(ids)
	for grown := true; grown; {
		grown = false
		for i := range a.entries {
			e := &a.entries[i]
			if among[e.id] && !all[e.id] && slices.ContainsFunc(e.needs, func(id int) bool { return all[id] }) {
				all[e.id], grown = true, true
			}
		}
	}
	return all
}

// withNotes adds to ids the comments, rights and labels of those objects.
func (a *archive) withNotes(ids idSet) idSet {
	all := idSet{}
	for id := range ids {
		all[id] = true
	}
	for i := range a.entries {
		e := &a.entries[i]
		switch e.kind {
		case "COMMENT", "ACL", "SECURITY LABEL":
			if slices.ContainsFunc(e.needs, func(id int) bool { return ids[id] }) {
				all[e.id] = true
			}
		}
	}
	return all
}

// idSet is a set of entries of an archive.
type idSet map[int]bool

// archiveReader reads the parts of an archive; after the first error, which
// it keeps, everything it returns is zero.
type archiveReader struct {
	in      io.Reader
	left    int64 // bytes that the file can still hold
	minor   int
	intSize int
	offSize int
	err     error
}

func (r *archiveReader) head(a *archive) {
	if magic := r.bytes(5); r.err == nil && string(magic) != "PGDMP" {
		r.err = errors.New("it does not begin with PGDMP")
	}
	major, minor := int(r.byte()), int(r.byte())
	r.byte() // revision
	if r.minor = minor; r.err == nil && (major != 1 || minor < archiveMinor13 || minor > archiveMinor16) {
		r.err = fmt.Errorf("its format %d.%d is unknown here", major, minor)
	}
	r.intSize, r.offSize = int(r.byte()), int(r.byte())
	if r.err == nil && (r.intSize < 1 || r.intSize > 8 || r.offSize < 1 || r.offSize > 8) {
		r.err = errors.New("its header is damaged")
	}
	const custom = 1
	if format := r.byte(); r.err == nil && format != custom {
		r.err = fmt.Errorf("its kind is %d, not custom", format)
	}
	if r.minor >= archiveMinor15 {
		r.byte() // compression
	} else {
		r.integer()
	}
	for range 7 {
		r.integer() // the parts of the time of the dump
	}
	r.text() // database
	r.text() // version of the server
	a.dumpVersion = r.text()
}

func (r *archiveReader) entry() entry {
	var e entry
	e.id = r.integer()
	r.integer() // whether it has data
	e.object = objectID{r.oid(), r.oid()}
	e.tag = r.text()
	e.kind = r.text()
	r.integer() // section
	e.definition = r.text()
	r.text() // how to drop it
	r.text() // how to load it
	e.namespace = r.text()
	e.tablespace = r.text()
	if r.minor >= archiveMinor14 {
		r.text() // access method
	}
	if r.minor >= archiveMinor16 {
		r.integer() // kind of relation
	}
	e.owner = r.text()
	r.text() // whether it has oids
	for r.err == nil {
		text, ok := r.optional()
		if !ok {
			break
		}
		id, err := strconv.Atoi(text)
		if err != nil && r.err == nil {
			r.err = fmt.Errorf("entry %d needs %q", e.id, text)
		}
		e.needs = append(e.needs, id)
	}
	r.bytes(1 + r.offSize) // where its data are
	return e
}

func (r *archiveReader) bytes(n int) []byte {
	if r.err != nil {
		return nil
	}
	if r.left -= int64(n); n < 0 || r.left < 0 {
		r.err = io.ErrUnexpectedEOF
		return nil
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(r.in, b); err != nil {
		r.err = err
		return nil
	}
	return b
}

func (r *archiveReader) byte() byte {
	if b := r.bytes(1); r.err == nil {
		return b[0]
	}
	return 0
}

// integer reads a sign and the bytes of a number, least significant first.
func (r *archiveReader) integer() int {
	sign := r.byte()
	n := 0
	for i, b := range r.bytes(r.intSize) {
		n |= int(b) << (8 * i)
	}
	if sign != 0 {
		return -n
	}
	return n
}

// optional reads a text that may be absent.
func (r *archiveReader) optional() (string, bool) {
	n := r.integer()
	if n == -1 || r.err != nil {
		return "", false
	}
	return string(r.bytes(n)), true
}

// oid reads the number of a catalog or of an object in it.
func (r *archiveReader) oid() uint32 {
	text := r.text()
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil && r.err == nil {
		r.err = fmt.Errorf("%q is no number of an object", text)
	}
	return uint32(n)
}

func (r *archiveReader) text() string {
	text, _ := r.optional()
	return text
}
