package testenv

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/minio/minio-go/v7/pkg/signer"
)

// NewUser makes a user of the MinIO site that may do what a policy says and
// nothing else, and returns its keys.
func (s *Site) NewUser(t testing.TB, policy []byte) (accessKey, secretKey string) {
	t.Helper()
	if s.Kind != "minio" {
		t.Fatalf("site %s has no users", s.Name)
	}
	name := fmt.Sprintf("user-%d", siteSerials.Add(1))
	secretKey = "secret-" + rand.Text()
	user, err := json.Marshal(map[string]string{"secretKey": secretKey, "status": "enabled"})
	if err == nil {
		user, err = s.seal(user)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		path  string
		query url.Values
		body  []byte
	}{
		{"add-canned-policy", url.Values{"name": {name}}, policy},
		{"add-user", url.Values{"accessKey": {name}}, user},
		{"set-user-or-group-policy", url.Values{"policyName": {name}, "userOrGroup": {name}, "isGroup": {"false"}}, nil},
	} {
		if err := s.administer(t.Context(), step.path, step.query, step.body); err != nil {
			t.Fatalf("%s at site %s: %v", step.path, s.Name, err)
		}
	}
	return name, secretKey
}

// administer calls the interface for administrators of a MinIO server.
func (s *Site) administer(ctx context.Context, path string, query url.Values, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	address := s.Endpoint + "/minio/admin/v3/" + path + "?" + query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, address, bytes.NewReader(body))
	if err != nil {
		return err
	}
	sum := sha256.Sum256(body)
	req.Header.Set("X-Amz-Content-Sha256", hex.EncodeToString(sum[:]))
	resp, err := http.DefaultClient.Do(signer.SignV4(*req, s.AccessKey, s.SecretKey, "", s.Region))
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // it was only read
	if resp.StatusCode != http.StatusOK {
		says, _ := io.ReadAll(resp.Body)
		return fmt.Errorf("%s: %s", resp.Status, says)
	}
	return nil
}

// seal encrypts what only the server may read, with the administrator's secret:
// salt, kind of cipher, nonce, and the one and last fragment of a stream of
// AES-256-GCM, which is bound to the tag of an empty first one.
func (s *Site) seal(plain []byte) ([]byte, error) {
	const saltSize, nonceSize, kind, cost = 32, 8, 0x02, 8192
	out := make([]byte, saltSize+1+nonceSize)
	if _, err := rand.Read(out); err != nil {
		return nil, err
	}
	out[saltSize] = kind
	key, err := pbkdf2.Key(sha256.New, s.SecretKey, out[:saltSize], cost, 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	nonce := func(sequence uint32) []byte {
		return binary.LittleEndian.AppendUint32(bytes.Clone(out[saltSize+1:saltSize+1+nonceSize]), sequence)
	}
	const last = 0x80
	bound := append([]byte{last}, gcm.Seal(nil, nonce(0), nil, nil)...)
	return gcm.Seal(out, nonce(1), plain, bound), nil
}
