package soak

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"

	"filippo.io/age"

	"github.com/saypro/backupd/internal/storage"
)

// readKeys unwraps all keys. One whose id is not the one in its name, as of a
// repository that was never finished, or for which the first key does not vouch
// is not used.
func (r *reader) readKeys(ctx context.Context) error {
	contents := map[string][]byte{}
	err := r.store.List(ctx, "keys/", "", func(info storage.Info) error {
		wrapped, err := r.get(ctx, info.Name)
		if err != nil {
			return err
		}
		plain, err := age.Decrypt(bytes.NewReader(wrapped), r.identity)
		if err != nil {
			return fmt.Errorf("%s: %w", info.Name, err)
		}
		contents[info.Name], err = io.ReadAll(plain)
		return err
	})
	for name, content := range contents {
		id := name[len("keys/"):][:16]
		if err == nil && len(content) != 32 && len(content) != 64 {
			err = fmt.Errorf("%s holds %d bytes", name, len(content))
		}
		if err != nil {
			return err
		}
		r.keys[id] = content[:32]
		got, err := r.derive(id, "backupd/1 key id", nil, 8)
		if err != nil {
			return err
		}
		if hex.EncodeToString(got) != id {
			delete(r.keys, id)
			delete(contents, name)
		}
	}
	return r.checkVouches(contents)
}

func (r *reader) checkVouches(contents map[string][]byte) error {
	key, err := r.derive(r.first, "backupd/1 key vouch", nil, 32)
	if err != nil {
		return err
	}
	for name, content := range contents {
		if name[len("keys/"):][:16] == r.first {
			continue
		}
		mac := hmac.New(sha256.New, key)
		mac.Write(content[:32])
		if !bytes.Equal(mac.Sum(nil), content[32:]) {
			delete(r.keys, name[len("keys/"):][:16])
		}
	}
	return nil
}
