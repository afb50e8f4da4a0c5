package soak

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"time"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"

	"github.com/saypro/backupd/internal/storage"
)

// reader reads a repository from one site as docs/format.md tells, with
// nothing but an identity. It trusts no listing but for the names of commits,
// and no byte that it has not compared.
type reader struct {
	store    storage.Store
	identity age.Identity
	repo     []byte            // id of the repository
	first    string            // id of the key that names chunks
	keys     map[string][]byte // repository keys by id
	idKey    []byte            // names chunks
	zstd     *zstd.Decoder
	packs    map[string]*openPack // a bounded number of those read last
	order    []string             // their names, oldest first
}

// What a commit says, as far as it matters here.
type (
	commitText struct {
		Format    int            `json:"format"`
		Writer    string         `json:"writer"`
		Sequence  uint64         `json:"sequence"`
		Snapshots []snapshotText `json:"snapshots"`
	}
	snapshotText struct {
		ID            string                `json:"snapshot"`
		Function      string                `json:"function"`
		RecoveryPoint time.Time             `json:"recovery_point"`
		Tables        []tableText           `json:"tables"`
		Streams       map[string]streamText `json:"streams"`
		Packs         []packText            `json:"packs"`
	}
	tableText struct {
		Name string     `json:"name"`
		Rows int64      `json:"rows"`
		Data streamText `json:"data"`
	}
	markText struct {
		Condemn struct {
			Snapshots map[string]string `json:"snapshots"`
			Commits   []string          `json:"commits"`
		} `json:"condemn"`
	}
	streamText struct {
		Kind  byte   `json:"kind"`
		Root  string `json:"root"`
		Bytes int64  `json:"bytes"`
	}
	packText struct {
		SHA256 string `json:"sha256"`
		Size   int64  `json:"size"`
	}
)

const (
	headBytes  = 48 // magic, key id, salt
	kindNode   = 3
	packsKept  = 300
	footerKind = 0xff
	commitKind = 0xfe
	markKind   = 0xfd
)

// openReader reads what a repository is and unwraps its key.
func openReader(ctx context.Context, store storage.Store, identity age.Identity) (*reader, error) {
	r := &reader{store: store, identity: identity, keys: map[string][]byte{}, packs: map[string]*openPack{}}
	var conf struct {
		Format     int    `json:"format"`
		Repository string `json:"repository"`
		Key        string `json:"key"`
	}
	text, err := r.get(ctx, "repo.json")
	if err == nil {
		err = json.Unmarshal(text, &conf)
	}
	if err == nil && conf.Format != 1 {
		err = fmt.Errorf("repo.json: format %d", conf.Format)
	}
	if err != nil {
		return nil, err
	}
	r.first = conf.Key
	if r.repo, err = hex.DecodeString(conf.Repository); err != nil {
		return nil, err
	}
	if err := r.readKeys(ctx); err != nil {
		return nil, err
	}
	if r.idKey, err = r.derive(r.first, "backupd/1 chunk id", nil, 32); err != nil {
		return nil, err
	}
	r.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	return r, err
}

func (r *reader) get(ctx context.Context, name string) ([]byte, error) {
	body, err := r.store.Get(ctx, name, 0, -1)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(body)
	return b, errors.Join(err, body.Close())
}

func (r *reader) derive(key, purpose string, salt []byte, n int) ([]byte, error) {
	secret := r.keys[key]
	if secret == nil {
		return nil, fmt.Errorf("there is no key %s", key)
	}
	return hkdf.Key(sha256.New, secret, append(bytes.Clone(r.repo), salt...), purpose, n)
}

// sealer returns what opens the sealed parts of an object with that head.
func (r *reader) sealer(ctx context.Context, object []byte, magic, purpose string) (cipher.AEAD, error) {
	if len(object) < headBytes || string(object[:8]) != magic {
		return nil, fmt.Errorf("it does not begin with %s", magic)
	}
	id := hex.EncodeToString(object[8:16])
	if r.keys[id] == nil { // it is a new one
		if err := r.readKeys(ctx); err != nil {
			return nil, err
		}
	}
	key, err := r.derive(id, purpose, object[16:headBytes], 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// open decrypts what lies at an offset of its object.
func (r *reader) open(aead cipher.AEAD, offset int, sealed []byte, kind byte, name []byte) ([]byte, error) {
	nonce := binary.BigEndian.AppendUint64(make([]byte, 4, 12), uint64(offset))
	data := append(append(bytes.Clone(r.repo), kind), name...)
	return aead.Open(nil, nonce, sealed, data)
}

// names lists all commits, or marks, in their order.
func (r *reader) names(ctx context.Context, prefix string) ([]string, error) {
	var names []string
	err := r.store.List(ctx, prefix, "", func(info storage.Info) error {
		names = append(names, info.Name)
		return nil
	})
	return names, err
}

var evidenceName = regexp.MustCompile(`^v/[0-9a-f]{8}/[0-9]{12}-[1-9][0-9]*$`)

// evidence makes sure that what lies below the prefix of evidence is named and
// sized as evidence is. What it says is for another reader.
func (r *reader) evidence(ctx context.Context) error {
	return r.store.List(ctx, "v/", "", func(info storage.Info) error {
		if !evidenceName.MatchString(info.Name) || info.Size == 0 || info.Size > 64<<20 {
			return fmt.Errorf("%s, %d bytes: it is no evidence", info.Name, info.Size)
		}
		return nil
	})
}

func (r *reader) commit(ctx context.Context, name string) (*commitText, error) {
	var c commitText
	return &c, r.document(ctx, name, "BKDCMIT1", "backupd/1 commit", commitKind, &c)
}

func (r *reader) mark(ctx context.Context, name string) (*markText, error) {
	var m markText
	return &m, r.document(ctx, name, "BKDMARK1", "backupd/1 mark", markKind, &m)
}

// document reads a sealed JSON document.
func (r *reader) document(ctx context.Context, name, magic, purpose string, kind byte, into any) error {
	object, err := r.get(ctx, name)
	if err != nil {
		return err
	}
	aead, err := r.sealer(ctx, object, magic, purpose)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	packed, err := r.open(aead, headBytes, object[headBytes:], kind, []byte(name))
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	text, err := r.zstd.DecodeAll(packed, nil)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return json.Unmarshal(text, into)
}

// openPack is a pack that was read and compared with its name.
type openPack struct {
	bytes []byte
	aead  cipher.AEAD
	at    map[string]sealedChunk
}

type sealedChunk struct {
	kind                byte
	offset, stored, raw int
}

func (r *reader) pack(ctx context.Context, ref packText) (*openPack, error) {
	if p := r.packs[ref.SHA256]; p != nil {
		return p, nil
	}
	name := "p/" + ref.SHA256[:2] + "/" + ref.SHA256
	b, err := r.get(ctx, name)
	if err != nil {
		return nil, err
	}
	if digest := sha256.Sum256(b); int64(len(b)) != ref.Size || hex.EncodeToString(digest[:]) != ref.SHA256 {
		return nil, fmt.Errorf("%s: its %d bytes are not those that its commit names", name, len(b))
	}
	p := &openPack{bytes: b, at: map[string]sealedChunk{}}
	if p.aead, err = r.sealer(ctx, b, "BKDPACK1", "backupd/1 pack"); err == nil {
		err = r.readFooter(p)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	r.packs[ref.SHA256] = p
	if r.order = append(r.order, ref.SHA256); len(r.order) > packsKept {
		delete(r.packs, r.order[0])
		r.order = r.order[1:]
	}
	return p, nil
}

func (r *reader) readFooter(p *openPack) error {
	end := len(p.bytes) - 12
	if end < headBytes || string(p.bytes[end+4:]) != "BKDPEND1" {
		return errors.New("it does not end as a pack does")
	}
	begin := end - int(binary.BigEndian.Uint32(p.bytes[end:]))
	if begin < headBytes {
		return errors.New("its footer does not fit")
	}
	footer, err := r.open(p.aead, begin, p.bytes[begin:end], footerKind, nil)
	if err != nil {
		return err
	}
	in := bytes.NewReader(footer)
	number := func() int {
		n, e := binary.ReadUvarint(in)
		err = errors.Join(err, e)
		return int(n)
	}
	at := headBytes
	for range number() {
		head := make([]byte, 33)
		if _, e := io.ReadFull(in, head); e != nil {
			return e
		}
		c := sealedChunk{kind: head[0], offset: at, stored: number(), raw: number()}
		p.at[hex.EncodeToString(head[1:])] = c
		at += c.stored
	}
	if at != begin || in.Len() != 0 {
		return errors.New("its footer does not tell of all that is in it")
	}
	return err
}

// chunk returns the content of a chunk out of the packs that a snapshot names.
func (r *reader) chunk(packs []*openPack, kind byte, id string) ([]byte, error) {
	name, err := hex.DecodeString(id)
	if err != nil {
		return nil, err
	}
	for _, p := range packs {
		c, ok := p.at[id]
		if !ok || c.kind != kind {
			continue
		}
		plain, err := r.open(p.aead, c.offset, p.bytes[c.offset:c.offset+c.stored], kind, name)
		if err != nil {
			return nil, fmt.Errorf("chunk %s: %w", id, err)
		}
		content := plain[1:]
		if plain[0] == 1 {
			if content, err = r.zstd.DecodeAll(content, nil); err != nil {
				return nil, fmt.Errorf("chunk %s: %w", id, err)
			}
		}
		mac := hmac.New(sha256.New, r.idKey)
		mac.Write(append([]byte{kind}, content...))
		if len(content) != c.raw || !bytes.Equal(mac.Sum(nil), name) {
			return nil, fmt.Errorf("chunk %s is not the one that its name says", id)
		}
		return content, nil
	}
	return nil, fmt.Errorf("chunk %s of kind %d is in none of the packs that the commit names", id, kind)
}

// stream returns all bytes of a stream.
func (r *reader) stream(packs []*openPack, s streamText) ([]byte, error) {
	if s.Kind == 0 {
		return nil, nil
	}
	out, err := r.walk(packs, nil, s.Kind, s.Root)
	if err == nil && int64(len(out)) != s.Bytes {
		err = fmt.Errorf("a stream has %d bytes, the commit says %d", len(out), s.Bytes)
	}
	return out, err
}

func (r *reader) walk(packs []*openPack, out []byte, kind byte, id string) ([]byte, error) {
	content, err := r.chunk(packs, kind, id)
	if err != nil || kind != kindNode {
		return append(out, content...), err
	}
	in := bytes.NewReader(content)
	for in.Len() > 0 {
		head := make([]byte, 33)
		_, err := io.ReadFull(in, head)
		for range 2 { // bytes and rows, which its own content tells too
			if err == nil {
				_, err = binary.ReadUvarint(in)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("node %s: %w", id, err)
		}
		if out, err = r.walk(packs, out, head[0], hex.EncodeToString(head[1:])); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// contents returns the rows of each table of a snapshot, by name, after it has
// read every stream of it.
func (r *reader) contents(ctx context.Context, s *snapshotText) (map[string][]byte, error) {
	packs := make([]*openPack, len(s.Packs))
	for i, ref := range s.Packs {
		var err error
		if packs[i], err = r.pack(ctx, ref); err != nil {
			return nil, err
		}
	}
	for name, stream := range s.Streams {
		if _, err := r.stream(packs, stream); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	out := map[string][]byte{}
	for _, t := range s.Tables {
		rows, err := r.stream(packs, t.Data)
		if err != nil {
			return nil, fmt.Errorf("table %s: %w", t.Name, err)
		}
		if n := bytes.Count(rows, []byte{'\n'}); int64(n) != t.Rows {
			return nil, fmt.Errorf("table %s: %d rows, the commit says %d", t.Name, n, t.Rows)
		}
		out[t.Name] = rows
	}
	return out, nil
}

// forget makes it read everything again.
func (r *reader) forget() { r.packs, r.order = map[string]*openPack{}, nil }
