package postgres

import (
	"context"

	"github.com/saypro/backupd/internal/pgserver"
)

// Instance is a throwaway server; see [pgserver.Instance]. It lives in a
// package of its own so that the tests of this one can use it too.
type Instance = pgserver.Instance

// InstanceOptions say where and how an [Instance] runs.
type InstanceOptions = pgserver.Options

// StartInstance makes and starts a throwaway server; see [pgserver.Start].
func StartInstance(ctx context.Context, opts InstanceOptions) (*Instance, error) {
	return pgserver.Start(ctx, opts)
}

// SweepInstances removes the instances directly below parentDir that a
// crashed process has left behind; see [pgserver.Sweep].
func SweepInstances(ctx context.Context, parentDir string) error {
	return pgserver.Sweep(ctx, parentDir)
}

// Binary returns the path of a program of PostgreSQL; see [pgserver.Binary].
func Binary(name string) (string, error) { return pgserver.Binary(name) }
