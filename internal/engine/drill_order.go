package engine

import (
	"context"
	"sync"
)

// queue starts work in its order, so much of it at once as there are slots: what
// comes next is started when what was started before has truly begun.
type queue struct {
	slots chan struct{}
	work  sync.WaitGroup
}

// wait waits for a slot.
func (q *queue) wait(ctx context.Context) error {
	select {
	case q.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// start starts work in the slot that was waited for, and returns when the work
// says that it has begun, or has ended.
func (q *queue) start(work func(begun func())) {
	begun := make(chan struct{})
	say := sync.OnceFunc(func() { close(begun) })
	q.work.Go(func() {
		defer func() { <-q.slots }()
		defer say()
		work(say)
	})
	<-begun
}

// begunKey is where a context carries what is to be told when the intent of its
// proof is on record.
type begunKey struct{}

func whenBegun(ctx context.Context, begun func()) context.Context {
	return context.WithValue(ctx, begunKey{}, begun)
}

func tellBegun(ctx context.Context) {
	if begun, ok := ctx.Value(begunKey{}).(func()); ok {
		begun()
	}
}
