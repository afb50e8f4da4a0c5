package verify

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/saypro/backupd/internal/crash"
	"github.com/saypro/backupd/internal/source/postgres"
)

const (
	// placePrefix begins the names of working folders, serverPrefix those of
	// throwaway servers and databasePrefix those of scratch databases.
	placePrefix    = "proof-"
	serverPrefix   = "server-"
	databasePrefix = "backupd_scratch_"
	// databaseFile, in a working folder, holds the name of the scratch
	// database. It is written before the database is made, so that a crash
	// at any moment leaves none that cannot be found.
	databaseFile = "database"
	// clearPatience is how long clearing up may take.
	clearPatience = 2 * time.Minute
	// kindDatabase is the kind of scratch that is a database on a given
	// server; every other is a throwaway server.
	kindDatabase = "database"
)

// workplace is what one proof needs while it runs.
type workplace struct {
	id       string
	dir      string
	packs    string // below dir
	instance *postgres.Instance
	database string // on a given server, empty when there is none
}

// workplace makes the working folder.
func (p *proof) workplace() (*workplace, error) {
	var random [4]byte
	_, _ = rand.Read(random[:]) // never fails
	w := &workplace{id: hex.EncodeToString(random[:])}
	w.dir = filepath.Join(p.Dir, placePrefix+w.id)
	w.packs = filepath.Join(w.dir, "packs")
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := os.MkdirAll(w.packs, 0o700); err != nil {
		return nil, fmt.Errorf("make room for the proof: %w", err)
	}
	if p.active == nil {
		p.active = map[string]bool{}
	}
	p.active[w.id] = true
	return w, nil
}

// provision makes the scratch database and connects to it.
func (p *proof) provision(ctx context.Context) (err error) {
	defer p.phases.Begin("provision")()
	var note string
	if p.Scratch.Kind == kindDatabase {
		note, err = p.scratchDatabase(ctx)
	} else {
		note, err = p.scratchInstance(ctx)
	}
	if err != nil {
		return fmt.Errorf("make scratch: %w", err)
	}
	if note != "" {
		p.left = append(p.left, note)
	}
	if p.to, err = p.load.Connect(ctx, p.url, p.Clock, p.Log); err != nil {
		return fmt.Errorf("open scratch: %w", err)
	}
	p.result.Scratch = "PostgreSQL " + p.to.Release() + strings.TrimPrefix(p.result.Scratch, "PostgreSQL")
	if err := p.to.MarkUnfinished(ctx, p.mark()); err != nil {
		return fmt.Errorf("mark scratch: %w", err)
	}
	crash.Point(crash.ProofProvisioned)
	return nil
}

func (p *proof) scratchInstance(ctx context.Context) (note string, err error) {
	p.place.instance, err = postgres.StartInstance(ctx, postgres.InstanceOptions{
		Dir: filepath.Join(p.Dir, serverPrefix+p.place.id), Fast: true, Clock: p.Clock, Log: p.Log,
	})
	if err != nil {
		return "", err
	}
	p.result.Scratch = "PostgreSQL, throwaway server on this host"
	p.url, note, err = postgres.CreateDatabase(ctx, p.place.instance.URL("postgres"), databasePrefix+p.place.id, p.load.Point())
	return note, err
}

func (p *proof) scratchDatabase(ctx context.Context) (note string, err error) {
	p.place.database = databasePrefix + p.place.id
	err = os.WriteFile(filepath.Join(p.place.dir, databaseFile), []byte(p.place.database), 0o600)
	if err != nil {
		return "", err
	}
	p.result.Scratch = "PostgreSQL, scratch database " + p.place.database + " on the configured server"
	p.url, note, err = postgres.CreateDatabase(ctx, p.Scratch.URL.Reveal(), p.place.database, p.load.Point())
	return note, err
}

// mark is the mark on scratch databases that are ours.
func (v *Verifier) mark() string {
	host, err := os.Hostname()
	if err != nil {
		host = "an unnamed host"
	}
	return fmt.Sprintf("scratch of repository %s, %s, %s", v.Repository.ID(), host, v.Dir)
}

// clear removes everything that the proof made, also when it was cancelled.
func (p *proof) clear(ctx context.Context) error {
	defer p.phases.Begin("clear")()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), clearPatience)
	defer cancel()
	defer p.leave() // what could not be removed is left to the sweep
	var errs []error
	if p.to != nil {
		errs = append(errs, p.to.Close(ctx))
	}
	if p.place.instance != nil {
		errs = append(errs, p.place.instance.Stop(ctx))
	}
	if p.place.database != "" {
		errs = append(errs, postgres.DropDatabase(ctx, p.Scratch.URL.Reveal(), p.place.database))
	}
	if err := errors.Join(errs...); err != nil {
		// The folder stays: it tells the sweep what to remove.
		return fmt.Errorf("clear scratch: %w", err)
	}
	if err := os.RemoveAll(p.place.dir); err != nil {
		return fmt.Errorf("clear scratch: %w", err)
	}
	crash.Point(crash.ProofCleared)
	return nil
}

// leave tells the sweep that the proof is over.
func (p *proof) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.active, p.place.id)
}

// SweepScratch removes what proofs of a crashed process have left in Dir and
// on the scratch server. Proofs that run now are left alone. All leftovers are
// tried; the errors are joined.
func (v *Verifier) SweepScratch(ctx context.Context) error {
	errs := []error{postgres.SweepInstances(ctx, v.Dir)}
	places, err := filepath.Glob(filepath.Join(escapeGlob(v.Dir), placePrefix+"*"))
	if err != nil {
		return err
	}
	for _, dir := range places {
		if !v.running(strings.TrimPrefix(filepath.Base(dir), placePrefix)) {
			errs = append(errs, v.sweepPlace(ctx, dir))
		}
	}
	if v.Scratch.Kind == kindDatabase {
		errs = append(errs, v.sweepDatabases(ctx))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("sweep scratch: %w", err)
	}
	return nil
}

func (v *Verifier) running(id string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.active[id]
}

// sweepPlace removes a working folder and the database that it names.
func (v *Verifier) sweepPlace(ctx context.Context, dir string) error {
	name, err := os.ReadFile(filepath.Join(dir, databaseFile))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if v.Scratch.Kind == kindDatabase && strings.HasPrefix(string(name), databasePrefix) {
		if err := postgres.DropDatabase(ctx, v.Scratch.URL.Reveal(), string(name)); err != nil {
			return err
		}
	}
	return os.RemoveAll(dir)
}

// sweepDatabases drops scratch databases that bear our mark although no
// working folder tells of them any more.
func (v *Verifier) sweepDatabases(ctx context.Context) error {
	marked, err := postgres.UnfinishedDatabases(ctx, v.Scratch.URL.Reveal())
	if err != nil {
		return err
	}
	var errs []error
	for name, note := range marked {
		id, scratch := strings.CutPrefix(name, databasePrefix)
		if scratch && note == v.mark() && !v.running(id) {
			errs = append(errs, postgres.DropDatabase(ctx, v.Scratch.URL.Reveal(), name))
		}
	}
	return errors.Join(errs...)
}

// escapeGlob makes path stand for itself in a pattern.
func escapeGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}
