package repository

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/saypro/backupd/internal/storage"
)

// A wrapped key is kept as keys/<key id>.age where it was made, and what is
// wrapped later, for more recipients, as keys/<key id>-<digest>.age with the
// first 16 digits of the object's SHA-256: two writers never choose one name.
const (
	keyPrefix = "keys/"
	keySuffix = ".age"
	// maxKeyObject bounds what is taken for a wrapped key: hundreds of
	// recipients.
	maxKeyObject = 64 << 10
)

// keyName is where a key is kept first.
func keyName(id string) string { return keyPrefix + id + keySuffix }

// laterKeyName is where a key is kept that was wrapped again.
func laterKeyName(id keyID, wrapped []byte) string {
	digest := sha256.Sum256(wrapped)
	return keyName(id.String() + "-" + hex.EncodeToString(digest[:8]))
}

// parseKeyID reads 16 hexadecimal digits.
func parseKeyID(text string) (id keyID, err error) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(id) || text != strings.ToLower(text) {
		return id, fmt.Errorf("%w: key id %q", ErrCorrupt, text)
	}
	copy(id[:], b)
	return id, nil
}

// keyIDOf returns the id in the name of a wrapped key.
func keyIDOf(name string) (id keyID, err error) {
	text, isKey := strings.CutPrefix(name, keyPrefix)
	text, isAge := strings.CutSuffix(text, keySuffix)
	text, later, again := strings.Cut(text, "-")
	if !isKey || !isAge {
		return id, fmt.Errorf("%w: %s is not the name of a key", ErrCorrupt, name)
	}
	if again {
		if _, err := parseKeyID(later); err != nil {
			return id, fmt.Errorf("%w: %s is not the name of a key", ErrCorrupt, name)
		}
	}
	return parseKeyID(text)
}

// readKeys returns the wrapped keys that a site holds, by the names of their
// objects. The first key, which repo.json names, must be among them.
func readKeys(ctx context.Context, site Site, first string) (map[string][]byte, error) {
	out := map[string][]byte{}
	read := func(name string) error {
		wrapped, err := readObject(ctx, site, name, maxKeyObject)
		if err == nil {
			out[name] = wrapped
		}
		return err
	}
	var names []string
	err := site.Store.List(ctx, keyPrefix, "", func(info storage.Info) error {
		if _, err := keyIDOf(info.Name); err == nil && info.Size <= maxKeyObject {
			names = append(names, info.Name)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	found := false
	for _, name := range names {
		if err := read(name); err != nil && !errors.Is(err, storage.ErrNotFound) {
			return nil, err
		}
		found = found || strings.HasPrefix(name, keyPrefix+first)
	}
	if !found {
		// A listing may be older than the object.
		return out, read(keyName(first))
	}
	return out, nil
}
