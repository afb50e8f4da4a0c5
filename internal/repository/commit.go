package repository

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/saypro/backupd/internal/suspicion"
)

// Snapshot is a recovery point as its commit tells it: what is in it and which
// objects it is made of.
type Snapshot struct {
	ID       string `json:"snapshot"`
	Function string `json:"function"`
	// RecoveryPoint is the consistency point in the database, never later
	// than the data.
	RecoveryPoint time.Time `json:"recovery_point"`
	Started       time.Time `json:"started"`
	Ended         time.Time `json:"ended"`

	// Engine says what kind of source this came from ("postgres"), and Source
	// what that engine tells of the consistency point.
	Engine string          `json:"engine"`
	Source json.RawMessage `json:"source"`
	// Scope is what of the source belonged to the function.
	Scope json.RawMessage `json:"scope,omitempty"`

	Tables []Table `json:"tables"`
	// Streams are everything that is not rows, by name: "schema", "globals", …
	Streams map[string]Stream `json:"streams"`

	Rows        int64 `json:"rows"`
	BytesRaw    int64 `json:"bytes_raw"`    // of all streams
	BytesNew    int64 `json:"bytes_new"`    // of chunks that no earlier pack held
	BytesStored int64 `json:"bytes_stored"` // of the packs that this snapshot added, sealed

	// Suspect says what looked wrong in it, compared with the recovery point
	// before; empty when nothing did.
	Suspect []suspicion.Signal `json:"suspect,omitempty"`

	// Packs are all packs that the snapshot needs, sorted by their digests.
	Packs []PackRef `json:"packs"`

	// Observed is what the function's own checks answered under the snapshot.
	Observed []Observed `json:"observed,omitempty"`
}

// structureStream is the stream that holds every object with its definition.
const structureStream = "structure"

// schema stands for what that stream holds: its root is a digest of it.
func (s *Snapshot) schema() string {
	if stream, ok := s.Streams[structureStream]; ok && stream.Kind != 0 {
		return stream.Root.String()
	}
	return ""
}

// Observed is what one of the function's own checks answered in the source,
// under the very view of the data that the snapshot holds.
type Observed struct {
	Name string `json:"name"`
	// Definition is the SHA-256 of the query, 64 hexadecimal digits.
	Definition string `json:"definition"`
	// Value is the answer as text. Error says why there is none; the snapshot
	// is whole all the same.
	Value string `json:"value"`
	Error string `json:"error,omitempty"`
}

// Table is the content of one table.
type Table struct {
	Name    string          `json:"name"` // as the engine writes it, schema included
	Engine  json.RawMessage `json:"engine"`
	Rows    int64           `json:"rows"`
	Bytes   int64           `json:"bytes"`
	Digest  string          `json:"digest"`
	Data    Stream          `json:"data"`
	Comment string          `json:"comment,omitempty"`
}

// Stream is a sequence of bytes kept as chunks.
type Stream struct {
	Kind   Kind    `json:"kind"` // of the root; 0 for an empty stream
	Root   ChunkID `json:"root"`
	Bytes  int64   `json:"bytes"`
	Rows   int64   `json:"rows"`
	Chunks int64   `json:"chunks"`
}

// PackRef names a pack.
type PackRef struct {
	SHA256 Digest `json:"sha256"`
	Size   int64  `json:"size"`
}

// Digest is a SHA-256, written as 64 hexadecimal digits.
type Digest [32]byte

// MarshalText writes 64 hexadecimal digits.
func (d Digest) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(d[:])), nil }

// UnmarshalText reads 64 hexadecimal digits.
func (d *Digest) UnmarshalText(b []byte) error { return (*ChunkID)(d).UnmarshalText(b) }

// commit is the content of a commit object.
type commit struct {
	Format    int         `json:"format"`
	Writer    string      `json:"writer"`
	Sequence  uint64      `json:"sequence"`
	Time      time.Time   `json:"time"`
	Previous  string      `json:"previous,omitempty"` // name of the writer's commit before
	Snapshots []*Snapshot `json:"snapshots"`
}

// commitName is where a commit is kept: sorted by time, then writer, then
// number.
func commitName(c *commit) string {
	return fmt.Sprintf("c/%s-%s-%d", c.Time.UTC().Format("2006/01/02/150405.000"), c.Writer, c.Sequence)
}

// objectSeal says how a kind of small objects is told from others and sealed.
type objectSeal struct {
	magic   string
	purpose string
	kind    byte
}

var (
	commitSeal = objectSeal{commitMagic, purposeCommit, sealCommit}
	markSeal   = objectSeal{markMagic, purposeMark, sealMark}
)

// sealObject returns the bytes of the object of that name: content as JSON,
// compressed and sealed.
func sealObject(key *masterKey, how objectSeal, name string, content any) ([]byte, error) {
	text, err := json.Marshal(content)
	if err != nil {
		return nil, err
	}
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	var salt [32]byte
	if _, err := rand.Read(salt[:]); err != nil {
		return nil, err
	}
	aead, err := key.sealer(how.purpose, salt[:])
	if err != nil {
		return nil, err
	}
	object := header(how.magic, key.id, salt[:])
	return aead.Seal(object, sealNonce(headerSize), enc.EncodeAll(text, nil),
		additional(key.repo, how.kind, []byte(name))), nil
}

// maxCommit bounds what a reader will take for the content of a commit: about
// two million packs.
const maxCommit = 256 << 20

// openCommitObject reads the commit object of that name.
func openCommitObject(keys *keyring, name string, object []byte) (*commit, error) {
	var c commit
	if err := openObject(keys, commitSeal, name, object, &c); err != nil {
		return nil, err
	}
	if c.Format > Format {
		return nil, fmt.Errorf("%w: commit of format %d", ErrFormat, c.Format)
	}
	for _, s := range c.Snapshots {
		if err := s.valid(); err != nil {
			return nil, err
		}
	}
	return &c, nil
}

// valid makes sure that a snapshot can be told from others.
func (s *Snapshot) valid() error {
	if s == nil || s.Function == "" || strings.ContainsRune(s.Function, 0) {
		return fmt.Errorf("%w: a snapshot of no function", ErrCorrupt)
	}
	if b, err := hex.DecodeString(s.ID); err != nil || len(b) != 6 {
		return fmt.Errorf("%w: snapshot %q", ErrCorrupt, s.ID)
	}
	return nil
}

// openObject reads the content of the sealed object of that name.
func openObject(keys *keyring, how objectSeal, name string, object []byte, content any) error {
	id, salt, err := parseHeader(how.magic, object)
	if err != nil {
		return err
	}
	key, err := keys.get(id)
	if err != nil {
		return err
	}
	aead, err := key.sealer(how.purpose, salt[:])
	if err != nil {
		return err
	}
	packed, err := aead.Open(nil, sealNonce(headerSize), object[headerSize:], additional(key.repo, how.kind, []byte(name)))
	if err != nil {
		return fmt.Errorf("%w: does not decrypt", ErrCorrupt)
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxCommit))
	if err != nil {
		return err
	}
	defer dec.Close()
	text, err := dec.DecodeAll(packed, nil)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	if err := json.Unmarshal(text, content); err != nil {
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return nil
}
