package engine

import (
	"context"
	"encoding/hex"
	"errors"
	"maps"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/saypro/backupd/internal/config"
	"github.com/saypro/backupd/internal/evidence"
	"github.com/saypro/backupd/internal/progress"
	"github.com/saypro/backupd/internal/restore"
	"github.com/saypro/backupd/internal/snapshot"
	"github.com/saypro/backupd/internal/snapshot/content"
	"github.com/saypro/backupd/internal/source/postgres"
	"github.com/saypro/backupd/internal/verify"
)

// take captures a recovery point, on record.
func (e *Engine) take(ctx context.Context, taker *snapshot.Taker, f config.Function, report progress.Reporter) (r snapshot.Result, err error) {
	err = e.attest(ctx, evidence.Record{Act: evidence.ActSnapshot, Function: f.Name}, func() (evidence.Record, error) {
		r, err = taker.Take(ctx, f, report)
		if r.Snapshot == "" {
			return evidence.Record{}, err
		}
		body, late, bodyErr := e.snapshotBody(ctx, r)
		out := evidence.Record{Snapshot: body}
		if err == nil && r.Degraded {
			out.Outcome = evidence.Degraded
		}
		return out, errors.Join(err, bodyErr, e.expectLater(r.Snapshot, late))
	})
	return r, err
}

// snapshotBody is what the record of a snapshot says of it, with the sites that
// did not hold it yet.
func (e *Engine) snapshotBody(ctx context.Context, r snapshot.Result) (body *evidence.Snapshot, late []string, err error) {
	known, err := e.catalog.Snapshot(r.Snapshot)
	if err != nil {
		return nil, nil, err
	}
	manifest, err := e.repository.Snapshot(ctx, r.Snapshot)
	if err != nil {
		return nil, nil, err
	}
	body = &evidence.Snapshot{
		ID: known.ID, RecoveryPoint: known.RecoveryPoint.UTC(), Started: known.Started.UTC(), Ended: known.Ended.UTC(),
		Rows: r.Rows, BytesRaw: r.BytesRaw, BytesNew: r.BytesNew, BytesStored: r.BytesStored, Tables: len(manifest.Tables),
		Commit: hex.EncodeToString(known.CommitSHA256[:]), Durable: map[string]time.Time{},
		Schema: manifest.Streams[content.Structure].Root.String(),
	}
	for _, name := range e.cfg.SiteOrder {
		s := r.Sites[name]
		if s.State != snapshot.StateDurable {
			late = append(late, name)
			continue
		}
		body.Durable[name] = s.DurableAt.UTC()
		if first := s.DurableAt.Sub(r.Started).Seconds(); body.DurableSeconds == 0 || first < body.DurableSeconds {
			body.DurableSeconds = max(first, 0)
		}
	}
	return body, late, nil
}

// proveOnRecord carries out a proof, on record.
func (e *Engine) proveOnRecord(ctx context.Context, req verify.Request, report progress.Reporter) (verify.Result, error) {
	return e.attestProof(ctx, req, func() (verify.Result, error) { return e.verifier.Prove(ctx, req, report) })
}

// attestProof does work, which is a proof, on record.
func (e *Engine) attestProof(ctx context.Context, req verify.Request, work func() (verify.Result, error)) (r verify.Result, err error) {
	f := e.cfg.Functions[req.Function]
	intent := evidence.Record{Act: evidence.ActProof, Function: req.Function, Proof: &evidence.Proof{
		Snapshot: req.Snapshot, Site: req.From, Requested: req.Level, Selection: evidence.Selection(req.Selection),
	}}
	markDrill(ctx, intent)
	kind := aProof
	if req.Level == coldLevel {
		kind = aColdStart
	}
	err = e.attest(ctx, intent, func() (evidence.Record, error) {
		g := e.company.enter(kind, req.Function, req.From)
		tellBegun(ctx)
		r, err = work()
		beside := e.company.leave(g)
		out := evidence.Record{Function: req.Function, Proof: e.proofBody(r, f)}
		out.Proof.Environment.Concurrent = beside
		markDrill(ctx, out)
		if r.Difference {
			out.Outcome = evidence.Different
		} else if err == nil && !r.Passed {
			out.Outcome = evidence.Failed
		}
		out.Error = r.Error
		return out, err
	})
	if r.Function == "" { // it was not even begun
		r.Function, r.Site, r.Snapshot, r.RequestedLevel, r.Selection = req.Function, req.From, req.Snapshot, req.Level, req.Selection
		if err != nil {
			r.Error = err.Error()
		}
	}
	return r, err
}

func (e *Engine) proofBody(r verify.Result, f config.Function) *evidence.Proof {
	p := &evidence.Proof{
		Snapshot: r.Snapshot, RecoveryPoint: r.RecoveryPoint.UTC(), Site: r.Site, Requested: r.RequestedLevel,
		Level: r.Level, Passed: r.Passed, Difference: r.Difference, Started: r.Started, Ended: e.clock.Now().UTC(),
		Seconds: r.DurationSeconds, Phases: r.Phases, BytesRaw: r.BytesRaw, Fetched: r.BytesFetched,
		RPOSeconds: f.RPO.Seconds(), RTOSeconds: f.RTO.Seconds(), NotProven: r.NotProven,
		Environment: environment(r), Selection: evidence.Selection(r.Selection),
	}
	for _, c := range r.Checks {
		p.Checks = append(p.Checks, checkBody(c))
	}
	for _, t := range r.Tables {
		p.Tables = append(p.Tables, tableBody(t))
	}
	if known, err := e.catalog.Snapshot(r.Snapshot); r.Snapshot != "" && err == nil {
		p.Commit = hex.EncodeToString(known.CommitSHA256[:])
	}
	return p
}

func environment(r verify.Result) evidence.Environment {
	host, err := os.Hostname()
	if err != nil {
		host = "an unnamed host"
	}
	return evidence.Environment{Host: host, Processors: runtime.NumCPU(), Engine: r.Scratch, Catalog: r.Catalog, Key: r.Key}
}

// readable names a target without its password.
func readable(address string) string {
	at, err := postgres.ParseAddress(address)
	if err != nil {
		return ""
	}
	return at.String()
}

// restoreOnRecord brings a recovery point back, on record.
func (e *Engine) restoreOnRecord(ctx context.Context, req restore.Request, report progress.Reporter) (r restore.Result, err error) {
	f := e.cfg.Functions[req.Function]
	asked := &evidence.Restore{Snapshot: req.Snapshot, At: inUTC(req.At), From: req.From, Target: readable(req.To), Tables: req.Tables}
	err = e.attest(ctx, evidence.Record{Act: evidence.ActRestore, Function: req.Function, Restore: asked}, func() (evidence.Record, error) {
		r, err = e.restorer.Restore(ctx, req, report)
		return evidence.Record{Restore: &evidence.Restore{
			Snapshot: r.Snapshot, RecoveryPoint: restoredPoint(r), At: asked.At, From: asked.From, Target: asked.Target, Tables: req.Tables,
			Sites: slices.Sorted(maps.Keys(r.Sites)), Started: r.Started, Ended: e.clock.Now().UTC(), Seconds: r.DurationSeconds,
			Phases: r.Phases, Rows: r.Rows, Bytes: r.BytesRaw, LostSeconds: r.LossSeconds,
			RPOSeconds: f.RPO.Seconds(), RTOSeconds: f.RTO.Seconds(),
		}}, err
	})
	return r, err
}

// restoredPoint is when what was restored was so; nil when nothing was chosen.
func restoredPoint(r restore.Result) *time.Time {
	if r.RecoveryPoint.IsZero() {
		return nil
	}
	at := r.RecoveryPoint.UTC()
	return &at
}

// deletion gives up or removes what no rule keeps, on record.
func (e *Engine) deletion(ctx context.Context, kind string, work func() (evidence.Deletion, error)) error {
	intent := evidence.Record{Act: evidence.ActDeletion, Deletion: &evidence.Deletion{Kind: kind}}
	return e.attest(ctx, intent, func() (evidence.Record, error) {
		done, err := work()
		done.Kind = kind
		return evidence.Record{Deletion: &done}, err
	})
}

// holdRecord tells that a recovery point is held, or with an empty reason not
// any more.
func holdRecord(snapshot, function, reason string) evidence.Record {
	kind := "hold"
	if reason == "" {
		kind = "release"
	}
	return evidence.Record{
		Act: evidence.ActDeletion, Function: function,
		Deletion: &evidence.Deletion{Kind: kind, Snapshots: map[string]string{snapshot: reason}},
	}
}

// keyWork does something with the keys of the repository, on record.
func (e *Engine) keyWork(ctx context.Context, operation string, work func() (evidence.Key, error)) error {
	return e.attest(ctx, evidence.Record{Act: evidence.ActKey, Key: &evidence.Key{Operation: operation}}, func() (evidence.Record, error) {
		done, err := work()
		done.Operation = operation
		return evidence.Record{Key: &done}, err
	})
}

func checkBody(c verify.Check) evidence.Check {
	return evidence.Check{
		Name: c.Name, Level: c.Level, Status: evidence.Status(c.Status), Definition: c.Definition,
		Operator: c.Operator, Expected: c.Expected, Observed: c.Observed, Detail: c.Detail,
	}
}

func tableBody(t verify.Table) evidence.Table {
	return evidence.Table{Name: t.Name, Rows: t.SourceRows, Digest: t.SourceDigest, FoundRows: t.Rows, FoundDigest: t.Digest}
}
