package postgres

import (
	"bytes"
	"fmt"
	"io"
)

// headerWriter passes an archive of pg_dump on with a fixed time in its header
// in place of that of its making, so that equal definitions are equal bytes.
// Nothing but pg_restore --list reads that time. A header of an unknown format
// passes as it is.
type headerWriter struct {
	w    io.Writer
	head []byte // collected until it is complete; nil after that
	done bool
	err  error
}

// headerMost is more than the bytes of a header up to the end of its time.
const headerMost = 128

func (h *headerWriter) Write(p []byte) (int, error) {
	if h.done {
		n, err := h.w.Write(p)
		h.note(err)
		return n, err
	}
	h.head = append(h.head, p...)
	if len(h.head) < headerMost {
		return len(p), nil
	}
	return len(p), h.flush()
}

func (h *headerWriter) note(err error) {
	if err != nil && h.err == nil {
		h.err = err
	}
}

// flush writes what was held back. It must be called at the end.
func (h *headerWriter) flush() error {
	if h.done {
		return h.err
	}
	h.done = true
	setArchiveTime(h.head)
	_, err := h.w.Write(h.head)
	h.head = nil
	if err != nil {
		h.note(err)
		return fmt.Errorf("handing on the archive: %w", err)
	}
	return nil
}

// setArchiveTime replaces the time in the header of an archive by the start of
// the year 2000. The layout: "PGDMP", version (3 bytes), size of an integer,
// size of an offset, format; then the compression, an integer before version
// 1.15 and one byte since; then the seven integers of a C struct tm: second,
// minute, hour, day, month, year - 1900, daylight saving. Every integer is a
// byte of sign and then its bytes, the lowest first.
func setArchiveTime(head []byte) {
	const fixed = 11
	if len(head) < fixed || !bytes.HasPrefix(head, []byte("PGDMP")) || head[5] != 1 {
		return
	}
	integer := 1 + int(head[8])
	at := fixed + integer
	switch minor := head[6]; {
	case minor < 12 || minor > 16:
		return // older or newer than known
	case minor >= 15:
		at = fixed + 1
	}
	if integer < 5 || len(head) < at+7*integer {
		return
	}
	for i, value := range []byte{0, 0, 0, 1, 0, 100, 0} {
		field := head[at+i*integer:][:integer]
		clear(field)
		field[1] = value
	}
}
