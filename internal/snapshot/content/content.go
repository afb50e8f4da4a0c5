// Package content says in which form a PostgreSQL snapshot lies in the
// repository: the names of its streams and what each of them holds. Package
// snapshot writes this form, restore and verify read it.
package content

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/saypro/backupd/internal/repository"
	"github.com/saypro/backupd/internal/source/postgres"
)

// Engine is the engine named by snapshots of this form.
const Engine = "postgres"

// Names of the streams that hold no rows.
const (
	// Schema is a pg_dump archive in custom format without data.
	Schema = "schema"
	// Structure is a [postgres.Structure] as JSON.
	Structure = "structure"
	// Globals is a [postgres.Globals] as JSON.
	Globals = "globals"
	// Sequences is a JSON array of [postgres.Sequence].
	Sequences = "sequences"
	// Outside is a JSON array of [postgres.Reference].
	Outside = "outside"
)

// Scope is what of the source belonged to the function, with what was promised
// for it when it was captured.
type Scope struct {
	postgres.Scope
	// Source is the name of the source in the configuration.
	Source string `json:"source"`
	// RPO and RTO are the objectives in force, in seconds.
	RPO float64 `json:"rpo_seconds"`
	RTO float64 `json:"rto_seconds"`
}

// NewScope joins a scope with the configuration that it comes from.
func NewScope(s postgres.Scope, source string, rpo, rto time.Duration) Scope {
	return Scope{Scope: s, Source: source, RPO: rpo.Seconds(), RTO: rto.Seconds()}
}

// Header are the small parts that the commit itself holds.
type Header struct {
	Point  postgres.Point
	Scope  Scope
	Tables []postgres.Table // one for each of Snapshot.Tables, in the same order
}

// ReadHeader decodes what the commit holds of a snapshot.
func ReadHeader(s *repository.Snapshot) (*Header, error) {
	fail := func(what string, err error) (*Header, error) {
		return nil, fmt.Errorf("snapshot %s of %s: %s: %w", s.ID, s.Function, what, err)
	}
	if s.Engine != Engine {
		return fail("engine", fmt.Errorf("it is %q, this release restores %q", s.Engine, Engine))
	}
	h := &Header{Tables: make([]postgres.Table, len(s.Tables))}
	if err := json.Unmarshal(s.Source, &h.Point); err != nil {
		return fail("consistency point", err)
	}
	if err := json.Unmarshal(s.Scope, &h.Scope); err != nil {
		return fail("scope", err)
	}
	for i, t := range s.Tables {
		if err := json.Unmarshal(t.Engine, &h.Tables[i]); err != nil {
			return fail("table "+t.Name, err)
		}
	}
	return h, nil
}

// maxJSON bounds what is read whole of one JSON stream: the structure of a
// database with some hundred thousand objects.
const maxJSON = 256 << 20

// ReadJSON reads a JSON stream of the snapshot into v. A snapshot without
// that stream is an error.
func ReadJSON(ctx context.Context, r *repository.Reader, s *repository.Snapshot, name string, v any) error {
	stream, err := Stream(s, name)
	if err != nil {
		return err
	}
	var text bytes.Buffer
	if stream.Bytes > maxJSON {
		return fmt.Errorf("snapshot %s: %s has %d bytes, more than can be right", s.ID, name, stream.Bytes)
	}
	if err := r.Copy(ctx, stream, &text); err != nil {
		return fmt.Errorf("snapshot %s: read %s: %w", s.ID, name, err)
	}
	if err := json.Unmarshal(text.Bytes(), v); err != nil {
		return fmt.Errorf("snapshot %s: parse %s: %w", s.ID, name, err)
	}
	return nil
}

// Stream returns a stream of the snapshot by its name.
func Stream(s *repository.Snapshot, name string) (repository.Stream, error) {
	stream, ok := s.Streams[name]
	if !ok {
		return stream, fmt.Errorf("snapshot %s of %s: its commit names no stream %q", s.ID, s.Function, name)
	}
	return stream, nil
}

// JSON returns v as the text that a stream holds.
func JSON(v any) (io.Reader, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return bytes.NewReader(text), nil
}
