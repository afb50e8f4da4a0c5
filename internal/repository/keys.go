package repository

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
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
// (https://age-encryption.org/v1), binary.
func (k *masterKey) wrap(recipients []age.Recipient) ([]byte, error) {
	var out bytes.Buffer
	w, err := age.Encrypt(&out, recipients...)
	if err != nil {
		return nil, fmt.Errorf("wrap repository key: %w", err)
	}
	if _, err := w.Write(k.secret); err != nil {
		return nil, fmt.Errorf("wrap repository key: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("wrap repository key: %w", err)
	}
	return out.Bytes(), nil
}

// unwrap decrypts a wrapped key with whichever identity fits; when none does
// the error matches [ErrWrongKey].
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
		return nil, fmt.Errorf("unwrap repository key: %w", err)
	}
	secret, err := io.ReadAll(io.LimitReader(r, 33))
	if err != nil {
		return nil, fmt.Errorf("unwrap repository key: %w", err)
	}
	return newMasterKey(secret, repo)
}
