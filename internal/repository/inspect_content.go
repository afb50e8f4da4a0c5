package repository

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/storage"
)

// InspectedPack is what a pack is made of, and who needs it.
type InspectedPack struct {
	// Chunks counts what it holds, by kind; empty when it does not open.
	Chunks []InspectedChunks `json:"chunks"`
	// Snapshots are those that need it.
	Snapshots []InspectedNeed `json:"snapshots"`
	// Condemned is since when nobody does; Deleting: it is being deleted.
	// Lost: no site and no spool has it.
	Condemned time.Time `json:"condemned,omitzero"`
	Deleting  bool      `json:"deleting,omitempty"`
	Lost      bool      `json:"lost,omitempty"`
}

// InspectedChunks are the chunks of one kind in a pack.
type InspectedChunks struct {
	Kind   string `json:"kind"`
	Count  int    `json:"count"`
	Raw    int64  `json:"bytes_raw"`    // of their content
	Stored int64  `json:"bytes_stored"` // compressed and sealed
}

// InspectedNeed is a snapshot that needs a pack.
type InspectedNeed struct {
	Snapshot      string    `json:"snapshot"`
	Function      string    `json:"function"`
	RecoveryPoint time.Time `json:"recovery_point"`
}

// InspectedCommit is what a commit says.
type InspectedCommit struct {
	Writer    string              `json:"writer"`
	Sequence  uint64              `json:"sequence"`
	Time      time.Time           `json:"time"`
	Previous  string              `json:"previous,omitempty"`
	Snapshots []InspectedSnapshot `json:"snapshots"`
}

// InspectedSnapshot is a snapshot as a commit tells it.
type InspectedSnapshot struct {
	Snapshot      string           `json:"snapshot"`
	Function      string           `json:"function"`
	RecoveryPoint time.Time        `json:"recovery_point"`
	Started       time.Time        `json:"started"`
	Ended         time.Time        `json:"ended"`
	Engine        string           `json:"engine"`
	Tables        []InspectedTable `json:"tables"`
	Streams       map[string]int64 `json:"streams"` // bytes by name
	Rows          int64            `json:"rows"`
	BytesRaw      int64            `json:"bytes_raw"`
	Packs         int              `json:"packs"`
	PackBytes     int64            `json:"pack_bytes"`
	// ReplacedBy is the commit that counts for this snapshot instead of the one
	// inspected.
	ReplacedBy string `json:"replaced_by,omitempty"`
	// Missing are the packs that a site does not hold in the right size, by
	// site; Unasked why a site could not be asked.
	Missing map[string][]string `json:"missing"`
	Unasked map[string]string   `json:"unasked,omitempty"`
}

// InspectedTable is a table in a snapshot.
type InspectedTable struct {
	Name   string `json:"name"`
	Rows   int64  `json:"rows"`
	Bytes  int64  `json:"bytes"`
	Digest string `json:"digest"`
}

// InspectedMark is what a mark says.
type InspectedMark struct {
	Writer   string    `json:"writer"`
	Sequence uint64    `json:"sequence"`
	Time     time.Time `json:"time"`
	// Hold is the snapshot that it holds, or lets go when there is no Reason.
	Hold   string `json:"hold,omitempty"`
	Reason string `json:"reason,omitempty"`
	// Cleared is why what looked wrong in that snapshot is fine.
	Cleared string `json:"cleared,omitempty"`
	// Snapshots that it gives up, with the reasons, Commits that are replaced,
	// and Packs that nobody needs.
	Snapshots map[string]string `json:"snapshots,omitempty"`
	Commits   []string          `json:"commits,omitempty"`
	Packs     []string          `json:"packs,omitempty"`
	// Key is the id of the key that is in use from there on.
	Key string `json:"key,omitempty"`
}

// InspectedRun is a run of records of the log of evidence.
type InspectedRun struct {
	Log   string `json:"log"`
	First uint64 `json:"first"`
	Last  uint64 `json:"last"`
}

// InspectedKey is a wrapped key, without what it holds.
type InspectedKey struct {
	ID         string   `json:"id"`
	Recipients int      `json:"recipients"`
	OpenedBy   []string `json:"opened_by"`
	Current    bool     `json:"current"`
	Names      bool     `json:"names_chunks"`
}

// InspectedConfig is what repo.json says.
type InspectedConfig struct {
	ID       string    `json:"id"`
	Format   int       `json:"format"`
	Created  time.Time `json:"created"`
	Key      string    `json:"key"`
	Chunking string    `json:"chunking"`
	RowHash  string    `json:"row_hash"`
	// Features are what a program must know before it may read, write, delete
	// or check.
	Read   []string `json:"read"`
	Write  []string `json:"write"`
	Delete []string `json:"delete"`
	Check  []string `json:"check"`
	// Ours: it is the repository that is configured.
	Ours bool `json:"ours"`
}

// content tells what the bytes of the object say. An error is why they do not.
func (i *inspector) content(ctx context.Context) error {
	switch i.out.Kind {
	case KindOfConfig:
		return i.inConfig()
	case catalog.KindKey:
		return i.inKey()
	case catalog.KindPack:
		return i.inPack()
	case catalog.KindCommit:
		return i.inCommit(ctx)
	case catalog.KindMark:
		return i.inMark()
	case catalog.KindEvidence:
		return i.inEvidence()
	}
	return errors.New("a repository has no objects of that name; it means nothing here")
}

func (i *inspector) inConfig() error {
	c, err := parseConfig(i.bytes)
	if err != nil {
		return err
	}
	i.out.Repository = &InspectedConfig{
		ID: c.Repository, Format: c.Format, Created: c.Created, Key: c.Key, RowHash: c.RowHash,
		Chunking: fmt.Sprintf("%s %d/%d/%d/%d", c.Chunking.Algorithm, c.Chunking.Min, c.Chunking.Spacing, c.Chunking.Max, c.Chunking.RowPart),
		Read:     list(c.Features.Read), Write: list(c.Features.Write), Delete: list(c.Features.Delete), Check: list(c.Features.Check),
		Ours: bytes.Equal(i.bytes, i.config),
	}
	return nil
}

func list(names []string) []string { return append([]string{}, names...) }

func (i *inspector) inKey() error {
	id, err := keyIDOf(i.out.Object)
	if err != nil {
		return err
	}
	wrap, err := i.describeWrap(i.out.Object, i.bytes)
	if err != nil {
		return err
	}
	_, err = i.keys.get(id)
	i.out.Opens = err == nil
	i.out.Wrapped = &InspectedKey{
		ID: id.String(), Recipients: wrap.Recipients, OpenedBy: wrap.OpenedBy, Current: id == i.keys.current(), Names: id == i.keys.first,
	}
	return nil
}

// inEvidence tells which records an object holds, which is in its name.
func (i *inspector) inEvidence() error {
	e, ok := parseEvidenceName(i.out.Object)
	if !ok {
		return errors.New("no evidence has such a name; it means nothing here")
	}
	i.out.Evidence = &InspectedRun{Log: e.Log, First: e.First, Last: e.First + uint64(e.Count) - 1}
	return i.wholeEvidence(i.out.Object, i.bytes)
}

// sealed notes which key an object is sealed with.
func (i *inspector) sealed(magic string) (*masterKey, [32]byte, error) {
	id, salt, err := parseHeader(magic, i.bytes)
	if err != nil {
		return nil, salt, err
	}
	i.out.SealedWith = id.String()
	key, err := i.keys.get(id)
	i.out.Opens = err == nil
	return key, salt, err
}

func (i *inspector) inPack() error {
	out := &InspectedPack{Chunks: []InspectedChunks{}, Snapshots: []InspectedNeed{}}
	i.out.Pack = out
	if err := i.needOf(out); err != nil {
		return err
	}
	key, salt, err := i.sealed(packMagic)
	if err != nil {
		return err
	}
	aead, err := key.sealer(purposePack, salt[:])
	if err != nil {
		return err
	}
	entries, err := openFooter(aead, key.repo, i.bytes, int64(len(i.bytes)))
	if err != nil {
		return err
	}
	byKind := map[Kind]*InspectedChunks{}
	for _, e := range entries {
		if byKind[e.Kind] == nil {
			byKind[e.Kind] = &InspectedChunks{Kind: e.Kind.String()}
		}
		c := byKind[e.Kind]
		c.Count, c.Raw, c.Stored = c.Count+1, c.Raw+int64(e.Raw), c.Stored+int64(e.Stored)
	}
	for _, kind := range slices.Sorted(maps.Keys(byKind)) {
		out.Chunks = append(out.Chunks, *byKind[kind])
	}
	return nil
}

// String is the kind's name in docs/format.md.
func (k Kind) String() string {
	switch k {
	case KindRows:
		return "rows"
	case KindBytes:
		return "bytes"
	case KindNode:
		return "node"
	case KindRowPart:
		return "row part"
	}
	return fmt.Sprintf("kind %d", byte(k))
}

// needOf tells who needs a pack.
func (i *inspector) needOf(out *InspectedPack) error {
	ids, err := i.catalog.Naming(i.out.Object)
	if err != nil {
		return err
	}
	for _, id := range ids {
		s, err := i.catalog.Snapshot(id)
		if errors.Is(err, catalog.ErrNotFound) {
			continue // it is being deleted
		}
		if err != nil {
			return err
		}
		out.Snapshots = append(out.Snapshots, InspectedNeed{Snapshot: s.ID, Function: s.Function, RecoveryPoint: s.RecoveryPoint.UTC()})
	}
	slices.SortFunc(out.Snapshots, func(a, b InspectedNeed) int { return b.RecoveryPoint.Compare(a.RecoveryPoint) })
	if out.Lost, err = i.catalog.Lost(i.out.Object); err != nil {
		return err
	}
	condemned, err := i.catalog.PackCondemned(i.out.Object)
	if condemned != nil {
		out.Condemned, out.Deleting = condemned.Since.UTC(), condemned.Deleting
	}
	return err
}

func (i *inspector) inCommit(ctx context.Context) error {
	if _, _, err := i.sealed(commitMagic); err != nil {
		return err
	}
	c, err := openCommitObject(i.keys, i.out.Object, i.bytes)
	if err != nil {
		return err
	}
	out := &InspectedCommit{Writer: c.Writer, Sequence: c.Sequence, Time: c.Time, Previous: c.Previous, Snapshots: []InspectedSnapshot{}}
	for _, s := range c.Snapshots {
		told, err := i.inSnapshot(ctx, s)
		if err != nil {
			return err
		}
		out.Snapshots = append(out.Snapshots, told)
	}
	i.out.Commit = out
	return nil
}

func (i *inspector) inSnapshot(ctx context.Context, s *Snapshot) (InspectedSnapshot, error) {
	out := InspectedSnapshot{
		Snapshot: s.ID, Function: s.Function, RecoveryPoint: s.RecoveryPoint, Started: s.Started, Ended: s.Ended, Engine: s.Engine,
		Tables: []InspectedTable{}, Streams: map[string]int64{}, Rows: s.Rows, BytesRaw: s.BytesRaw, Packs: len(s.Packs),
		Missing: map[string][]string{}, Unasked: map[string]string{},
	}
	for _, t := range s.Tables {
		out.Tables = append(out.Tables, InspectedTable{Name: t.Name, Rows: t.Rows, Bytes: t.Bytes, Digest: t.Digest})
	}
	for name, stream := range s.Streams {
		out.Streams[name] = stream.Bytes
	}
	for _, p := range s.Packs {
		out.PackBytes += p.Size
	}
	known, err := i.catalog.Snapshot(s.ID)
	if err == nil && known.Commit != i.out.Object {
		out.ReplacedBy = known.Commit
	}
	if err != nil && !errors.Is(err, catalog.ErrNotFound) {
		return out, err
	}
	for _, site := range i.sites {
		missing, err := missingPacks(ctx, site, s.Packs)
		if err != nil {
			out.Unasked[site.Name] = err.Error()
			continue
		}
		out.Missing[site.Name] = missing
	}
	return out, ctx.Err()
}

// listInstead is from how many packs on a site is listed rather than asked for
// each.
const listInstead = 200

// missingPacks returns the packs that a site does not hold in the right size.
func missingPacks(ctx context.Context, site Site, packs []PackRef) ([]string, error) {
	there := map[string]int64{}
	var mu sync.Mutex
	var err error
	if len(packs) >= listInstead {
		err = site.Store.List(ctx, "p/", "", func(info storage.Info) error {
			there[info.Name] = info.Size
			return nil
		})
	} else {
		group, groupCtx := errgroup.WithContext(ctx)
		group.SetLimit(2 * checkParallel)
		for _, p := range packs {
			group.Go(func() error {
				info, err := site.Store.Stat(groupCtx, catalog.PackName(p.SHA256))
				if errors.Is(err, storage.ErrNotFound) {
					return nil
				}
				mu.Lock()
				defer mu.Unlock()
				there[catalog.PackName(p.SHA256)] = info.Size
				return err
			})
		}
		err = group.Wait()
	}
	missing := []string{}
	for _, p := range packs {
		name := catalog.PackName(p.SHA256)
		if size, ok := there[name]; !ok || size != p.Size {
			missing = append(missing, name)
		}
	}
	return missing, err
}

func (i *inspector) inMark() error {
	if _, _, err := i.sealed(markMagic); err != nil {
		return err
	}
	m, err := openMark(i.keys, i.out.Object, i.bytes)
	if err != nil {
		return err
	}
	out := &InspectedMark{Writer: m.Writer, Sequence: m.Sequence, Time: m.Time, Key: m.Key}
	if m.Hold != nil {
		out.Hold, out.Reason, out.Cleared = m.Hold.Snapshot, m.Hold.Reason, m.Hold.Cleared
	}
	if m.Condemn != nil {
		out.Snapshots, out.Commits = m.Condemn.Snapshots, m.Condemn.Commits
		for _, sha := range m.Condemn.Packs {
			out.Packs = append(out.Packs, catalog.PackName(sha))
		}
	}
	i.out.Mark = out
	return nil
}
