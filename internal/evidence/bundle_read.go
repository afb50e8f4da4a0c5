package evidence

import (
	"archive/zip"
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
)

// ErrBundle says: a file is not an evidence bundle, or one that was tampered
// with so that nothing can be said about it.
var ErrBundle = errors.New("not an evidence bundle")

const (
	// maxBundlePart bounds each file of a bundle but those with records, and
	// maxBundleFiles how many files there may be: a zip can claim anything.
	maxBundlePart  = 16 << 20
	maxBundleFiles = 1 << 20
)

// opened parts of a bundle; nothing in them has been checked but the form.
type bundleFile struct {
	about      About
	start, end []byte
	keys       []item
	hashes     bundleHashes
	files      map[string]*zip.File
}

// openBundle reads all of a bundle but the records.
func openBundle(r io.ReaderAt, size int64) (*bundleFile, error) {
	z, err := zip.NewReader(r, size)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBundle, err)
	}
	if len(z.File) > maxBundleFiles {
		return nil, fmt.Errorf("%w: it has %d files", ErrBundle, len(z.File))
	}
	b := &bundleFile{files: map[string]*zip.File{}}
	for _, f := range z.File {
		if b.files[f.Name] != nil {
			return nil, fmt.Errorf("%w: it has %q twice", ErrBundle, f.Name)
		}
		b.files[f.Name] = f
	}
	if err := b.readAbout(); err != nil {
		return nil, err
	}
	parts := map[string][]byte{}
	for _, name := range []string{bundleStart, bundleEnd, bundleKeys, bundleTree} {
		if parts[name], err = b.part(name); err != nil {
			return nil, err
		}
	}
	b.start, b.end = parts[bundleStart], parts[bundleEnd]
	if err := strictJSON(parts[bundleTree], &b.hashes); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrBundle, bundleTree, err)
	}
	if b.keys, err = keyItems(parts[bundleKeys]); err != nil {
		return nil, err
	}
	return b, b.checkNames()
}

// keyItems takes the records apart that say which key signs.
func keyItems(text []byte) (out []item, err error) {
	for line, err := range lines(bytes.NewReader(text)) {
		var x item
		if err == nil {
			x = prepare(line)
			err = x.err
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %s, line %d: %w", ErrBundle, bundleKeys, len(out)+1, err)
		}
		out = append(out, x)
	}
	return out, nil
}

// ReadAbout returns what a bundle says of itself.
func ReadAbout(r io.ReaderAt, size int64) (About, error) {
	b, err := openBundle(r, size)
	if err != nil {
		return About{}, err
	}
	return b.about, nil
}

func (b *bundleFile) readAbout() error {
	text, err := b.part(bundleAbout)
	if err != nil {
		return err
	}
	if err := strictJSON(text, &b.about); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrBundle, bundleAbout, err)
	}
	a := b.about
	if a.Format != bundleFormat {
		return fmt.Errorf("%w: its format is %.100q; this program reads %s", ErrBundle, a.Format, bundleFormat)
	}
	if a.From > a.To || a.To > a.Size || a.Size > 1<<40 {
		return fmt.Errorf("%w: it says records %d to %d of %d", ErrBundle, a.From, a.To, a.Size)
	}
	return checkOrigin(a.Origin)
}

// checkNames refuses what is not part of a bundle: nobody would look at it.
func (b *bundleFile) checkNames() error {
	known := []string{bundleReadme, bundleAbout, bundleStart, bundleEnd, bundleKey, bundleKeys, bundleTree, bundleBefore}
	for first := b.about.From; first < b.about.To; first += bundleLines {
		if b.files[recordsFile(first)] == nil {
			return fmt.Errorf("%w: %s is missing", ErrBundle, recordsFile(first))
		}
	}
	want := (b.about.To - b.about.From + bundleLines - 1) / bundleLines
	for name := range b.files {
		if strings.HasPrefix(name, "records/") {
			want--
		} else if !slices.Contains(known, name) {
			return fmt.Errorf("%w: %.100q does not belong in one", ErrBundle, name)
		}
	}
	if want != 0 {
		return fmt.Errorf("%w: it has files of records that are not of its period", ErrBundle)
	}
	return nil
}

// part reads one of the small files.
func (b *bundleFile) part(name string) ([]byte, error) {
	f := b.files[name]
	if f == nil {
		return nil, fmt.Errorf("%w: %s is missing", ErrBundle, name)
	}
	r, err := f.Open()
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrBundle, name, err)
	}
	defer func() { _ = r.Close() }() // it was only read
	text, err := io.ReadAll(io.LimitReader(r, maxBundlePart+1))
	if err == nil && len(text) > maxBundlePart {
		err = errors.New("it is larger than it may be")
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrBundle, name, err)
	}
	return text, nil
}

// records goes through the lines of a file of records; there must be just so many.
func (b *bundleFile) records(first, want uint64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		wrong := func(err error) { yield(nil, fmt.Errorf("%w: %s: %w", ErrBundle, recordsFile(first), err)) }
		r, err := b.files[recordsFile(first)].Open()
		if err != nil {
			wrong(err)
			return
		}
		defer func() { _ = r.Close() }() // it was only read
		n := uint64(0)
		for line, err := range lines(r) {
			if err == nil && n == want {
				err = fmt.Errorf("it has more than the %d records that it must have", want)
			}
			if err != nil {
				wrong(err)
				return
			}
			if !yield(line, nil) {
				return
			}
			n++
		}
		if n < want {
			wrong(fmt.Errorf("it has %d records, and must have %d", n, want))
		}
	}
}

// lines goes through what ends with line breaks, without keeping any of it.
func lines(r io.Reader) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		in := bufio.NewReaderSize(r, 1<<16)
		for {
			line, err := line(in)
			if errors.Is(err, io.EOF) && len(line) == 0 {
				return
			}
			if !yield(line, err) || err != nil {
				return
			}
		}
	}
}

// line reads up to the next line break, and no more than an envelope may have.
func line(in *bufio.Reader) (out []byte, err error) {
	for {
		piece, err := in.ReadSlice('\n')
		out = append(out, piece...)
		switch {
		case len(out) > MaxEnvelope+1:
			return nil, fmt.Errorf("%w: a line of more than %d bytes", ErrEnvelope, MaxEnvelope)
		case err == nil:
			return out[:len(out)-1], nil
		case errors.Is(err, io.EOF) && len(out) > 0:
			return nil, fmt.Errorf("%w: it ends within a line", io.ErrUnexpectedEOF)
		case !errors.Is(err, bufio.ErrBufferFull):
			return out, err
		}
	}
}

// strictJSON reads one document without fields that are not known.
func strictJSON(text []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows it")
	}
	return nil
}
