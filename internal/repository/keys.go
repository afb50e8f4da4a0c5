package repository

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"filippo.io/age"
)

// keyID names a repository key without telling anything of it.
type keyID [8]byte

func (k keyID) String() string { return hex.EncodeToString(k[:]) }

// masterKey is one key of a repository: 32 random bytes that never leave the
// host except wrapped for the recipients.
type masterKey struct {
	id     keyID
	secret []byte
	repo   [16]byte // id of the repository; salts every derivation
	vouch  []byte   // of the repository's first key for this one; nil of the first key itself
}

func newMasterKey(secret []byte, repo [16]byte) (*masterKey, error) {
	if len(secret) != 32 {
		return nil, fmt.Errorf("repository key has %d bytes instead of 32", len(secret))
	}
	k := &masterKey{secret: secret, repo: repo}
	id, err := k.derive("backupd/1 key id", nil, 8)
	if err != nil {
		return nil, err
	}
	copy(k.id[:], id)
	return k, nil
}

// randomKey makes a new key.
func randomKey(repo [16]byte) (*masterKey, error) {
	secret := make([]byte, 32)
	if _, err := rand.Read(secret); err != nil {
		return nil, err
	}
	return newMasterKey(secret, repo)
}

// derive returns n bytes bound to a purpose and a salt: HKDF-SHA256 (RFC 5869)
// with the repository's id and salt as the extraction salt.
func (k *masterKey) derive(purpose string, salt []byte, n int) ([]byte, error) {
	return hkdf.Key(sha256.New, k.secret, append(k.repo[:len(k.repo):len(k.repo)], salt...), purpose, n)
}

// sealer returns AES-256-GCM under a key of its own for one object.
func (k *masterKey) sealer(purpose string, salt []byte) (cipher.AEAD, error) {
	key, err := k.derive(purpose, salt, 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// wrap encrypts the key for the recipients in the age format
// (https://age-encryption.org/v1), binary: its secret and, when it is not the
// repository's first key, the vouch of that one.
func (k *masterKey) wrap(recipients []age.Recipient) ([]byte, error) {
	var out bytes.Buffer
	w, err := age.Encrypt(&out, recipients...)
	if err != nil {
		return nil, fmt.Errorf("wrap repository key: %w", err)
	}
	if _, err := w.Write(append(k.secret[:len(k.secret):len(k.secret)], k.vouch...)); err != nil {
		return nil, fmt.Errorf("wrap repository key: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("wrap repository key: %w", err)
	}
	return out.Bytes(), nil
}

// vouchFor returns what proves that a further key was made by somebody who had
// the first one: whoever can write to a site could else put a key of their own
// there, and with it snapshots that were never taken.
func (k *masterKey) vouchFor(other *masterKey) ([]byte, error) {
	key, err := k.derive(purposeVouch, nil, 32)
	if err != nil {
		return nil, err
	}
	mac := hmac.New(sha256.New, key)
	_, _ = mac.Write(other.secret) // a hash never fails
	return mac.Sum(nil), nil
}

// checkVouch makes sure that a further key carries the vouch of this one.
func (k *masterKey) checkVouch(other *masterKey) error {
	vouch, err := k.vouchFor(other)
	if err == nil && !hmac.Equal(vouch, other.vouch) {
		err = fmt.Errorf("%w: %w: key %s is not vouched for by key %s", ErrCorrupt, errNotOurs, other.id, k.id)
	}
	return err
}

// maxWrapped bounds what a wrapped key may hold: a secret and a vouch.
const maxWrapped = 32 + sha256.Size

// unwrap decrypts a wrapped key with whichever identity fits; when none does
// the error matches [ErrWrongKey]. That the key is one of the repository is for
// [keyring.take] to see.
func unwrap(wrapped []byte, identities []age.Identity, repo [16]byte) (*masterKey, error) {
	if len(identities) == 0 {
		return nil, fmt.Errorf("%w: no identity given", ErrWrongKey)
	}
	r, err := age.Decrypt(bytes.NewReader(wrapped), identities...)
	var noMatch *age.NoIdentityMatchError
	if errors.As(err, &noMatch) {
		return nil, fmt.Errorf("%w: the repository key is not wrapped for this identity; "+
			"use the identity file of this repository or the escrow identity", ErrWrongKey)
	}
	if err != nil {
		return nil, fmt.Errorf("unwrap repository key: %w: %w", ErrCorrupt, err)
	}
	content, err := io.ReadAll(io.LimitReader(r, maxWrapped+1))
	if err != nil {
		return nil, fmt.Errorf("unwrap repository key: %w: %w", ErrCorrupt, err)
	}
	if len(content) != 32 && len(content) != maxWrapped {
		return nil, fmt.Errorf("unwrap repository key: %w: it holds %d bytes", ErrCorrupt, len(content))
	}
	k, err := newMasterKey(content[:32], repo)
	if err == nil && len(content) > 32 {
		k.vouch = content[32:]
	}
	return k, err
}
