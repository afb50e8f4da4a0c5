package server

import (
	"context"
	"errors"
	"slices"

	"github.com/saypro/backupd/internal/engine"
	"github.com/saypro/backupd/internal/restore"
	"github.com/saypro/backupd/internal/verify"
)

// Kind sorts failures into those that callers tell apart. It is what survives
// of an error's identity on the wire and in JSON answers.
type Kind string

// The kinds of failures.
const (
	KindFailed         Kind = "failed"
	KindUsage          Kind = "usage"
	KindConfig         Kind = "config"
	KindDegraded       Kind = "degraded"
	KindDifference     Kind = "difference"
	KindBusy           Kind = "busy"
	KindNotInitialized Kind = "not_initialized"
	KindCanceled       Kind = "canceled"
	KindStopping       Kind = "stopping"
)

// ErrStopping marks an operation that ended because the service stops.
var ErrStopping = errors.New("the service is stopping")

// kinds orders the sentinels by what matters most to the caller when an error
// matches several of them, and names the one that a client wraps.
var kinds = []struct {
	kind     Kind
	sentinel error
}{
	{KindDifference, engine.ErrDifference},
	{KindConfig, engine.ErrConfig},
	{KindUsage, engine.ErrUsage},
	{KindUsage, restore.ErrRequest},
	{KindUsage, verify.ErrRequest},
	{KindBusy, engine.ErrCatalogBusy},
	{KindNotInitialized, engine.ErrNotInitialized},
	{KindStopping, ErrStopping},
	{KindCanceled, context.Canceled},
	{KindDegraded, engine.ErrDegraded},
}

// KindOf returns the kind of err, KindFailed for an error of no other kind.
// The kind of a failure that came over the wire is what it was there.
func KindOf(err error) Kind {
	for _, k := range kinds {
		if errors.Is(err, k.sentinel) {
			return k.kind
		}
	}
	return KindFailed
}

// Failure is an error as it appears on the wire and in JSON answers. As an
// error it matches the sentinel of its kind, wherever it happened.
type Failure struct {
	// Message says what failed, complete with operation and object.
	Message string `json:"message"`
	// Kind tells failures apart for programs.
	Kind Kind `json:"kind"`
}

// Kinds returns every kind there is.
func Kinds() []Kind {
	all := []Kind{KindFailed}
	for _, k := range kinds {
		if !slices.Contains(all, k.kind) {
			all = append(all, k.kind)
		}
	}
	return all
}

// NewFailure returns err in the form for the wire.
func NewFailure(err error) *Failure {
	return &Failure{Message: err.Error(), Kind: KindOf(err)}
}

func (f *Failure) Error() string { return f.Message }

// Is reports whether target is the sentinel of the failure's kind.
func (f *Failure) Is(target error) bool {
	for _, k := range kinds {
		if k.kind == f.Kind && k.sentinel == target {
			return true
		}
	}
	return false
}
