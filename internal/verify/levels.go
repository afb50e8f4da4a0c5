package verify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/saypro/backupd/internal/progress"
	"github.com/saypro/backupd/internal/repository"
	"github.com/saypro/backupd/internal/restore"
	"github.com/saypro/backupd/internal/source/postgres"
	"github.com/saypro/backupd/internal/storage"
)

// mostProblems is how many problems of one level are told one by one.
const mostProblems = 50

// found turns the problems of a level into checks, or tells that there are
// none.
func found(name, detail string, problems []repository.Problem) []Check {
	if len(problems) == 0 {
		return []Check{{Name: name, Passed: true, Detail: detail}}
	}
	var checks []Check
	for i, p := range problems {
		if i == mostProblems {
			checks = append(checks, Check{Name: name, Detail: fmt.Sprintf("and %d more", len(problems)-mostProblems)})
			break
		}
		checks = append(checks, Check{Name: name, Detail: p.String()})
	}
	return checks
}

// present is L0.
func (p *proof) present(ctx context.Context) ([]Check, error) {
	defer p.phases.Begin("fetch")()
	done, problems, err := p.Repository.CheckPresent(ctx, p.snap, p.req.From)
	p.suspect(ctx, problems)
	if err != nil {
		return nil, err
	}
	return found("objects are present", fmt.Sprintf("%d objects in the right size", done.Objects), problems), nil
}

// intact is L1. The packs stay in the workplace for what follows.
func (p *proof) intact(ctx context.Context) ([]Check, error) {
	defer p.phases.Begin("fetch")()
	var total int64
	for _, pack := range p.snap.Packs {
		total += pack.Size
	}
	meter := p.report.Meter(progress.Event{Function: p.req.Function, Phase: "fetch", Site: p.req.From, Total: total})
	done, problems, err := p.Repository.Fetch(ctx, p.snap, p.req.From, p.place.packs, meter.Add)
	p.suspect(ctx, problems)
	if err != nil {
		return nil, err
	}
	p.result.BytesFetched = done.Bytes
	meter.End()
	checks := found("bytes are those written", fmt.Sprintf("%d objects, %d bytes", done.Objects, done.Bytes), problems)
	if len(problems) > 0 {
		return checks, nil
	}
	same, err := p.commitAgrees(ctx)
	return append(checks, same...), err
}

// commitAgrees checks that the commit at the site tells the same as the
// catalog, which is only a copy of it.
func (p *proof) commitAgrees(ctx context.Context) ([]Check, error) {
	c := Check{Name: "the commit tells what the catalog tells"}
	there, err := p.Repository.ReadCommit(ctx, p.snap.ID, p.req.From)
	switch {
	case wrongBytes(err):
		c.Detail = err.Error()
		p.suspectIn(ctx, err)
		return []Check{c}, nil
	case err != nil:
		return nil, err
	}
	a, err := json.Marshal(there)
	if err != nil {
		return nil, err
	}
	b, err := json.Marshal(p.snap)
	if err != nil {
		return nil, err
	}
	if c.Passed = bytes.Equal(a, b); !c.Passed {
		c.Detail = "they differ: the catalog of this host is not what the site holds"
	}
	return []Check{c}, nil
}

// suspect has what the site holds wrongly, or not at all, put right.
func (p *proof) suspect(ctx context.Context, problems []repository.Problem) {
	p.Repository.Suspect(ctx, p.req.From, "proof", problems)
}

// suspectIn is suspect for the object that an error is about.
func (p *proof) suspectIn(ctx context.Context, err error) {
	var object *repository.ObjectError
	if errors.As(err, &object) {
		p.suspect(ctx, []repository.Problem{{Object: object.Object, Detail: object.Err.Error()}})
	}
}

// wrongBytes reports whether an error says something of the copy, and not only
// that it could not be looked at.
func wrongBytes(err error) bool {
	for _, sentinel := range []error{
		repository.ErrCorrupt, repository.ErrUnavailable, repository.ErrFormat,
		storage.ErrNotFound, storage.ErrChecksum, io.ErrUnexpectedEOF,
	} {
		if errors.Is(err, sentinel) {
			return true
		}
	}
	return false
}

// readable is L2.
func (p *proof) readable(ctx context.Context) ([]Check, error) {
	defer p.phases.Begin("validate")()
	meter := p.report.Meter(progress.Event{Function: p.req.Function, Phase: "validate", Total: p.snap.BytesRaw})
	done, problems, err := p.Repository.CheckReadable(ctx, p.snap, p.place.packs, meter.Add)
	if err != nil {
		return nil, err
	}
	meter.End()
	return found("everything decrypts, decompresses and parses",
		fmt.Sprintf("%d chunks, %d bytes", done.Chunks, done.Bytes), problems), nil
}

// loadable is L3.
func (p *proof) loadable(ctx context.Context) ([]Check, error) {
	c := Check{Name: "the engine loads it without an error"}
	if err := p.open(ctx); err != nil {
		if wrongBytes(err) {
			c.Detail = err.Error()
			return []Check{c}, nil
		}
		return nil, err
	}
	if err := p.provision(ctx); err != nil {
		return nil, err
	}
	loaded, err := p.load.Load(ctx, p.to)
	p.left = append(p.left, p.to.Notes()...)
	if refused(ctx, err) {
		c.Detail = err.Error()
		return []Check{c}, nil
	}
	if err != nil {
		return nil, err
	}
	p.result.Rows, p.result.RestoredBytes = loaded.Rows, loaded.Bytes
	for _, u := range loaded.Unrestored {
		p.left = append(p.left, "foreign key "+u)
	}
	c.Passed = true
	c.Detail = fmt.Sprintf("%d rows, %d bytes", loaded.Rows, loaded.Bytes)
	return []Check{c}, nil
}

// open readies the loader, which reads the fetched packs alone.
func (p *proof) open(ctx context.Context) error {
	reader, err := p.Repository.ReaderFrom(p.snap, repository.LocalPacks(p.req.From, p.place.packs))
	if err != nil {
		return err
	}
	p.load = &restore.Loader{
		Snapshot: p.snap, Reader: reader, Scratch: true, Jobs: p.Jobs, TempDir: p.place.dir,
		Phases: p.phases, Report: p.report, StallTimeout: p.StallTimeout,
	}
	return p.load.Open(ctx)
}

// refused reports whether a load failed because of what was loaded: other rows
// than the commit tells, or rows and definitions that the engine does not
// take. A server that is away, full or stopped says nothing of them.
func refused(ctx context.Context, err error) bool {
	if err == nil || ctx.Err() != nil {
		return false
	}
	return errors.Is(err, restore.ErrDiffers) || wrongBytes(err) || postgres.Refused(err)
}

// whole is L4.
func (p *proof) whole(ctx context.Context) ([]Check, error) {
	defer p.phases.Begin("validate")()
	checks, left, err := p.load.CheckStructure(ctx, p.to)
	p.left = append(p.left, left...)
	return converted(checks), err
}

// equal is L5.
func (p *proof) equal(ctx context.Context) ([]Check, error) {
	defer p.phases.Begin("validate")()
	tables, err := p.load.CheckContent(ctx, p.to)
	if err != nil {
		return nil, err
	}
	for _, t := range tables {
		p.result.Tables = append(p.result.Tables, Table{
			Name: t.Name, Rows: t.Rows, Digest: t.Digest, SourceRows: t.SourceRows, SourceDigest: t.SourceDigest, Equal: t.Equal,
		})
	}
	return converted(restore.ContentChecks(tables)), nil
}

func converted(checks []restore.Check) []Check {
	out := make([]Check, len(checks))
	for i, c := range checks {
		out[i] = Check{Name: c.Name, Level: c.Level, Passed: c.Passed, Detail: c.Detail}
	}
	return out
}
