package engine

import (
	"time"

	"github.com/saypro/backupd/internal/repository"
)

// PruneRequest asks which recovery points no rule keeps, and gives them up.
type PruneRequest struct {
	// Functions to prune; empty means all.
	Functions []string `json:"functions,omitempty"`
	// DryRun only tells.
	DryRun bool `json:"dry_run,omitempty"`
	// Lost gives up, instead of what no rule keeps, what no site and no spool can
	// give back whole.
	Lost bool `json:"lost,omitempty"`
}

// PruneResult is what the rules of functions keep, and what not.
type PruneResult struct {
	// Time is the moment that the decisions were made for, UTC.
	Time time.Time `json:"time"`
	// DryRun is true when nothing was given up.
	DryRun bool `json:"dry_run"`
	// Lost is true when it is about what is lost, and not about the rules.
	Lost bool `json:"lost"`
	// GoesAt is from when on a sweep may delete what was given up now, UTC.
	GoesAt time.Time `json:"goes_at"`
	// Functions are sorted by name.
	Functions []PrunedFunction `json:"functions"`
}

// PrunedFunction is what the rules of one function keep, and what not.
type PrunedFunction struct {
	Function string `json:"function"`
	// Rules are its rules, as "last 24, daily 30"; empty when it has none, and
	// everything is kept.
	Rules string `json:"rules,omitempty"`
	// Kept and Dropped count the decisions. Waiting were given up earlier and
	// are not deleted yet.
	Kept    int `json:"kept"`
	Dropped int `json:"dropped"`
	Waiting int `json:"waiting"`
	// Decisions are about one recovery point each, newest first.
	Decisions []PruneDecision `json:"decisions"`
}

// PruneDecision says whether a recovery point is kept, and why.
type PruneDecision struct {
	Snapshot string `json:"snapshot"`
	// RecoveryPoint is the consistency point, UTC.
	RecoveryPoint time.Time `json:"recovery_point"`
	Keep          bool      `json:"keep"`
	// Reasons are a sentence each, at least one.
	Reasons []string `json:"reasons"`
	// Lost is what of it is lost, and what is whole; nil unless lost ones were
	// asked for.
	Lost *repository.LostSnapshot `json:"lost,omitempty"`
}

// HoldRequest asks to keep a snapshot whatever the rules say.
type HoldRequest struct {
	// Snapshot is its ID or an unambiguous prefix.
	Snapshot string `json:"snapshot"`
	// Reason says why; empty lets it go again.
	Reason string `json:"reason,omitempty"`
}

// SweepRequest asks to delete what nobody needs.
type SweepRequest struct {
	// DryRun only tells.
	DryRun bool `json:"dry_run,omitempty"`
	// MaxRewrite is how many bytes may be written anew at most; nil means as
	// configured.
	MaxRewrite *int64 `json:"max_rewrite,omitempty"`
}

// SweepResult is what a sweep did, or would do.
type SweepResult struct {
	// Time is when it began, UTC.
	Time time.Time `json:"time"`
	// DryRun is true when nothing was done.
	DryRun bool `json:"dry_run"`
	// GraceSeconds is how long what nobody needs stays before it is deleted.
	GraceSeconds float64 `json:"grace_seconds"`
	// DeletedCommits are those of snapshots that were given up, and those that
	// newer ones replaced. They and DeletedPacks were deleted at every site.
	DeletedCommits repository.Amount `json:"deleted_commits"`
	DeletedPacks   repository.Amount `json:"deleted_packs"`
	// Condemned are packs that nobody needs since now.
	Condemned repository.Amount `json:"condemned"`
	// Rewritten are packs of which little is still needed; Moved is that
	// little, written anew. The old ones go at a later sweep.
	Rewritten repository.Amount `json:"rewritten"`
	Moved     repository.Amount `json:"moved"`
	// WaitingSnapshots were given up and stay until their time of grace is
	// over: the first of them until WaitingUntil, UTC.
	WaitingSnapshots int       `json:"waiting_snapshots"`
	WaitingUntil     time.Time `json:"waiting_until,omitzero"`
	// Locked objects could go if no site protected them; the last of them is
	// free at LockedUntil, UTC.
	Locked      int       `json:"locked"`
	LockedUntil time.Time `json:"locked_until,omitzero"`
}
