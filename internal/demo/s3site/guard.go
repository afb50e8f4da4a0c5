package s3site

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"net/http"
	"strings"

	"github.com/johannesboyne/gofakes3"
)

const checksumHeader = "X-Amz-Checksum-Sha256"

// guard does what gofakes3 leaves out and backupd relies on: it refuses
// unknown access keys and bodies that do not have the SHA-256 stated in the
// headers, and says that the bucket has no object lock.
func guard(accessKey string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.Header.Get("Authorization"), "Credential="+accessKey+"/") {
			refuse(w, http.StatusForbidden, "InvalidAccessKeyId", "The access key is not known here.")
			return
		}
		if r.URL.Query().Has("object-lock") {
			refuse(w, http.StatusNotFound, "ObjectLockConfigurationNotFoundError", "The bucket has no object lock.")
			return
		}
		if r.Method == http.MethodPut {
			if strings.HasPrefix(r.Header.Get("X-Amz-Content-Sha256"), "STREAMING-") {
				refuse(w, http.StatusNotImplemented, "NotImplemented", "Bodies in signed chunks are not understood here.")
				return
			}
			r.Body = checkedBody(r)
		}
		next.ServeHTTP(w, r)
	})
}

func refuse(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, "<Error><Code>%s</Code><Message>%s</Message></Error>", code, message) // a client that is gone misses nothing
}

// checkedBody returns the body of r such that it ends in an error when it does
// not have the digests stated in the headers.
func checkedBody(r *http.Request) io.ReadCloser {
	b := &digestReader{body: r.Body, hash: sha256.New()}
	if stated := r.Header.Get(checksumHeader); stated != "" {
		// What is not base64 gives no digest and equals none.
		digest, _ := base64.StdEncoding.DecodeString(stated)
		b.want = append(b.want, string(digest))
	}
	if stated := r.Header.Get("X-Amz-Content-Sha256"); len(stated) == hex.EncodedLen(sha256.Size) {
		digest, _ := hex.DecodeString(stated)
		b.want = append(b.want, string(digest))
	}
	return b
}

type digestReader struct {
	body io.ReadCloser
	hash hash.Hash
	want []string
}

func (b *digestReader) Read(p []byte) (int, error) {
	n, err := b.body.Read(p)
	b.hash.Write(p[:n])
	if err == io.EOF {
		got := string(b.hash.Sum(nil))
		for _, want := range b.want {
			if got != want {
				return n, gofakes3.ErrBadDigest
			}
		}
	}
	return n, err
}

func (b *digestReader) Close() error { return b.body.Close() }
