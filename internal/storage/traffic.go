package storage

import (
	"io"
	"sync/atomic"
)

// Traffic counts what goes between this host and one site, by the classes
// that such services ask money for. The zero value is ready; its methods are
// safe for concurrent use. On a nil Traffic they count nothing.
type Traffic struct {
	writes, reads, deletes, sent, received atomic.Int64
}

// Requests is what a [Traffic] has counted.
type Requests struct {
	// Writes: PUT and POST, and LIST, which costs the same.
	Writes int64 `json:"writes"`
	// Reads: GET and HEAD of objects, and questions about the bucket.
	Reads int64 `json:"reads"`
	// Deletes of objects or versions. Services give them away.
	Deletes int64 `json:"deletes"`
	// Sent and Received are bytes of bodies, without headers.
	Sent     int64 `json:"sent_bytes"`
	Received int64 `json:"received_bytes"`
}

// Requests returns the figures so far.
func (t *Traffic) Requests() Requests {
	if t == nil {
		return Requests{}
	}
	return Requests{
		Writes: t.writes.Load(), Reads: t.reads.Load(), Deletes: t.deletes.Load(),
		Sent: t.sent.Load(), Received: t.received.Load(),
	}
}

// Plus returns both together.
func (r Requests) Plus(more Requests) Requests {
	return Requests{
		Writes: r.Writes + more.Writes, Reads: r.Reads + more.Reads, Deletes: r.Deletes + more.Deletes,
		Sent: r.Sent + more.Sent, Received: r.Received + more.Received,
	}
}

// Less returns what has come since earlier.
func (r Requests) Less(earlier Requests) Requests {
	return Requests{
		Writes: r.Writes - earlier.Writes, Reads: r.Reads - earlier.Reads, Deletes: r.Deletes - earlier.Deletes,
		Sent: r.Sent - earlier.Sent, Received: r.Received - earlier.Received,
	}
}

// Wrote counts a request that writes or lists.
func (t *Traffic) Wrote() {
	if t != nil {
		t.writes.Add(1)
	}
}

// Asked counts a request that reads.
func (t *Traffic) Asked() {
	if t != nil {
		t.reads.Add(1)
	}
}

// Deleted counts a request that deletes.
func (t *Traffic) Deleted() {
	if t != nil {
		t.deletes.Add(1)
	}
}

// Sending returns a body that counts what is read from it as sent.
func (t *Traffic) Sending(body io.Reader) io.Reader {
	if t == nil {
		return body
	}
	return &counted{r: body, n: &t.sent}
}

// Receiving returns a body that counts what is read from it as received.
func (t *Traffic) Receiving(body io.Reader) io.Reader {
	if t == nil {
		return body
	}
	return &counted{r: body, n: &t.received}
}

type counted struct {
	r io.Reader
	n *atomic.Int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n.Add(int64(n))
	return n, err
}
