package repository

import (
	"bytes"
	"fmt"

	"github.com/klauspost/compress/zstd"
	"pgregory.net/rapid"

	"github.com/saypro/backupd/internal/catalog"
)

// oracle reads snapshots as docs/format.md tells, from nothing but the bytes of
// a site, without a catalog and without the product's own reader.
type oracle struct {
	keys    *keyring
	repo    [16]byte
	decoder *zstd.Decoder
	commits map[string]*commit
	packs   map[string]map[ChunkID][]byte
	right   map[string]bool // commits whose content was compared with what was written
}

func newOracle(t rapid.TB, keys *keyring, repo [16]byte) *oracle {
	t.Helper()
	d, err := newDecoder()
	if err != nil {
		t.Fatal(err)
	}
	return &oracle{keys: keys, repo: repo, decoder: d, commits: map[string]*commit{}, packs: map[string]map[ChunkID][]byte{}, right: map[string]bool{}}
}

// commit opens the right bytes of a commit.
func (o *oracle) commit(t rapid.TB, name string, object []byte) *commit {
	t.Helper()
	if c, ok := o.commits[name]; ok {
		return c
	}
	c, err := openCommitObject(o.keys, name, object)
	if err != nil {
		t.Fatalf("commit %s: %v", name, err)
	}
	o.commits[name] = c
	return c
}

// pack opens the right bytes of a pack.
func (o *oracle) pack(name string, object []byte) (map[ChunkID][]byte, error) {
	if p, ok := o.packs[name]; ok {
		return p, nil
	}
	id, salt, err := parseHeader(packMagic, object)
	if err != nil {
		return nil, err
	}
	key, err := o.keys.get(id)
	if err != nil {
		return nil, err
	}
	aead, err := key.sealer(purposePack, salt[:])
	if err != nil {
		return nil, err
	}
	entries, err := openFooter(aead, o.repo, object, int64(len(object)))
	if err != nil {
		return nil, err
	}
	out := map[ChunkID][]byte{}
	at := int64(headerSize)
	for _, e := range entries {
		encoded, err := aead.Open(nil, sealNonce(at), object[at:at+int64(e.Stored)], additional(o.repo, byte(e.Kind), e.ID[:]))
		if err != nil {
			return nil, err
		}
		if out[e.ID], err = decode(o.decoder, nil, encoded, e.Raw); err != nil {
			return nil, err
		}
		at += int64(e.Stored)
	}
	o.packs[name] = out
	return out, nil
}

// restores compares what a site holds of a snapshot with what was written. All
// packs that it names are known to be right there.
func (o *oracle) restores(s *Snapshot, want map[string][]byte, read func(name string) ([]byte, error)) error {
	var packs []map[ChunkID][]byte
	for _, ref := range s.Packs {
		name := catalog.PackName(ref.SHA256)
		object, err := read(name)
		if err != nil {
			return err
		}
		p, err := o.pack(name, object)
		if err != nil {
			return fmt.Errorf("pack %s: %w", name, err)
		}
		packs = append(packs, p)
	}
	if len(s.Tables) != len(want) {
		return fmt.Errorf("%d tables instead of %d", len(s.Tables), len(want))
	}
	for _, table := range s.Tables {
		var got bytes.Buffer
		if err := o.stream(packs, Ref{Kind: table.Data.Kind, ID: table.Data.Root}, &got); err != nil {
			return fmt.Errorf("table %s: %w", table.Name, err)
		}
		if !bytes.Equal(got.Bytes(), want[table.Name]) {
			return fmt.Errorf("table %s: %d bytes instead of %d, or others", table.Name, got.Len(), len(want[table.Name]))
		}
	}
	return nil
}

func (o *oracle) stream(packs []map[ChunkID][]byte, ref Ref, to *bytes.Buffer) error {
	if ref.Kind == 0 {
		return nil
	}
	for _, p := range packs {
		content, ok := p[ref.ID]
		if !ok {
			continue
		}
		if ref.Kind != KindNode {
			to.Write(content)
			return nil
		}
		children, err := parseNode(content)
		if err != nil {
			return err
		}
		for _, child := range children {
			if err := o.stream(packs, child, to); err != nil {
				return err
			}
		}
		return nil
	}
	return fmt.Errorf("no pack that the commit names holds chunk %s", ref.ID)
}
