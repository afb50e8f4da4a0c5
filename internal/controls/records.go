package controls

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/saypro/backupd/internal/evidence"
	"github.com/saypro/backupd/internal/objective"
)

// What catches evidence that was tampered with, and a service that does not do
// its work.
const (
	byAudit      = "audit"
	byObjectives = "objectives"
)

// recordFaults are evidence that is not what was written, and work that was not
// done. They are planted in a log of the disposable repository, signed with a key
// of its own.
func recordFaults() []fault {
	return []fault{
		{
			id: "record-deleted", expected: byAudit, naming: string(evidence.FoundSequence),
			planted: "the result of a proof that failed is taken out of a bundle, and the bundle counts one record less",
			try: tamperedBundle(func(lines [][]byte, failed int) ([][]byte, error) {
				return append(lines[:failed:failed], lines[failed+1:]...), nil
			}),
		},
		{
			id: "record-altered", expected: byAudit, naming: string(evidence.FoundSignature),
			planted: "the result of a proof that failed is altered in a bundle to one that went well",
			try:     tamperedBundle(whitewashed),
		},
		{
			id: "log-cut", expected: byAudit, naming: string(evidence.FoundHead),
			planted: "the newest records are left out, and the bundle ends where a checkpoint of an earlier day did; somebody outside was given a later one",
			try:     func(ctx context.Context, c *replica) (finding, error) { return c.cutLog(ctx) },
		},
		{
			id: "service-silent", expected: byAudit, naming: "silence",
			planted: "the service stood still for six hours and then went on as if nothing had been: nothing was recorded meanwhile, not even that it lives",
			try: func(ctx context.Context, c *replica) (finding, error) {
				l, err := c.newLife()
				if err != nil {
					return finding{}, err
				}
				if err := l.hours(3, true); err != nil {
					return finding{}, err
				}
				l.pass(6 * time.Hour)
				if err := l.hours(2, true); err != nil {
					return finding{}, err
				}
				return l.silence(ctx)
			},
		},
		{
			id: "scheduler-stopped", expected: byObjectives, naming: "exposure",
			planted: "the service lives and says so every hour, and its scheduler takes no snapshot for six hours; no run failed",
			try: func(_ context.Context, c *replica) (finding, error) {
				l, err := c.newLife()
				if err != nil {
					return finding{}, err
				}
				err = errors.Join(l.hours(3, true), l.hours(6, false), l.hours(2, true))
				if err != nil {
					return finding{}, err
				}
				return l.broken()
			},
		},
	}
}

// life is a log of evidence of some hours, written on a clock of its own.
type life struct {
	*evidence.Log
	now    time.Time
	began  time.Time
	failed uint64 // the result of a proof that failed
	site   string
}

// Now and Sleep make it a clock.
func (l *life) Now() time.Time { return l.now }

func (l *life) Sleep(ctx context.Context, d time.Duration) error {
	l.pass(d)
	return ctx.Err()
}

func (l *life) pass(d time.Duration) { l.now = l.now.Add(d) }

// newLife begins a log in the catalog of the replica, with a promise of two
// hours.
func (c *replica) newLife() (*life, error) {
	origin, err := evidence.NewOrigin()
	if err != nil {
		return nil, err
	}
	signer, err := evidence.NewSigner(origin)
	if err != nil {
		return nil, err
	}
	began := c.Clock.Now().UTC().Truncate(time.Hour).Add(-48 * time.Hour)
	l := &life{now: began, began: began, site: c.Site}
	if l.Log, err = evidence.Open(evidence.Options{Store: c.catalog, Signer: signer, Clock: l, Program: "negative control"}); err != nil {
		return nil, err
	}
	promise := &evidence.Policy{
		Sites:     []string{c.Site},
		Functions: map[string]evidence.FunctionObjective{function: {RPOSeconds: (2 * time.Hour).Seconds(), RTOSeconds: time.Hour.Seconds(), Source: database}},
	}
	if promise.SHA256, err = promise.Digest(); err != nil {
		return nil, err
	}
	_, err = l.Note(evidence.Record{Act: evidence.ActPolicy, Policy: promise})
	return l, err
}

// hours lets a service run for so many hours, with a snapshot in each, or with
// nothing but its sign of life.
func (l *life) hours(n int, snapshots bool) error {
	for range n {
		l.pass(time.Hour)
		var err error
		if snapshots {
			err = l.snapshot()
		} else {
			_, err = l.Note(evidence.Record{Act: evidence.ActAlive, Alive: &evidence.Alive{SinceSequence: l.Size() - 1}})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (l *life) snapshot() error {
	started := l.now
	intent, err := l.Begin(evidence.Record{Act: evidence.ActSnapshot, Function: function})
	if err != nil {
		return err
	}
	l.pass(10 * time.Second)
	return l.End(intent, evidence.Record{Act: evidence.ActSnapshot, Function: function, Outcome: evidence.Done, Snapshot: &evidence.Snapshot{
		ID: fmt.Sprintf("%012x", intent), RecoveryPoint: started, Started: started, Ended: l.now, DurableSeconds: 10,
		Durable: map[string]time.Time{l.site: l.now}, Commit: fmt.Sprintf("%064x", intent),
	}})
}

// proofError is what the proof that failed says.
const proofError = "L1: bytes are those written"

// failedProof records a proof that found a difference.
func (l *life) failedProof() error {
	proof := evidence.Proof{
		Snapshot: "000000000001", RecoveryPoint: l.began, Site: l.site, Requested: "L1", Selection: evidence.Selection{Rule: "latest"},
		Commit: fmt.Sprintf("%064x", 1),
	}
	intent, err := l.Begin(evidence.Record{Act: evidence.ActProof, Function: function, Proof: &proof})
	if err != nil {
		return err
	}
	ended := proof
	ended.Level, ended.Difference, ended.Started, ended.Ended = "L0", true, l.now, l.now
	ended.Checks = []evidence.Check{
		{Name: "objects are present", Level: "L0", Status: evidence.Pass},
		{Name: "bytes are those written", Level: "L1", Status: evidence.Fail, Detail: "a pack has another digest"},
	}
	l.failed = l.Size()
	return l.End(intent, evidence.Record{Act: evidence.ActProof, Function: function, Outcome: evidence.Different, Error: proofError, Proof: &ended})
}

// bundle returns the log as an auditor is given it, and what comes of checking
// it.
func (l *life) bundle() ([]byte, error) {
	var out bytes.Buffer
	_, err := l.WriteBundle(&out, time.Time{}, time.Time{})
	return out.Bytes(), err
}

// audit is the check of 'backupd audit verify'.
func (l *life) audit(ctx context.Context, bundle []byte, heads ...[]byte) (*evidence.Verification, error) {
	return evidence.Verify(ctx, bytes.NewReader(bundle), int64(len(bundle)), evidence.VerifyOptions{Keys: []evidence.PublicKey{l.PublicKey()}, Heads: heads})
}

// sound makes sure that the bundle is found to be right before anything is done
// to it.
func (l *life) sound(ctx context.Context, bundle []byte) error {
	v, err := l.audit(ctx, bundle)
	if err == nil && !v.OK {
		err = fmt.Errorf("the untouched bundle is found to be wrong: %s", findings(v))
	}
	return err
}

func findings(v *evidence.Verification) string {
	var out []string
	for _, f := range v.Findings {
		out = append(out, string(f.Kind)+": "+f.Text)
	}
	return strings.Join(out, "; ")
}

// audited reads what came of an audit as an auditor would.
func audited(v *evidence.Verification) finding {
	if v.OK {
		return finding{detail: "the bundle is found to be right"}
	}
	return finding{caught: byAudit, detail: findings(v)}
}

// tamperedBundle gives an auditor a bundle with other records.
func tamperedBundle(change func(lines [][]byte, failed int) ([][]byte, error)) func(context.Context, *replica) (finding, error) {
	return func(ctx context.Context, c *replica) (finding, error) {
		l, err := c.newLife()
		if err != nil {
			return finding{}, err
		}
		if err := errors.Join(l.hours(2, true), l.failedProof(), l.hours(1, true)); err != nil {
			return finding{}, err
		}
		bundle, err := l.bundle()
		if err == nil {
			err = l.sound(ctx, bundle)
		}
		if err != nil {
			return finding{}, err
		}
		spoilt, err := rebundled(bundle, func(lines [][]byte) ([][]byte, error) { return change(lines, int(l.failed)) })
		if err != nil {
			return finding{}, err
		}
		v, err := l.audit(ctx, spoilt)
		if err != nil {
			return finding{}, err
		}
		return audited(v), nil
	}
}

// rebundled writes a bundle anew with other records, and with what it counts in
// keeping.
func rebundled(bundle []byte, change func([][]byte) ([][]byte, error)) ([]byte, error) {
	in, err := zip.NewReader(bytes.NewReader(bundle), int64(len(bundle)))
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	before, after := 0, 0
	contents := map[string][]byte{}
	for _, f := range in.File {
		content, err := unzipped(f)
		if err != nil {
			return nil, err
		}
		if strings.HasPrefix(f.Name, "records/") {
			lines := bytes.SplitAfter(bytes.TrimSuffix(content, []byte("\n")), []byte("\n"))
			before = len(lines)
			if lines, err = change(lines); err != nil {
				return nil, err
			}
			after = len(lines)
			content = append(bytes.TrimSuffix(bytes.Join(lines, nil), []byte("\n")), '\n')
		}
		contents[f.Name] = content
	}
	for _, f := range in.File {
		w, err := z.Create(f.Name)
		if err != nil {
			return nil, err
		}
		content := contents[f.Name]
		if f.Name == "bundle.json" {
			for _, count := range []string{`"to": %d`, `"size": %d`} {
				content = bytes.Replace(content, fmt.Appendf(nil, count, before), fmt.Appendf(nil, count, after), 1)
			}
		}
		if _, err := w.Write(content); err != nil {
			return nil, err
		}
	}
	err = z.Close()
	return out.Bytes(), err
}

func unzipped(f *zip.File) ([]byte, error) {
	r, err := f.Open()
	if err != nil {
		return nil, err
	}
	const most = 16 << 20
	content, err := io.ReadAll(io.LimitReader(r, most))
	return content, errors.Join(err, r.Close())
}

// whitewashed makes a good proof of the one that failed, under the signature that
// it had.
func whitewashed(lines [][]byte, failed int) ([][]byte, error) {
	var envelope map[string]any
	if err := json.Unmarshal(lines[failed], &envelope); err != nil {
		return nil, err
	}
	payload, ok := envelope["payload"].(string)
	if !ok {
		return nil, errors.New("the record has no payload")
	}
	text, err := base64.StdEncoding.DecodeString(payload)
	if err != nil {
		return nil, err
	}
	good := strings.NewReplacer(`"status":"fail"`, `"status":"pass"`, `"outcome":"different"`, `"outcome":"done"`,
		`"error":"`+proofError+`",`, "").Replace(string(text))
	if good == string(text) {
		return nil, errors.New("the record does not say that the proof failed")
	}
	line := bytes.Replace(lines[failed], []byte(payload), []byte(base64.StdEncoding.EncodeToString([]byte(good))), 1)
	return append(append(lines[:failed:failed], line), lines[failed+1:]...), nil
}

// cutLog gives an auditor an older bundle than the checkpoint that they have.
func (c *replica) cutLog(ctx context.Context) (finding, error) {
	l, err := c.newLife()
	if err != nil {
		return finding{}, err
	}
	if err := l.hours(3, true); err != nil {
		return finding{}, err
	}
	older, err := l.bundle()
	if err == nil {
		err = errors.Join(l.sound(ctx, older), l.failedProof())
	}
	if err != nil {
		return finding{}, err
	}
	head, err := l.Checkpoint()
	if err != nil {
		return finding{}, err
	}
	v, err := l.audit(ctx, older, head)
	if err != nil {
		return finding{}, err
	}
	return audited(v), nil
}

// silence looks whether an audit tells of a time without records.
func (l *life) silence(ctx context.Context) (finding, error) {
	bundle, err := l.bundle()
	if err != nil {
		return finding{}, err
	}
	v, err := l.audit(ctx, bundle)
	if err != nil {
		return finding{}, err
	}
	if v.Silences == 0 {
		return finding{detail: "no silence is told of"}, nil
	}
	return finding{caught: byAudit, detail: fmt.Sprintf("%d silence, the longest of %s before record %d",
		v.Silences, time.Duration(v.Silence.Seconds*float64(time.Second)), v.Silence.Before)}, nil
}

// broken looks whether the objectives tell of a time in which the promise did not
// hold.
func (l *life) broken() (finding, error) {
	history, err := evidence.History(l, function, l.began, l.now)
	if err != nil {
		return finding{}, err
	}
	for _, view := range objective.Assess(history, l.began.Add(2*time.Hour), l.now).Views {
		if view.Proven {
			continue
		}
		for _, v := range view.Violations {
			return finding{caught: byObjectives, detail: fmt.Sprintf("exposure of up to %s where %s was promised, from %s to %s",
				v.Peak, v.Limit, v.Start.Format(time.RFC3339), v.End.Format(time.RFC3339))}, nil
		}
	}
	return finding{detail: "the promise is told to have been kept"}, nil
}
