package catalog

import (
	"encoding/hex"
	"strings"

	"go.etcd.io/bbolt"
)

// PacksStarting returns the names of up to limit packs whose SHA-256 begins
// with these hexadecimal digits, in their order.
func (c *Catalog) PacksStarting(digits string, limit int) (names []string, err error) {
	whole, err := hex.DecodeString(digits[:len(digits)&^1])
	if err != nil {
		return nil, nil //nolint:nilerr // nothing begins with that
	}
	err = c.db.View(func(tx *bbolt.Tx) error {
		cur := tx.Bucket(bucketPackNames).Cursor()
		for k, _ := cur.Seek(whole); k != nil && len(names) < limit; k, _ = cur.Next() {
			text := hex.EncodeToString(k)
			if strings.HasPrefix(text, digits) {
				names = append(names, PackName([32]byte(k)))
			} else if text > digits {
				break
			}
		}
		return nil
	})
	return names, err
}

// PackCondemned returns whether nobody needs a pack any more; nil when somebody
// does, or when it is not known.
func (c *Catalog) PackCondemned(name string) (mark *Condemnation, err error) {
	err = c.db.View(func(tx *bbolt.Tx) error {
		sha, _ := packDigest(name)
		if key := tx.Bucket(bucketPackNames).Get(sha[:]); key != nil {
			mark, err = condemnation(tx, key)
		}
		return err
	})
	return mark, err
}

// CopyAt returns what is known of an object at a site.
func (c *Catalog) CopyAt(site, name string) (out Copy, err error) {
	err = c.db.View(func(tx *bbolt.Tx) error {
		if b := tx.Bucket(bucketCopies).Bucket([]byte(site)); b != nil {
			out = decodeCopy(b.Get([]byte(name)))
		}
		return nil
	})
	return out, err
}
