// Package faulty wraps a store of any kind so that tests can make it fail: with
// an error, in time, in bytes, or altogether.
package faulty

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/saypro/backupd/internal/clock"
	"github.com/saypro/backupd/internal/storage"
)

// ErrDown is what every operation ends with while a site is down. It is
// temporary.
var ErrDown = errors.New("site is down")

// ErrLost stands for an answer that never came. It is temporary.
var ErrLost = errors.New("answer was lost")

// Rule is a fault. It applies to an operation that its Op and Name match.
type Rule struct {
	// Op is "put", "get", "stat", "list", "delete", "purge", "retain" or
	// "retention"; empty: any.
	Op string
	// Name is what the name of the object, or the prefix of a listing, is; a
	// star stands for any text, slashes included. Empty: any.
	Name string
	// Skip lets as many matching operations through first.
	Skip int
	// Times ends the rule after as many; 0: never.
	Times int
	// If is asked about each of the others whether the rule acts on it; nil:
	// always. It is never called by two goroutines at once, so a seeded source
	// of randomness is fine.
	If func() bool

	// Err is what the operation ends with. It is wrapped in a
	// [storage.Error] unless it is one.
	Err error
	// After does the operation first and then returns Err all the same, as
	// when an answer is lost.
	After bool
	// Latency is how long the operation waits before it does anything.
	Latency time.Duration
	// Corrupt inverts a bit in each byte that is a multiple of 512 from the
	// start of what Get returns.
	Corrupt bool
	// Truncate ends what Get returns early, as if that were all. BreakAfter
	// ends it with an error. Both are in bytes; 0: not at all.
	Truncate, BreakAfter int64
}

// Store is a store with faults. Its methods are safe for concurrent use.
type Store struct {
	store storage.Store
	site  string
	clock clock.Clock

	mu     sync.Mutex
	down   bool
	rules  []*active
	counts map[string]int
}

type active struct {
	Rule
	seen, acted int
}

// New wraps a store without any faults. The name of the site is for errors.
func New(s storage.Store, site string) *Store {
	return &Store{store: s, site: site, clock: clock.System, counts: map[string]int{}}
}

// WithClock has latencies pass on a clock other than the machine's.
func (s *Store) WithClock(c clock.Clock) *Store {
	s.clock = c
	return s
}

// Unwrap implements [storage.Wrapper].
func (s *Store) Unwrap() storage.Store { return s.store }

// Inject adds a rule and returns a function that takes it away again. Of
// several rules that match, all latencies add up and the first error counts.
func (s *Store) Inject(r Rule) (remove func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := &active{Rule: r}
	s.rules = append(s.rules, a)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for i := range s.rules {
			if s.rules[i] == a {
				s.rules = append(s.rules[:i:i], s.rules[i+1:]...)
				return
			}
		}
	}
}

// SetDown makes every operation fail, reading under way included, until it is
// taken back.
func (s *Store) SetDown(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
}

// Count returns how many operations of the kind were called, failed ones
// included, except those whose context had ended already; of any kind for an empty op.
func (s *Store) Count(op string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if op != "" {
		return s.counts[op]
	}
	sum := 0
	for _, n := range s.counts {
		sum += n
	}
	return sum
}

// ResetCounts starts counting anew.
func (s *Store) ResetCounts() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.counts)
}

// fault is what befalls one operation.
type fault struct {
	err      error
	after    bool
	latency  time.Duration
	corrupt  bool
	truncate int64
	breakAt  int64
}

// next counts an operation and returns its fault.
func (s *Store) next(op, name string) fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts[op]++
	if s.down {
		return fault{err: s.wrap(op, name, ErrDown)}
	}
	var f fault
	for _, r := range s.rules {
		if r.Op != "" && r.Op != op || r.Name != "" && !match(r.Name, name) {
			continue
		}
		if !r.acts() {
			continue
		}
		f.add(r.Rule, s.wrap(op, name, r.Err))
	}
	return f
}

// acts counts an operation that the rule matches and tells whether it is one
// to act on.
func (a *active) acts() bool {
	a.seen++
	if a.seen <= a.Skip || a.If != nil && !a.If() {
		return false
	}
	a.acted++
	return a.Times == 0 || a.acted <= a.Times
}

func (f *fault) add(r Rule, err error) {
	f.latency += r.Latency
	f.corrupt = f.corrupt || r.Corrupt
	if r.Err != nil && f.err == nil {
		f.err, f.after = err, r.After
	}
	if r.Truncate > 0 {
		f.truncate = r.Truncate
	}
	if r.BreakAfter > 0 {
		f.breakAt = r.BreakAfter
	}
}

func (s *Store) wrap(op, name string, err error) error {
	var known *storage.Error
	if err == nil || errors.As(err, &known) {
		return err
	}
	return &storage.Error{Site: s.site, Op: op, Name: name, Err: err, Hint: "injected by a test"}
}

// match compares a name with a pattern in which a star is any text.
func match(pattern, name string) bool {
	head, rest, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == name
	}
	if !strings.HasPrefix(name, head) {
		return false
	}
	for i := len(head); i <= len(name); i++ {
		if match(rest, name[i:]) {
			return true
		}
	}
	return false
}

// do runs an operation with what befalls it.
func (s *Store) do(ctx context.Context, op, name string, run func(fault) error) error {
	if err := ctx.Err(); err != nil {
		return s.wrap(op, name, err)
	}
	f := s.next(op, name)
	if f.latency > 0 {
		if err := s.clock.Sleep(ctx, f.latency); err != nil {
			return s.wrap(op, name, err)
		}
	}
	if f.err != nil && !f.after {
		return f.err
	}
	if err := run(f); err != nil {
		return err
	}
	return f.err
}

// Put implements [storage.Store].
func (s *Store) Put(ctx context.Context, obj storage.Object) error {
	return s.do(ctx, "put", obj.Name, func(fault) error { return s.store.Put(ctx, obj) })
}

// Stat implements [storage.Store].
func (s *Store) Stat(ctx context.Context, name string) (info storage.Info, err error) {
	err = s.do(ctx, "stat", name, func(fault) error {
		info, err = s.store.Stat(ctx, name)
		return err
	})
	return info, err
}

// List implements [storage.Store].
func (s *Store) List(ctx context.Context, prefix, after string, fn func(storage.Info) error) error {
	return s.do(ctx, "list", prefix, func(fault) error { return s.store.List(ctx, prefix, after, fn) })
}

// Delete implements [storage.Store].
func (s *Store) Delete(ctx context.Context, name string) error {
	return s.do(ctx, "delete", name, func(fault) error { return s.store.Delete(ctx, name) })
}

// Purge implements [storage.Purger].
func (s *Store) Purge(ctx context.Context, name string) error {
	return s.do(ctx, "purge", name, func(fault) error { return storage.Purge(ctx, s.store, name) })
}

// Retain implements [storage.Locker].
func (s *Store) Retain(ctx context.Context, name string, r storage.Retention) error {
	return s.do(ctx, "retain", name, func(fault) error { return storage.Retain(ctx, s.store, name, r) })
}

// Retention implements [storage.Locker].
func (s *Store) Retention(ctx context.Context, name string) (r storage.Retention, err error) {
	err = s.do(ctx, "retention", name, func(fault) error {
		r, err = storage.RetentionOf(ctx, s.store, name)
		return err
	})
	return r, err
}

// Get implements [storage.Store].
func (s *Store) Get(ctx context.Context, name string, offset, length int64) (r io.ReadCloser, err error) {
	err = s.do(ctx, "get", name, func(f fault) error {
		body, err := s.store.Get(ctx, name, offset, length)
		if err == nil {
			r = &reader{s: s, name: name, fault: f, body: body}
		}
		return err
	})
	if err != nil && r != nil {
		_ = r.Close() // lost with the answer
		r = nil
	}
	return r, err
}

// reader is a body with faults.
type reader struct {
	s     *Store
	name  string
	fault fault
	body  io.ReadCloser
	at    int64
}

func (r *reader) Read(p []byte) (int, error) {
	r.s.mu.Lock()
	down := r.s.down
	r.s.mu.Unlock()
	switch {
	case down:
		return 0, r.s.wrap("get", r.name, ErrDown)
	case r.fault.truncate > 0 && r.at >= r.fault.truncate:
		return 0, io.EOF
	case r.fault.breakAt > 0 && r.at >= r.fault.breakAt:
		return 0, r.s.wrap("get", r.name, io.ErrUnexpectedEOF)
	}
	for _, end := range []int64{r.fault.truncate, r.fault.breakAt} {
		if end > 0 {
			p = p[:min(int64(len(p)), end-r.at)]
		}
	}
	n, err := r.body.Read(p)
	if r.fault.corrupt {
		for i := range p[:n] {
			if (r.at+int64(i))%512 == 0 {
				p[i] ^= 0x80
			}
		}
	}
	r.at += int64(n)
	return n, err
}

func (r *reader) Close() error { return r.body.Close() }
