package repository

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"filippo.io/age"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/storage"
)

// config is the content of repo.json.
type config struct {
	Format     int       `json:"format"`
	Repository string    `json:"repository"`
	Created    time.Time `json:"created"`
	Key        string    `json:"key"` // id of the key that names chunks
	Chunking   chunking  `json:"chunking"`
	RowHash    string    `json:"row_hash"`
	Features   features  `json:"features"`
}

type chunking struct {
	Algorithm string `json:"algorithm"`
	Min       int    `json:"min"`
	Spacing   int    `json:"spacing"`
	Max       int    `json:"max"`
	RowPart   int    `json:"row_part"`
}

// features lists what a program must know before it may read, write, delete
// from or check the repository.
type features struct {
	Read   []string `json:"read"`
	Write  []string `json:"write"`
	Delete []string `json:"delete"`
	Check  []string `json:"check"`
}

// thisRowHash names the hash of rows that digests of tables are made of.
const thisRowHash = "xxh3-128"

var thisChunking = chunking{Algorithm: "row-threshold-1", Min: minChunk, Spacing: cutSpacing, Max: maxChunk, RowPart: maxRowPart}

// newConfig makes a repository with a key that is wrapped for the recipients.
func newConfig(now time.Time, recipients []age.Recipient) (is identity, err error) {
	if len(recipients) < 2 {
		return is, errors.New("repository: a key needs at least two recipients, the daemon and the escrow; " +
			"with one, a lost file would be the loss of every backup")
	}
	var repo [16]byte
	if _, err := rand.Read(repo[:]); err != nil {
		return is, err
	}
	key, err := randomKey(repo)
	if err != nil {
		return is, err
	}
	wrapped, err := key.wrap(recipients)
	if err != nil {
		return is, err
	}
	conf, err := json.MarshalIndent(config{
		Format: Format, Repository: hex.EncodeToString(repo[:]), Created: now.UTC().Truncate(time.Second),
		Key: key.id.String(), Chunking: thisChunking, RowHash: thisRowHash,
		Features: features{Read: []string{}, Write: []string{}, Delete: []string{}, Check: []string{}},
	}, "", "  ")
	is.config, is.wrapped = append(conf, '\n'), map[string][]byte{keyName(key.id.String()): wrapped}
	return is, err
}

// parseConfig reads repo.json, and refuses one that a program must know more for
// to read what the repository holds.
func parseConfig(b []byte) (*config, error) {
	// Of another format, or with unknown features, nothing is known but where
	// these stand.
	var head struct {
		Format   *int     `json:"format"`
		Features features `json:"features"`
	}
	if err := json.Unmarshal(b, &head); err != nil {
		return nil, fmt.Errorf("%s: %w: %w", configName, ErrCorrupt, err)
	}
	if head.Format == nil {
		return nil, fmt.Errorf("%s: %w: it names no format", configName, ErrCorrupt)
	}
	if *head.Format != Format {
		return nil, fmt.Errorf("%s: %w: format %d, this release reads %d; use a newer backupd", configName, ErrFormat, *head.Format, Format)
	}
	if err := refuseUnknown(head.Features.Read, "read"); err != nil {
		return nil, err
	}
	var c config
	if err := json.Unmarshal(b, &c); err != nil {
		return nil, fmt.Errorf("%s: %w: %w", configName, ErrCorrupt, err)
	}
	if c.Chunking != thisChunking || c.RowHash != thisRowHash {
		return nil, fmt.Errorf("%s: %w: chunking %+v, row hash %q", configName, ErrFormat, c.Chunking, c.RowHash)
	}
	if _, err := c.id(); err != nil {
		return nil, err
	}
	if _, err := parseKeyID(c.Key); err != nil {
		return nil, fmt.Errorf("%s: %w", configName, err)
	}
	return &c, nil
}

// id returns the repository's id.
func (c *config) id() (id [16]byte, err error) {
	b, err := hex.DecodeString(c.Repository)
	if err != nil || len(b) != len(id) {
		return id, fmt.Errorf("%s: %w: repository id %q", configName, ErrCorrupt, c.Repository)
	}
	copy(id[:], b)
	return id, nil
}

// refuseUnknown refuses what this release cannot do without harm: needed is what
// a program must know for it.
func refuseUnknown(needed []string, do string) error {
	if len(needed) > 0 {
		return fmt.Errorf("%s: %w: to %s the repository a program must know %q; use a newer backupd", configName, ErrFormat, do, needed)
	}
	return nil
}

// mayWrite refuses to add anything to a repository in which this release does
// not know what must be added with it.
func (r *Repository) mayWrite() error { return refuseUnknown(r.features.Write, "write to") }

// mayDelete refuses to delete where this release does not know what else may
// need an object.
func (r *Repository) mayDelete() error { return refuseUnknown(r.features.Delete, "delete from") }

// mayCheck refuses to say that a copy is whole, or that it is not, where this
// release does not know all that belongs to it.
func (r *Repository) mayCheck() error { return refuseUnknown(r.features.Check, "check") }

// identity is what tells a repository and opens it.
type identity struct {
	config  []byte            // repo.json
	wrapped map[string][]byte // keys by the names of their objects
}

// findConfig returns repo.json and the wrapped keys as the catalog or the first
// site that has them tells.
func findConfig(ctx context.Context, o Options) (identity, error) {
	is, err := rememberedConfig(o.Catalog)
	if !errors.Is(err, catalog.ErrNotFound) {
		return is, err
	}
	var none, unknown []error
	for _, site := range o.Sites {
		is, err := siteConfig(ctx, site)
		switch {
		case err == nil:
			return is, nil
		case errors.Is(err, ErrNoRepository):
			none = append(none, err)
		default:
			unknown = append(unknown, err)
		}
	}
	if len(unknown) > 0 {
		// It may be where we cannot look, so nobody may take it for missing.
		return identity{}, errors.Join(unknown...)
	}
	return identity{}, errors.Join(none...)
}

// rememberedConfig returns what the catalog knows, or an error that matches
// [catalog.ErrNotFound].
func rememberedConfig(cat *catalog.Catalog) (is identity, err error) {
	if is.config, err = cat.Meta(metaConfig); err != nil {
		return is, err
	}
	if is.wrapped, err = cat.WrappedKeys(); err != nil || len(is.wrapped) > 0 {
		return is, err
	}
	// An earlier release remembered one key, apart.
	c, err := parseConfig(is.config)
	if err != nil {
		return is, err
	}
	first, err := cat.Meta(metaKey)
	if err != nil {
		return is, err
	}
	is.wrapped = map[string][]byte{keyName(c.Key): first}
	return is, nil
}

// siteConfig returns what a site says.
func siteConfig(ctx context.Context, site Site) (is identity, err error) {
	is.config, err = readObject(ctx, site, configName, maxSmall)
	if errors.Is(err, storage.ErrNotFound) {
		return is, &ObjectError{site.Name, configName, fmt.Errorf("%w; run 'backupd init'", ErrNoRepository)}
	}
	if err != nil {
		return is, err
	}
	c, err := parseConfig(is.config)
	if err != nil {
		return is, fmt.Errorf("site %s: %w", site.Name, err)
	}
	is.wrapped, err = readKeys(ctx, site, c.Key)
	return is, err
}

// remember keeps in the catalog what opens the repository; repo.json comes
// last, because it says that the rest is there.
func remember(cat *catalog.Catalog, c *config, is identity) error {
	for name, wrapped := range is.wrapped {
		if _, err := countRecipients(wrapped); err != nil {
			continue // somebody put it there; it opens nothing
		}
		if err := cat.AddKey(name, wrapped); err != nil {
			return err
		}
	}
	if first := is.wrapped[keyName(c.Key)]; first != nil {
		if err := cat.SetMeta(metaKey, first); err != nil {
			return err
		}
	}
	return cat.SetMeta(metaConfig, is.config)
}

// Look checks that a site holds a repository that one of the identities opens,
// and returns for how many recipients the key is wrapped that is for the fewest.
func Look(ctx context.Context, site Site, identities []age.Identity) (recipients int, err error) {
	is, err := siteConfig(ctx, site)
	if err != nil {
		return 0, err
	}
	ring, _, err := openAll(is, identities)
	if err != nil {
		return 0, fmt.Errorf("site %s: %w", site.Name, err)
	}
	for i, key := range ring.all() {
		if n := recipientsOf(is.wrapped, key.id); i == 0 || n < recipients {
			recipients = n
		}
	}
	return recipients, nil
}
