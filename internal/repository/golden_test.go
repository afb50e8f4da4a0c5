package repository

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/saypro/backupd/internal/catalog"
)

var update = flag.Bool("update", false, "write the golden files anew; a change of the format needs a new format number")

// golden compares got with a file of testdata. These files pin format 1: a
// difference means that repositories in the field would not be found again.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs:\n got %s\nwant %s", path, got, want)
	}
}

// fixedRows are the same on every machine and in every release.
func fixedRows(n int) []byte {
	rnd := rand.New(rand.NewPCG(2026, 1))
	var b bytes.Buffer
	for i := range n {
		fmt.Fprintf(&b, "%d\t%x\t%s\t\\N\n", i, rnd.Uint64(), strings.Repeat("x", rnd.IntN(300)))
	}
	return b.Bytes()
}

func fixedKey(t *testing.T) *masterKey {
	t.Helper()
	secret := bytes.Repeat([]byte{7}, 32)
	key, err := newMasterKey(secret, [16]byte{1, 2, 3})
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// ringOf returns the keys of a repository that has but one.
func ringOf(key *masterKey) *keyring {
	return &keyring{first: key.id, keys: map[keyID]*masterKey{key.id: key}}
}

// cuts lists the chunks of rows: kind, length, rows, id.
func cuts(t *testing.T, rows []byte) []byte {
	t.Helper()
	idKey, err := fixedKey(t).derive(purposeChunk, nil, 32)
	if err != nil {
		t.Fatal(err)
	}
	name := newNamer(idKey)
	var out bytes.Buffer
	c := rowChunker{emit: func(kind Kind, content []byte, rows int64) error {
		fmt.Fprintf(&out, "%d %d %d %s\n", kind, len(content), rows, name.id(kind, content))
		return nil
	}}
	if err := c.write(rows); err != nil {
		t.Fatal(err)
	}
	if err := c.flush(KindRows); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(&out, "digest %s rows %d\n", c.digest, c.digest.Rows)
	return out.Bytes()
}

func TestGoldenCuts(t *testing.T) {
	golden(t, "cuts.txt", cuts(t, fixedRows(20_000)))
	long := append(fixedRows(100), bytes.Repeat([]byte("y"), 9<<20)...)
	golden(t, "cuts-long.txt", cuts(t, append(append(long, '\n'), fixedRows(100)...)))
}

func TestGoldenKeys(t *testing.T) {
	key := fixedKey(t)
	var out bytes.Buffer
	fmt.Fprintf(&out, "key id %s\n", key.id)
	for _, purpose := range []string{purposeChunk, purposePack, purposeCommit} {
		plain, err := key.derive(purpose, nil, 32)
		if err != nil {
			t.Fatal(err)
		}
		salted, err := key.derive(purpose, bytes.Repeat([]byte{9}, 32), 32)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, "%s %x %x\n", purpose, plain, salted)
	}
	golden(t, "keys.txt", out.Bytes())
	var further bytes.Buffer
	second := secondKey(t, key)
	fmt.Fprintf(&further, "key id %s\n%s %x\n", second.id, purposeVouch, second.vouch)
	golden(t, "keys-further.txt", further.Bytes())
}

// secondKey is a further key, vouched for by the first.
func secondKey(t *testing.T, first *masterKey) *masterKey {
	t.Helper()
	key, err := newMasterKey(bytes.Repeat([]byte{8}, 32), first.repo)
	if err == nil {
		key.vouch, err = first.vouchFor(key)
	}
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// goldenIdentity opens the wrapped keys of testdata.
const goldenIdentity = "AGE-SECRET-KEY-1DKGPHHU7KKZT3PYD3CTWGY0PLGHV5RE4KVG3MFSFJPKWS528V5USKDY5AC"

// TestGoldenWrappedKeys opens keys that an earlier build wrapped: the first one,
// which vouches for a further one.
func TestGoldenWrappedKeys(t *testing.T) {
	id, err := age.ParseX25519Identity(goldenIdentity)
	if err != nil {
		t.Fatal(err)
	}
	first := fixedKey(t)
	ring := &keyring{first: first.id, keys: map[keyID]*masterKey{}}
	for _, key := range []*masterKey{first, secondKey(t, first)} {
		path := filepath.Join("testdata", key.id.String()+".age")
		if *update {
			wrapped, err := key.wrap([]age.Recipient{id.Recipient(), newIdentity(t).Recipient()})
			if err == nil {
				err = os.WriteFile(path, wrapped, 0o644)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		wrapped, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := countRecipients(wrapped); n != 2 || err != nil {
			t.Errorf("%s is wrapped for %d (%v)", path, n, err)
		}
		if err := ring.take(keyName(key.id.String()), wrapped, []age.Identity{id}, first.repo); err != nil {
			t.Fatal(err)
		}
		if got, err := ring.get(key.id); err != nil || !bytes.Equal(got.secret, key.secret) {
			t.Errorf("%s holds another secret (%v)", path, err)
		}
	}
}

// TestGoldenMark reads a mark that an earlier build wrote.
func TestGoldenMark(t *testing.T) {
	key := fixedKey(t)
	path := filepath.Join("testdata", "mark.bin")
	m := mark{
		Format: 1, Writer: "0badcafe", Sequence: 8, Time: time.Date(2026, 3, 1, 12, 0, 0, 1e6, time.UTC), Key: secondKey(t, key).id.String(),
		Hold:    &holdMark{Snapshot: "a1b2c3d4e5f6", Reason: "audit 2026"},
		Condemn: &condemnMark{Snapshots: map[string]string{"0102030405ff": "no rule keeps it"}, Commits: []string{"c/2026/03/01/115900.000-0badcafe-6"}, Packs: []Digest{{1}}},
	}
	name := "g/2026/03/01/120000.001-0badcafe-8"
	if markName(&m) != name {
		t.Errorf("a mark is named %s", markName(&m))
	}
	if *update {
		object, err := sealObject(key, markSeal, name, m)
		if err == nil {
			err = os.WriteFile(path, object, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	object, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got, err := openMark(ringOf(key), name, object)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.MarshalIndent(got, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "mark.json", append(text, '\n'))
	if _, err := openMark(ringOf(key), "g/2026/03/01/120000.001-0badcafe-9", object); err == nil {
		t.Error("a mark opens under another name")
	}
	// A mark does not pass for a commit, nor a commit for a mark.
	if _, err := openCommitObject(ringOf(key), name, append([]byte(commitMagic), object[8:]...)); err == nil {
		t.Error("a mark opens as a commit")
	}
}

func TestGoldenNode(t *testing.T) {
	var node []byte
	for i := range 3 {
		node = appendRef(node, Ref{Kind: KindRows, ID: ChunkID{byte(i)}, Raw: int64(i) * 65_536, Rows: int64(i) * 1000})
	}
	golden(t, "node.hex", []byte(hex.EncodeToString(node)+"\n"))
}

// TestGoldenRepository reads a pack and a commit that an earlier build wrote.
func TestGoldenRepository(t *testing.T) {
	key := fixedKey(t)
	path := filepath.Join("testdata", "commit.bin")
	name := "c/2026/03/01/120000.000-0badcafe-7"
	if *update {
		object, err := sealObject(key, commitSeal, name, &commit{
			Format: 1, Writer: "0badcafe", Sequence: 7, Time: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
			Snapshots: []*Snapshot{{
				ID: "a1b2c3d4e5f6", Function: "payments", Engine: "postgres", Source: json.RawMessage(`{"lsn":"0/1"}`),
				RecoveryPoint: time.Date(2026, 3, 1, 11, 59, 0, 0, time.UTC),
				Tables:        []Table{{Name: "payments.t", Rows: 1, Data: Stream{Kind: KindRows, Bytes: 2, Rows: 1, Chunks: 1}}},
				Packs:         []PackRef{{SHA256: Digest{1}, Size: 99}},
			}},
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, object, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	object, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	keys := ringOf(key)
	c, err := openCommitObject(keys, name, object)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.MarshalIndent(c, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "commit.json", append(text, '\n'))
	if _, err := openCommitObject(keys, "c/2026/03/01/120000.001-0badcafe-7", object); err == nil {
		t.Error("a commit opens under another name")
	}
	goldenPack(t, key)
}

func goldenPack(t *testing.T, key *masterKey) {
	t.Helper()
	path := filepath.Join("testdata", "pack.bin")
	if *update {
		writeGoldenPack(t, key, path)
	}
	pack, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	id, salt, err := parseHeader(packMagic, pack)
	if err != nil || id != key.id {
		t.Fatalf("pack of key %s: %v", id, err)
	}
	aead, err := key.sealer(purposePack, salt[:])
	if err != nil {
		t.Fatal(err)
	}
	entries, err := openFooter(aead, key.repo, pack, int64(len(pack)))
	if err != nil {
		t.Fatal(err)
	}
	dec, err := newDecoder()
	if err != nil {
		t.Fatal(err)
	}
	defer dec.Close()
	var out bytes.Buffer
	at := int64(headerSize)
	for _, e := range entries {
		sealed := pack[at:][:e.Stored]
		encoded, err := aead.Open(nil, sealNonce(at), sealed, additional(key.repo, byte(e.Kind), e.ID[:]))
		if err != nil {
			t.Fatal(err)
		}
		content, err := decode(dec, nil, encoded, e.Raw)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, "%d %s at %d: %q\n", e.Kind, e.ID, at, content)
		at += int64(e.Stored)
	}
	golden(t, "pack.txt", out.Bytes())
}

func writeGoldenPack(t *testing.T, key *masterKey, path string) {
	t.Helper()
	cat, err := catalog.Open(filepath.Join(t.TempDir(), "catalog.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cat.Close() }()
	sp, err := openSpool(t.TempDir(), 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	p := &packer{repo: &Repository{id: key.repo, keys: ringOf(key), catalog: cat, spool: sp}, pending: map[ChunkID]uint32{}, packs: packSet{}}
	comp, err := newCompressor()
	if err != nil {
		t.Fatal(err)
	}
	idKey, err := key.derive(purposeChunk, nil, 32)
	if err != nil {
		t.Fatal(err)
	}
	name := newNamer(idKey)
	var chunks []sealable
	for _, content := range []string{"1\talpha\n2\tbeta\n", strings.Repeat("3\tgamma\n", 100)} {
		encoded, err := comp.encode(nil, []byte(content))
		if err != nil {
			t.Fatal(err)
		}
		chunks = append(chunks, sealable{KindRows, name.id(KindRows, []byte(content)), uint32(len(content)), encoded})
	}
	if err := p.add(chunks); err != nil {
		t.Fatal(err)
	}
	if err := p.finish(); err != nil {
		t.Fatal(err)
	}
	for n := range p.packs {
		pack, err := cat.PackAt(n)
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(sp.path(catalog.PackName(pack.SHA256)))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
