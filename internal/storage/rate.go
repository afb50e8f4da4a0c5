package storage

import (
	"context"
	"io"

	"golang.org/x/time/rate"

	"github.com/saypro/backupd/internal/clock"
)

// WithRate returns a store that moves at most so many bytes per second to and
// from another, all Puts and Gets together; 0 or less: s itself. It bounds the
// bodies of objects, not the few bytes of requests around them.
//
// The bytes flow evenly, a tenth of a second's worth at a time, and are shared
// out in turn to those who are under way, so that none of them looks as if it
// had stalled. What is sent again counts again.
func WithRate(s Store, bytesPerSecond int64, c clock.Clock) Store {
	if bytesPerSecond <= 0 {
		return s
	}
	burst := int(max(1, bytesPerSecond/10))
	return &rated{
		Store: s, clock: c, piece: min(burst, 64<<10),
		limiter: rate.NewLimiter(rate.Limit(bytesPerSecond), burst),
	}
}

type rated struct {
	Store
	clock   clock.Clock
	piece   int // bytes at a time
	limiter *rate.Limiter
}

// Unwrap implements [Wrapper].
func (r *rated) Unwrap() Store { return r.Store }

// Put implements [Store].
func (r *rated) Put(ctx context.Context, obj Object) error {
	obj.Body = &pacedOut{Seeker: obj.Body, paced: paced{by: r, ctx: ctx, from: obj.Body}}
	return r.Store.Put(ctx, obj)
}

// Get implements [Store].
func (r *rated) Get(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	body, err := r.Store.Get(ctx, name, offset, length)
	if err != nil {
		return nil, err
	}
	return &pacedIn{Closer: body, paced: paced{by: r, ctx: ctx, from: body}}, nil
}

// paced reads no faster than allowed: it holds what it has read until its turn
// has come.
type paced struct {
	by   *rated
	ctx  context.Context
	from io.Reader
}

func (p *paced) Read(b []byte) (int, error) {
	n, err := p.from.Read(b[:min(len(b), p.by.piece)])
	if n == 0 {
		return n, err
	}
	now := p.by.clock.Now()
	turn := p.by.limiter.ReserveN(now, n)
	if stopped := p.by.clock.Sleep(p.ctx, turn.DelayFrom(now)); stopped != nil {
		turn.CancelAt(p.by.clock.Now())
		return 0, stopped
	}
	return n, err
}

type pacedOut struct {
	io.Seeker
	paced
}

type pacedIn struct {
	io.Closer
	paced
}
