package server

import (
	"encoding/json"
	"io"
	"time"

	"github.com/saypro/backupd/internal/progress"
)

// The paths of the API. Answers are lines of JSON, each one a [message]: any
// number of events, then a result, an error or both.
const (
	pathPing      = "/v1/ping"
	pathSnapshot  = "/v1/snapshot"
	pathSnapshots = "/v1/snapshots"
	pathPlan      = "/v1/plan"
	pathRestore   = "/v1/restore"
	pathVerify    = "/v1/verify"
	pathStatus    = "/v1/status"
	pathSites     = "/v1/sites"
	pathSync      = "/v1/sync"
	pathPrune     = "/v1/prune"
	pathHold      = "/v1/hold"
	pathSweep     = "/v1/sweep"
	pathScrub     = "/v1/scrub"
)

// maxRequest bounds the size of a request: a list of tables may be long.
const maxRequest = 4 << 20

// message is one line of an answer.
type message struct {
	Event  *progress.Event `json:"event,omitempty"`
	Data   []byte          `json:"data,omitempty"` // a part of a document
	Result json.RawMessage `json:"result,omitempty"`
	Error  *Failure        `json:"error,omitempty"`
}

// Pong says who serves.
type Pong struct {
	// PID is the process ID of the service.
	PID int `json:"pid"`
	// Version is the version of the service.
	Version string `json:"version"`
	// Started is when it began to serve, UTC.
	Started time.Time `json:"started"`
}

// snapshotRequest is the body of a request for snapshots.
type snapshotRequest struct {
	Functions []string `json:"functions"`
}

// writeOutcome writes the end of an answer: the result, and the error if there
// is one.
func writeOutcome(w io.Writer, result any, failed error) error {
	var m message
	raw, err := json.Marshal(result)
	if err != nil {
		return err
	}
	m.Result = raw
	if failed != nil {
		m.Error = NewFailure(failed)
	}
	return json.NewEncoder(w).Encode(m)
}
