package testenv

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/digitorus/timestamp"
)

// TimeStamps is a time-stamping authority on loopback: OpenSSL's, with
// certificates of its own.
type TimeStamps struct {
	// URL is where it answers, RootsFile what its certificates lead to, PEM.
	URL, RootsFile string

	root  []byte
	mu    sync.Mutex
	lies  Stamping
	asked int
	last  []byte
	dir   string
}

// Stamping is how an authority answers.
type Stamping string

// The ways to answer.
const (
	StampsWell      Stamping = ""                // as it should
	StampsNothing   Stamping = "refuses"         // it refuses, as RFC 3161 says how
	StampsGarbage   Stamping = "garbage"         // bytes that are no answer
	StampsOther     Stamping = "something else"  // it stamps another hash
	StampsAgain     Stamping = "the last answer" // a right answer of before
	StampsNever     Stamping = "never"           // it takes the question and says nothing
	StampsUnavail   Stamping = "unavailable"     // HTTP status 503
	StampsAsServer  Stamping = "another purpose" // its certificate is one for a web server
	stampsOfSerials          = "serial"
)

// The certificates are good for the times of all tests.
var stampsFrom, stampsUntil = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2050, 1, 1, 0, 0, 0, 0, time.UTC)

// StampTime starts an authority.
func StampTime(t testing.TB) *TimeStamps {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Fatalf("openssl, which stamps times in tests, is missing: %v; on Debian: apt-get install openssl", err)
	}
	s := &TimeStamps{dir: t.TempDir()}
	s.RootsFile = s.file("root.pem")
	if err := s.certificates(); err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(h.Close)
	s.URL = h.URL + "/tsa"
	return s
}

// Answer makes it answer otherwise from here on.
func (s *TimeStamps) Answer(how Stamping) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lies = how
}

// Asked returns how often it was asked.
func (s *TimeStamps) Asked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

func (s *TimeStamps) file(name string) string { return filepath.Join(s.dir, name) }

// certificates makes a root, a certificate for time stamps and one for a web
// server, and what OpenSSL must know.
func (s *TimeStamps) certificates() error {
	rootKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "root of time"},
		NotBefore: stampsFrom, NotAfter: stampsUntil, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	raw, err := x509.CreateCertificate(rand.Reader, root, root, &rootKey.PublicKey, rootKey)
	if err != nil {
		return err
	}
	s.root = raw
	if err := s.pem("root.pem", "CERTIFICATE", raw); err != nil {
		return err
	}
	for name, purpose := range map[string]asn1.ObjectIdentifier{"stamp": {1, 3, 6, 1, 5, 5, 7, 3, 8}, "server": {1, 3, 6, 1, 5, 5, 7, 3, 1}} {
		if err := s.leaf(name, purpose, root, rootKey); err != nil {
			return err
		}
	}
	if err := os.WriteFile(s.file(stampsOfSerials), []byte("01\n"), 0o600); err != nil {
		return err
	}
	for name, digests := range map[string]string{"good.cnf": "sha256", "refuse.cnf": "sha512"} {
		text := fmt.Sprintf("[tsa]\nserial=%s\ncrypto_device=builtin\ndefault_policy=1.2.3.4.1\ndigests=%s\naccuracy=secs:1\nordering=yes\ness_cert_id_alg=sha256\nsigner_digest=sha256\n", s.file(stampsOfSerials), digests)
		if err := os.WriteFile(s.file(name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (s *TimeStamps) leaf(name string, purpose asn1.ObjectIdentifier, root *x509.Certificate, rootKey *ecdsa.PrivateKey) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	use, err := asn1.Marshal([]asn1.ObjectIdentifier{purpose})
	if err != nil {
		return err
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "clock on loopback"},
		NotBefore: root.NotBefore, NotAfter: root.NotAfter, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Critical: true, Value: use}},
	}
	raw, err := x509.CreateCertificate(rand.Reader, leaf, root, &key.PublicKey, rootKey)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if err := s.pem(name+".pem", "CERTIFICATE", raw); err != nil {
		return err
	}
	return s.pem(name+".key", "PRIVATE KEY", private)
}

func (s *TimeStamps) pem(name, kind string, der []byte) error {
	return os.WriteFile(s.file(name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}

func (s *TimeStamps) serve(w http.ResponseWriter, r *http.Request) {
	question, err := io.ReadAll(io.LimitReader(r.Body, 1<<16))
	s.mu.Lock()
	how := s.lies
	s.asked++
	s.mu.Unlock()
	switch {
	case err != nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/timestamp-query":
		w.WriteHeader(http.StatusBadRequest)
		return
	case how == StampsNever:
		<-r.Context().Done()
		return
	case how == StampsUnavail:
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	answer, err := s.reply(question, how)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/timestamp-reply")
	_, _ = w.Write(answer)
}

// reply has OpenSSL answer a question.
func (s *TimeStamps) reply(question []byte, how Stamping) ([]byte, error) {
	s.mu.Lock() // also the file of serials
	defer s.mu.Unlock()
	conf, signer := "good.cnf", "stamp"
	switch how {
	case StampsGarbage:
		return []byte("the time is noon"), nil
	case StampsAgain:
		return s.last, nil
	case StampsNothing:
		conf = "refuse.cnf"
	case StampsAsServer:
		signer = "server"
	case StampsOther:
		// The hash begins after the header of 32 bytes in a string of octets.
		at := bytes.Index(question, []byte{0x04, 0x20}) + 2
		question[at] ^= 1
	case StampsWell, StampsNever, StampsUnavail:
	}
	asked, answered := s.file("question.tsq"), s.file("answer.tsr")
	if err := os.WriteFile(asked, question, 0o600); err != nil {
		return nil, err
	}
	said, err := exec.Command("openssl", "ts", "-reply", "-config", s.file(conf), "-section", "tsa", "-queryfile", asked,
		"-signer", s.file(signer+".pem"), "-inkey", s.file(signer+".key"), "-chain", s.RootsFile, "-out", answered).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("openssl ts: %w: %s", err, said)
	}
	answer, err := os.ReadFile(answered)
	if how == StampsWell {
		s.last = answer
	}
	return answer, err
}

// Token returns a time stamp of a text that says to have been given at a time:
// OpenSSL tells no other time than now. It is signed with the certificate for a
// web server when how is [StampsAsServer].
func (s *TimeStamps) Token(t testing.TB, text []byte, at time.Time, how Stamping) []byte {
	t.Helper()
	name := "stamp"
	if how == StampsAsServer {
		name = "server"
	}
	pair, err := tls.LoadX509KeyPair(s.file(name+".pem"), s.file(name+".key"))
	if err != nil {
		t.Fatal(err)
	}
	signer, _ := pair.PrivateKey.(crypto.Signer) // it was made here
	sum := sha256.Sum256(text)
	stamp := timestamp.Timestamp{
		HashAlgorithm: crypto.SHA256, HashedMessage: sum[:], Time: at.UTC(), Policy: asn1.ObjectIdentifier{1, 2, 3, 4, 1},
		SerialNumber: big.NewInt(7), AddTSACertificate: true,
	}
	answer, err := stamp.CreateResponseWithOpts(pair.Leaf, signer, crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := timestamp.ParseResponse(answer)
	if err != nil {
		t.Fatal(err)
	}
	return parsed.RawToken
}

// Roots are what the certificates lead to.
func (s *TimeStamps) Roots() *x509.CertPool {
	pool := x509.NewCertPool()
	if root, err := x509.ParseCertificate(s.root); err == nil {
		pool.AddCert(root)
	}
	return pool
}
