package repository

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/saypro/backupd/internal/storage"
)

const (
	// siteRest is how long a site that did not answer is asked last; twice as
	// long after each failure that follows, up to siteRestMax. While a site
	// hangs, each attempt costs as long as the watchdog needs to notice.
	siteRest    = 30 * time.Second
	siteRestMax = 10 * time.Minute

	// With another site to turn to, nobody waits for one that crawls: it has
	// readPatience and then must have given readPace bytes a second.
	readPatience = 20 * time.Second
	readPace     = 256 << 10
)

// errCrawls: a site that moves, but too slowly while there is another to ask.
var errCrawls = errors.New("the site is too slow")

// rest is the time for which a site is asked last, after so many failures in a
// row.
type rest struct {
	until    time.Time
	failures int
}

// length is how long the rest is.
func (r rest) length() time.Duration {
	length := siteRest
	for n := 1; n < r.failures && length < siteRestMax; n++ {
		length *= 2
	}
	return min(length, siteRestMax)
}

// stretch is a part of an object that is wanted.
type stretch struct {
	object         string
	offset, length int64
	// open checks the bytes and returns what they hold.
	open func(sealed []byte) ([]byte, error)
}

// ask asks each site, in the order in which it is worth while, until one gives
// the right bytes. Sites that were too slow get all the time that they need
// when no other has them.
func (rd *Reader) ask(ctx context.Context, s stretch) ([]byte, error) {
	var errs []error
	var crawling []Site
	for _, site := range rd.order() {
		known := rd.failures(site)
		b, err := rd.within(ctx, site, s)
		if err == nil {
			rd.answered(site)
			return b, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if errors.Is(err, errCrawls) {
			crawling = append(crawling, site)
		}
		errs = append(errs, err)
		rd.passOver(site, s.object, known, err)
	}
	for _, site := range crawling {
		b, err := rd.from(ctx, site, s)
		if err == nil {
			rd.patient.Store(true) // it would only be read twice from now on
			return b, nil
		}
		errs = append(errs, err)
	}
	return nil, fmt.Errorf("%w: %w", ErrUnavailable, errors.Join(errs...))
}

// within reads from a site, with limited patience when there is another one.
func (rd *Reader) within(ctx context.Context, site Site, s stretch) ([]byte, error) {
	if len(rd.sites) < 2 || rd.patient.Load() {
		return rd.from(ctx, site, s)
	}
	patience := rd.patience + time.Duration(s.length)*time.Second/readPace
	bounded, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	b, err := rd.from(bounded, site, s)
	if err != nil && ctx.Err() == nil && bounded.Err() != nil {
		err = &ObjectError{site.Name, s.object, fmt.Errorf("%w: it has not given %d bytes within %s", errCrawls, s.length, patience)}
	}
	return b, err
}

// from reads from one site and opens what it gave. It does not wait for a site
// that does not even notice the end of ctx: a folder on a network share hangs
// with the share.
func (rd *Reader) from(ctx context.Context, site Site, s stretch) ([]byte, error) {
	type got struct {
		sealed []byte
		err    error
	}
	answer := make(chan got, 1)
	go func() {
		sealed, err := readRange(ctx, site, s.object, s.offset, s.length)
		answer <- got{sealed, err}
	}()
	var g got
	select {
	case g = <-answer:
	case <-ctx.Done():
		return nil, &ObjectError{site.Name, s.object, ctx.Err()}
	}
	var told *storage.Error
	switch {
	case errors.As(g.err, &told): // which site and object it is about
		return nil, g.err
	case g.err != nil:
		return nil, &ObjectError{site.Name, s.object, g.err}
	}
	rd.mu.Lock()
	rd.bytes[site.Name] += s.length
	rd.mu.Unlock()
	b, err := s.open(g.sealed)
	if err != nil {
		return nil, &ObjectError{site.Name, s.object, err}
	}
	return b, nil
}

// order returns the sites to ask: as configured, those that did not answer a
// moment ago last. One whose rest is over is tried by one reading only, until
// it has answered.
func (rd *Reader) order() []Site {
	rd.mu.Lock()
	defer rd.mu.Unlock()
	var up, resting []Site
	now := rd.repo.clock.Now()
	for _, s := range rd.sites {
		r, ok := rd.rests[s.Name]
		switch {
		case !ok:
			up = append(up, s)
		case now.Before(r.until):
			resting = append(resting, s)
		default:
			rd.rests[s.Name] = rest{now.Add(r.length()), r.failures}
			up = append(up, s)
		}
	}
	return append(up, resting...)
}

// answered ends the rest of a site.
func (rd *Reader) answered(site Site) {
	rd.mu.Lock()
	defer rd.mu.Unlock()
	delete(rd.rests, site.Name)
}

// failures returns how often in a row a site has failed.
func (rd *Reader) failures(site Site) int {
	rd.mu.Lock()
	defer rd.mu.Unlock()
	return rd.rests[site.Name].failures
}

// passOver notes that a site did not help. One that has the object wrong may
// have the next one right; one that does not answer is asked last for a while.
// Readings that were under way together, with as many failures known, fail
// once.
func (rd *Reader) passOver(site Site, object string, known int, err error) {
	if !storage.Permanent(err) && !errors.Is(err, ErrCorrupt) {
		rd.mu.Lock()
		if rd.rests[site.Name].failures == known {
			r := rest{failures: known + 1}
			r.until = rd.repo.clock.Now().Add(r.length())
			rd.rests[site.Name] = r
		}
		rd.mu.Unlock()
	}
	if rd.notify != nil {
		wrong, _ := wrongBytes(object, err)
		rd.notify(FallThrough{Site: site.Name, Object: object, Reason: err.Error(), Damaged: wrong != nil})
	}
}
