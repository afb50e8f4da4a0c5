package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/saypro/backupd/internal/engine"
	"github.com/saypro/backupd/internal/progress"
	"github.com/saypro/backupd/internal/restore"
	"github.com/saypro/backupd/internal/snapshot"
	"github.com/saypro/backupd/internal/verify"
)

// pingTimeout bounds the wait for the first answer of a service.
const pingTimeout = 10 * time.Second

// Client passes operations on to the running service. Its methods fail with a
// [*Failure] when the service does, of the same kind as the original error.
// Cancelling a method's context cancels the operation in the service.
type Client struct {
	http *http.Client
	path string
	pong Pong
}

var _ Operations = (*Client)(nil)

// Dial connects to the service in dataDir. Its error is [ErrNoService] when
// there is none.
func Dial(ctx context.Context, dataDir string) (*Client, error) {
	return dial(ctx, dataDir, pingTimeout)
}

func dial(ctx context.Context, dataDir string, patience time.Duration) (*Client, error) {
	path := SocketPath(dataDir)
	c := &Client{path: path, http: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialSocket(ctx, path)
		},
	}}}
	asking, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := c.ask(asking, http.MethodGet, pathPing, nil, nil, &c.pong)
	if err == nil {
		return c, nil
	}
	_ = c.Close()
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return nil, fmt.Errorf("the service on %s accepts but does not answer; see its log, and restart it if it hangs", path)
	}
	return nil, err
}

// Close gives the connections back. Calls under way end first.
func (c *Client) Close() error {
	c.http.CloseIdleConnections()
	return nil
}

// Service says who answers.
func (c *Client) Service() Pong { return c.pong }

// Snapshot implements [Operations].
func (c *Client) Snapshot(ctx context.Context, functions []string, report progress.Reporter) (results []snapshot.Result, err error) {
	err = c.ask(ctx, http.MethodPost, pathSnapshot, snapshotRequest{functions}, report, &results)
	return results, err
}

// Snapshots implements [Operations].
func (c *Client) Snapshots(ctx context.Context, function string) (points []engine.RecoveryPoint, err error) {
	query := url.Values{"function": {function}}
	err = c.ask(ctx, http.MethodGet, pathSnapshots+"?"+query.Encode(), nil, nil, &points)
	return points, err
}

// Plan implements [Operations].
func (c *Client) Plan(ctx context.Context, req restore.Request) (plan restore.Plan, err error) {
	err = c.ask(ctx, http.MethodPost, pathPlan, req, nil, &plan)
	return plan, err
}

// Restore implements [Operations].
func (c *Client) Restore(ctx context.Context, req restore.Request, report progress.Reporter) (result restore.Result, err error) {
	err = c.ask(ctx, http.MethodPost, pathRestore, req, report, &result)
	return result, err
}

// Verify implements [Operations].
func (c *Client) Verify(ctx context.Context, req engine.VerifyRequest, report progress.Reporter) (results []verify.Result, err error) {
	err = c.ask(ctx, http.MethodPost, pathVerify, req, report, &results)
	return results, err
}

// Status implements [Operations].
func (c *Client) Status(ctx context.Context) (status engine.Status, err error) {
	err = c.ask(ctx, http.MethodGet, pathStatus, nil, nil, &status)
	return status, err
}

// Sites implements [Operations].
func (c *Client) Sites(ctx context.Context) (sites engine.Sites, err error) {
	err = c.ask(ctx, http.MethodGet, pathSites, nil, nil, &sites)
	return sites, err
}

// Sync implements [Operations].
func (c *Client) Sync(ctx context.Context, req engine.SyncRequest, report progress.Reporter) (results []engine.SyncResult, err error) {
	err = c.ask(ctx, http.MethodPost, pathSync, req, report, &results)
	return results, err
}

// Prune implements [Operations].
func (c *Client) Prune(ctx context.Context, req engine.PruneRequest, report progress.Reporter) (result engine.PruneResult, err error) {
	err = c.ask(ctx, http.MethodPost, pathPrune, req, report, &result)
	return result, err
}

// Hold implements [Operations].
func (c *Client) Hold(ctx context.Context, req engine.HoldRequest) (point engine.RecoveryPoint, err error) {
	err = c.ask(ctx, http.MethodPost, pathHold, req, nil, &point)
	return point, err
}

// Sweep implements [Operations].
func (c *Client) Sweep(ctx context.Context, req engine.SweepRequest, report progress.Reporter) (result engine.SweepResult, err error) {
	err = c.ask(ctx, http.MethodPost, pathSweep, req, report, &result)
	return result, err
}

// Scrub implements [Operations].
func (c *Client) Scrub(ctx context.Context, req engine.ScrubRequest, report progress.Reporter) (results []engine.ScrubResult, err error) {
	err = c.ask(ctx, http.MethodPost, pathScrub, req, report, &results)
	return results, err
}

// ask sends one request and takes its answer in.
func (c *Client) ask(ctx context.Context, method, path string, body any, report progress.Reporter, result any) error {
	return c.request(ctx, method, path, body, report, io.Discard, result)
}

// askData is ask for an operation that writes a document, which goes to data.
func (c *Client) askData(ctx context.Context, path string, body any, data io.Writer, result any) error {
	return c.request(ctx, http.MethodPost, path, body, nil, data, result)
}

func (c *Client) request(ctx context.Context, method, path string, body any, report progress.Reporter, data io.Writer, result any) error {
	resp, err := c.send(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	return c.receive(ctx, resp.Body, report, data, result)
}

// send sends one request and returns the begin of its answer.
func (c *Client) send(ctx context.Context, method, path string, body any) (*http.Response, error) {
	var in io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("ask the service: %w", err)
		}
		in = bytes.NewReader(raw)
	}
	// The host is required by HTTP and means nothing on a unix socket.
	req, err := http.NewRequestWithContext(ctx, method, "http://backupd"+path, in)
	if err != nil {
		return nil, fmt.Errorf("ask the service: %w", err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.lost(ctx, err)
	}
	return resp, nil
}

// receive reads an answer to its end: events go to report, a document to data,
// the outcome into result and the error.
func (c *Client) receive(ctx context.Context, body io.Reader, report progress.Reporter, data io.Writer, result any) error {
	dec := json.NewDecoder(body)
	for {
		var m message
		if err := dec.Decode(&m); err != nil {
			return c.lost(ctx, err)
		}
		if m.Event != nil {
			report.Report(*m.Event)
			continue
		}
		if m.Data != nil {
			if _, err := data.Write(m.Data); err != nil {
				return fmt.Errorf("write what the service sends: %w", err)
			}
			continue
		}
		if m.Result != nil {
			if err := json.Unmarshal(m.Result, result); err != nil {
				return fmt.Errorf("read the answer of the service (version %s): %w", c.pong.Version, err)
			}
		}
		if m.Error != nil {
			return m.Error
		}
		return nil
	}
}

// lost explains why an answer did not come.
func (c *Client) lost(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, ErrNoService):
		return fmt.Errorf("connect to %s: %w", c.path, ErrNoService)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the service went away before it answered; see its log")
	default:
		return fmt.Errorf("ask the service on %s: %w", c.path, err)
	}
}
