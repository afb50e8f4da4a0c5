package main

import "time"

// What the demonstration reads of the answers of backupd, by the field names
// that docs/cli.md promises. They are repeated here, not imported: the
// demonstration stands outside.

type pointAtSite struct {
	State     string    `json:"state"`
	DurableAt time.Time `json:"durable_at"`
	Error     string    `json:"error"`
}

type recoveryPoint struct {
	Function      string                 `json:"function"`
	Snapshot      string                 `json:"snapshot"`
	RecoveryPoint time.Time              `json:"recovery_point"`
	Rows          int64                  `json:"rows"`
	BytesRaw      int64                  `json:"bytes_raw"`
	BytesNew      int64                  `json:"bytes_new"`
	BytesStored   int64                  `json:"bytes_stored"`
	Sites         map[string]pointAtSite `json:"sites"`
}

type status struct {
	Serving   bool             `json:"serving"`
	Degraded  bool             `json:"degraded"`
	Functions []functionStatus `json:"functions"`
	Sites     []siteStatus     `json:"sites"`
}

type functionStatus struct {
	Function        string   `json:"function"`
	RPOSeconds      float64  `json:"rpo_seconds"`
	RTOSeconds      float64  `json:"rto_seconds"`
	Degraded        bool     `json:"degraded"`
	Reasons         []string `json:"reasons"`
	Running         string   `json:"running"`
	IntervalSeconds float64  `json:"interval_seconds"`
}

type siteStatus struct {
	Site          string `json:"site"`
	Reachable     *bool  `json:"reachable"`
	QueuedObjects int64  `json:"queued_objects"`
	QueuedBytes   int64  `json:"queued_bytes"`
}

type table struct {
	Name   string `json:"name"`
	Rows   int64  `json:"rows"`
	Digest string `json:"digest"`
}

type check struct {
	Name   string `json:"name"`
	Level  string `json:"level"`
	Passed bool   `json:"passed"`
	Detail string `json:"detail"`
}

type restoreResult struct {
	Snapshot        string             `json:"snapshot"`
	RecoveryPoint   time.Time          `json:"recovery_point"`
	DurationSeconds float64            `json:"duration_seconds"`
	LossSeconds     float64            `json:"loss_seconds"`
	Phases          map[string]float64 `json:"phases"`
	Rows            int64              `json:"rows"`
	BytesRaw        int64              `json:"bytes_raw"`
	Tables          []table            `json:"tables"`
	Checks          []check            `json:"checks"`
	Error           string             `json:"error"`
}

type proof struct {
	Function        string    `json:"function"`
	Snapshot        string    `json:"snapshot"`
	RecoveryPoint   time.Time `json:"recovery_point"`
	Site            string    `json:"site"`
	Level           string    `json:"level"`
	Passed          bool      `json:"passed"`
	DurationSeconds float64   `json:"duration_seconds"`
	Rows            int64     `json:"rows"`
	Checks          []check   `json:"checks"`
	NotProven       []string  `json:"not_proven"`
	Error           string    `json:"error"`
}
