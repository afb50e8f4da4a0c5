package repository

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/storage"
)

// Kinds of objects besides those of the catalog.
const (
	KindOfConfig = "repository" // repo.json
	KindUnknown  = "unknown"
)

// Inspection is what there is to say of one object, for a person with a
// problem. It holds no secret and nothing of anybody's rows.
type Inspection struct {
	Object string `json:"object"`
	// Kind is "pack", "commit", "mark", "key", "evidence", "repository" or
	// "unknown".
	Kind string `json:"kind"`
	// Known is whether the catalog knows it. Size and SHA256 are what it must
	// have; of one that is not known they are missing.
	Known  bool   `json:"known"`
	Size   int64  `json:"size,omitempty"`
	SHA256 string `json:"sha256,omitempty"`
	// Sites are its copies.
	Sites map[string]InspectedCopy `json:"sites"`
	// From is the site whose bytes the rest was read from; empty when none has
	// bytes to read.
	From string `json:"from,omitempty"`
	// SealedWith is the id of the key that it is sealed with, Opens whether an
	// identity here opens that.
	SealedWith string `json:"sealed_with,omitempty"`
	Opens      bool   `json:"opens"`
	// Problem says why there is no more to tell.
	Problem string `json:"problem,omitempty"`

	Pack       *InspectedPack   `json:"pack,omitempty"`
	Commit     *InspectedCommit `json:"commit,omitempty"`
	Mark       *InspectedMark   `json:"mark,omitempty"`
	Evidence   *InspectedRun    `json:"evidence,omitempty"`
	Wrapped    *InspectedKey    `json:"wrapped_key,omitempty"`
	Repository *InspectedConfig `json:"repository,omitempty"`
}

// States of a copy that was inspected.
const (
	CopyRight       = "right"       // its bytes are those that they must be
	CopyWrong       = "wrong"       // they are others
	CopyMissing     = "missing"     // it is not there
	CopyUnreachable = "unreachable" // the site could not be asked
	CopyUnjudged    = "unjudged"    // it is there, and nobody knows what it must be
)

// InspectedCopy is what one site has of an object.
type InspectedCopy struct {
	State string `json:"state"`
	// Size and SHA256 are of the bytes that are there.
	Size   int64  `json:"size,omitempty"`
	SHA256 string `json:"sha256,omitempty"`
	// Waiting: it waits to be sent there.
	Waiting bool `json:"waiting"`
	// Fault is what was known to be wrong before anybody looked now.
	Fault string `json:"fault,omitempty"`
	// Read is when its bytes were last known to be right, LockedUntil until
	// when the site refuses to delete it.
	Read        time.Time `json:"read,omitzero"`
	LockedUntil time.Time `json:"locked_until,omitzero"`
	// Error says why the site could not be asked.
	Error string `json:"error,omitempty"`
}

// Good is whether the copy is as it must be, or on its way.
func (c *InspectedCopy) Good() bool {
	return c.State == CopyRight || c.State == CopyUnjudged || c.State == CopyMissing && c.Waiting && c.Fault == ""
}

// ErrAmbiguous means that the beginning of a name fits several objects.
var ErrAmbiguous = errors.New("it fits several objects")

// Inspect tells what an object is and how its copies are at the sites, at all
// of them when none is named. The object is given by its name, by the beginning
// of a pack's digest, or by the id of a snapshot or the beginning of it. The
// error matches [catalog.ErrNotFound] when nothing is so called, and
// [ErrAmbiguous].
func (r *Repository) Inspect(ctx context.Context, object string, sites []string) (*Inspection, error) {
	chosen, err := r.choose(sites)
	if err != nil {
		return nil, err
	}
	name, err := r.objectNamed(ctx, object, chosen)
	if err != nil {
		return nil, err
	}
	i := &inspector{Repository: r, sites: chosen, out: &Inspection{Object: name, Kind: kindOf(name), Sites: map[string]InspectedCopy{}}}
	if err := i.expect(); err != nil {
		return nil, err
	}
	if err := i.readCopies(ctx); err != nil {
		return nil, err
	}
	if i.out.From != "" {
		if err := i.content(ctx); err != nil {
			i.out.Problem = err.Error()
		}
	}
	return i.out, ctx.Err()
}

// fewestDigits is how much of a digest or an id must be given.
const fewestDigits = 4

// objectNamed returns the name of the object that a person means.
func (r *Repository) objectNamed(ctx context.Context, object string, sites []Site) (string, error) {
	if object == configName || strings.Contains(object, "/") {
		return object, nil
	}
	if len(object) < fewestDigits {
		return "", fmt.Errorf("%q: at least %d digits tell an object from others: %w", object, fewestDigits, catalog.ErrNotFound)
	}
	found, err := r.catalog.PacksStarting(object, 3)
	if err != nil {
		return "", err
	}
	s, err := r.catalog.Snapshot(object)
	if err == nil {
		found = append(found, s.Commit)
	} else if !errors.Is(err, catalog.ErrNotFound) {
		return "", err
	}
	if len(found) == 0 {
		if found, err = packsAt(ctx, sites, object); err != nil {
			return "", err
		}
	}
	switch len(found) {
	case 0:
		return "", fmt.Errorf("%s: neither an object nor the beginning of a pack's digest or of a snapshot's id: %w", object, catalog.ErrNotFound)
	case 1:
		return found[0], nil
	}
	return "", fmt.Errorf("%s: %w: %s", object, ErrAmbiguous, strings.Join(found, ", "))
}

// packsAt looks at the sites for packs that the catalog does not know.
func packsAt(ctx context.Context, sites []Site, digits string) (found []string, err error) {
	if _, err := hex.DecodeString(digits[:len(digits)&^1]); err != nil {
		return nil, nil //nolint:nilerr // it is no digest
	}
	var failed []error
	for _, site := range sites {
		err := site.Store.List(ctx, "p/"+digits[:2]+"/", "", func(info storage.Info) error {
			if strings.HasPrefix(info.Name, "p/"+digits[:2]+"/"+digits) && !slices.Contains(found, info.Name) {
				found = append(found, info.Name)
			}
			return nil
		})
		failed = append(failed, err)
	}
	if len(found) == 0 {
		return nil, errors.Join(failed...)
	}
	return found, nil
}

func kindOf(name string) string {
	_, keyErr := keyIDOf(name)
	switch {
	case name == configName:
		return KindOfConfig
	case keyErr == nil:
		return catalog.KindKey
	case strings.HasPrefix(name, "p/"):
		return catalog.KindPack
	case strings.HasPrefix(name, "c/"):
		return catalog.KindCommit
	case strings.HasPrefix(name, "g/"):
		return catalog.KindMark
	case strings.HasPrefix(name, evidencePrefix):
		return catalog.KindEvidence
	}
	return KindUnknown
}

// inspector looks at one object.
type inspector struct {
	*Repository
	sites []Site
	must  *[32]byte // digest that the object must have; nil: not known
	bytes []byte    // of the copy that From names
	out   *Inspection
}

// expect finds out what the object must be.
func (i *inspector) expect() error {
	e, known, err := i.catalog.Entry(i.out.Object)
	if err != nil {
		return err
	}
	switch {
	case i.out.Kind == KindOfConfig:
		e, known = catalog.Entry{Size: int64(len(i.config)), SHA256: sum(i.config)}, true
	case !known && i.out.Kind == catalog.KindPack:
		// Its name says what it must be, whoever knows it.
		b, err := hex.DecodeString(i.out.Object[strings.LastIndexByte(i.out.Object, '/')+1:])
		if err == nil && len(b) == 32 {
			i.must = (*[32]byte)(b)
			i.out.SHA256 = hex.EncodeToString(b)
		}
	}
	if known {
		i.out.Known, i.out.Size, i.out.SHA256, i.must = true, e.Size, hex.EncodeToString(e.SHA256[:]), &e.SHA256
	}
	return nil
}

// readCopies reads the object at every site, one after the other: it may be
// large. What is told of its content is from a copy that is right, if there is
// one.
func (i *inspector) readCopies(ctx context.Context) error {
	rank := map[string]int{CopyRight: 3, CopyUnjudged: 2, CopyWrong: 1}
	best := 0
	for _, site := range i.sites {
		c, content, err := i.readCopy(ctx, site)
		if err != nil {
			return err
		}
		i.out.Sites[site.Name] = c
		if rank[c.State] > best {
			best, i.out.From, i.bytes = rank[c.State], site.Name, content
		}
	}
	return nil
}

func (i *inspector) readCopy(ctx context.Context, site Site) (c InspectedCopy, content []byte, err error) {
	if c.Waiting, err = i.catalog.Waits(site.Name, i.out.Object); err != nil {
		return c, nil, err
	}
	fault, _, err := i.catalog.FaultAt(site.Name, i.out.Object)
	if err != nil {
		return c, nil, err
	}
	known, err := i.catalog.CopyAt(site.Name, i.out.Object)
	if err != nil {
		return c, nil, err
	}
	c.Fault, c.Read, c.LockedUntil = fault.Detail, known.Read, known.Locked
	most := int64(maxPack)
	if i.out.Kind == catalog.KindCommit {
		most = maxCommit
	}
	content, err = readObject(ctx, site, i.out.Object, most)
	switch {
	case errors.Is(err, storage.ErrNotFound):
		c.State = CopyMissing
		return c, nil, nil
	case err != nil:
		c.State, c.Error = CopyUnreachable, err.Error()
		return c, nil, nil //nolint:nilerr // it is told
	}
	digest := sum(content)
	c.State, c.Size, c.SHA256 = CopyUnjudged, int64(len(content)), hex.EncodeToString(digest[:])
	if i.must != nil {
		c.State = CopyWrong
		if digest == *i.must {
			c.State = CopyRight
		}
	}
	return c, content, nil
}
