package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/saypro/backupd/internal/storage"
)

// Range is which bytes of an object are wanted.
type Range struct{ Offset, Length int64 } // Length -1: to the end

// Whole tells whether all of the object is wanted.
func (r Range) Whole() bool { return r.Offset == 0 && r.Length == -1 }

// Header returns the value of the Range header; empty for the whole object.
// A range of no bytes cannot be asked for.
func (r Range) Header() string {
	switch {
	case r.Whole():
		return ""
	case r.Length == -1:
		return fmt.Sprintf("bytes=%d-", r.Offset)
	}
	return fmt.Sprintf("bytes=%d-%d", r.Offset, r.Offset+r.Length-1)
}

// Expect returns how many bytes the body of an answer must have, from its
// headers: contentRange is empty and contentLength -1 when not given. It is an
// error when these are not the bytes that were asked for.
func (r Range) Expect(contentLength int64, contentRange string) (int64, error) {
	if r.Whole() {
		if contentLength < 0 {
			return 0, fmt.Errorf("%w: the site does not state the length", storage.ErrUnsupported)
		}
		return contentLength, nil
	}
	first, last, size, err := parseContentRange(contentRange)
	switch {
	case err != nil:
		return 0, err
	case first != r.Offset:
		return 0, fmt.Errorf("%w: asked for bytes from %d on, got %q", storage.ErrUnsupported, r.Offset, contentRange)
	case r.Length == -1 && last != size-1, r.Length != -1 && last-first+1 > r.Length:
		return 0, fmt.Errorf("%w: asked for %s, got %q", storage.ErrUnsupported, r.Header(), contentRange)
	case r.Length != -1 && last-first+1 < r.Length:
		return 0, fmt.Errorf("%w: it has %d bytes", storage.ErrShort, size)
	case contentLength >= 0 && contentLength != last-first+1:
		return 0, fmt.Errorf("%d bytes announced for the range %q: %w", contentLength, contentRange, io.ErrUnexpectedEOF)
	}
	return last - first + 1, nil
}

// parseContentRange reads "bytes first-last/size".
func parseContentRange(s string) (first, last, size int64, err error) {
	span, total, ok := strings.Cut(strings.TrimPrefix(s, "bytes "), "/")
	from, to, ok2 := strings.Cut(span, "-")
	if !ok || !ok2 {
		return 0, 0, 0, fmt.Errorf("%w: the site ignored the range (Content-Range %q)", storage.ErrUnsupported, s)
	}
	numbers := make([]int64, 3)
	for i, text := range []string{from, to, total} {
		if numbers[i], err = strconv.ParseInt(text, 10, 64); err != nil {
			return 0, 0, 0, fmt.Errorf("%w: Content-Range %q", storage.ErrUnsupported, s)
		}
	}
	return numbers[0], numbers[1], numbers[2], nil
}

// NewReader returns a reader of exactly want bytes of a body: fewer are an
// error. Nothing is read any more once ctx has ended, also of what has come already:
// the transport finds that out only some time later. Every error goes through fail,
// which gives it its context.
func NewReader(ctx context.Context, body io.ReadCloser, want int64, fail func(error) error) io.ReadCloser {
	return &reader{ctx: ctx, body: body, left: want, fail: fail}
}

type reader struct {
	ctx  context.Context
	body io.ReadCloser
	left int64
	fail func(error) error
}

func (r *reader) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	if err := r.ctx.Err(); err != nil {
		return 0, r.fail(fmt.Errorf("%d bytes before the end: %w", r.left, err))
	}
	n, err := r.body.Read(p[:min(int64(len(p)), r.left)])
	r.left -= int64(n)
	switch {
	case r.left == 0:
		return n, io.EOF
	case errors.Is(err, io.EOF):
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		err = r.fail(fmt.Errorf("%d bytes before the end: %w", r.left, err))
	}
	return n, err
}

func (r *reader) Close() error { return r.body.Close() }
