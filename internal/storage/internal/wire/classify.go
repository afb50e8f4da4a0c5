package wire

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"

	"github.com/saypro/backupd/internal/storage"
)

// Answer is an error that a site answered with.
type Answer struct {
	Status  int    // of HTTP
	Code    string // of S3, such as "NoSuchKey"; empty when there was none
	Message string
}

// String says what the site said. A page of some proxy in place of a message
// is cut short.
func (a Answer) String() string {
	const longest = 200
	text := strings.Join(strings.Fields(a.Message), " ")
	if len(text) > longest {
		text = text[:longest] + "…"
	}
	s := fmt.Sprintf("HTTP %d", a.Status)
	if a.Code != "" {
		s += " " + a.Code
	}
	if text != "" && text != a.Code {
		s += ": " + text
	}
	return s
}

// meaning is what an answer says in terms of the contract. Without a sentinel
// it is temporary.
type meaning struct {
	sentinel error
	hint     string
}

var (
	hintKeys   = "check access_key and secret_key of the site"
	hintRights = "the key lacks the right to do this here; the policies with what it needs are in docs/operations.md"
	hintClock  = "the clocks of this host and of the site differ; set the clock of this host"
	hintRegion = "check region of the site"
	hintNoLock = "the bucket was made without object lock; make another, or take lock out of the site's configuration"
	hintBucket = "create the bucket, or correct bucket of the site"
	hintFull   = "the site is full or over its quota"
	hintServer = "the site has trouble of its own; look at its log"
)

// meanings are those of the codes of S3 and of the dialects of MinIO, Ceph,
// Backblaze and versitygw. A status decides about all other codes.
var meanings = map[string]meaning{
	"NoSuchKey":                    {storage.ErrNotFound, ""},
	"NotFound":                     {storage.ErrNotFound, ""},
	"XMinioObjectNotFound":         {storage.ErrNotFound, ""},
	"NoSuchBucket":                 {storage.ErrNoBucket, hintBucket},
	"InvalidBucketName":            {storage.ErrNoBucket, hintBucket},
	"PreconditionFailed":           {storage.ErrExists, ""},
	"InvalidRange":                 {storage.ErrShort, ""},
	"AccessDenied":                 {storage.ErrDenied, hintRights},
	"AllAccessDisabled":            {storage.ErrDenied, hintRights},
	"Forbidden":                    {storage.ErrDenied, hintKeys + "; " + hintRights},
	"InvalidAccessKeyId":           {storage.ErrDenied, hintKeys},
	"XAdminUserNotFound":           {storage.ErrDenied, hintKeys},
	"SignatureDoesNotMatch":        {storage.ErrDenied, hintKeys},
	"InvalidToken":                 {storage.ErrDenied, hintKeys},
	"ExpiredToken":                 {storage.ErrDenied, hintKeys},
	"AuthorizationHeaderMalformed": {storage.ErrDenied, hintRegion},
	"InvalidRegion":                {storage.ErrDenied, hintRegion},
	"PermanentRedirect":            {storage.ErrDenied, hintRegion},
	"RequestTimeTooSkewed":         {storage.ErrDenied, hintClock},
	"RequestExpired":               {storage.ErrDenied, hintClock},
	"BadDigest":                    {storage.ErrChecksum, ""},
	"InvalidDigest":                {storage.ErrChecksum, ""},
	"XAmzContentSHA256Mismatch":    {storage.ErrChecksum, ""},
	"XAmzContentChecksumMismatch":  {storage.ErrChecksum, ""},
	"NotImplemented":               {storage.ErrUnsupported, "this kind of S3 service cannot be used as it is"},

	// Two writers of one name at the same moment. Neither may have won, so
	// that trying again is right; the other's object shows itself then.
	"ConditionalRequestConflict": {nil, "another writer was at the same object"},
	"OperationAborted":           {nil, "another operation was under way"},
	"XMinioStorageFull":          {nil, hintFull},
	"QuotaExceeded":              {nil, hintFull},
	"XMinioAdminBucketQuotaExceeded": {
		nil, hintFull,
	},
	"SlowDown":                   {nil, "the site asks for fewer requests"},
	"XMinioServerNotInitialized": {nil, "the site is starting"},
}

// aboutLocks are the answers about retention. They come under codes that mean
// other things as well, so that what they say decides. MinIO, versitygw and
// Amazon have a wording each.
var aboutLocks = []struct {
	says string
	meaning
}{
	{"wormprotected", meaning{storage.ErrLocked, ""}},
	{"protectedbyobjectlock", meaning{storage.ErrLocked, ""}},
	{"forbiddenbyobjectlock", meaning{storage.ErrLocked, ""}},
	{"missingobjectlockconfiguration", meaning{storage.ErrUnsupported, hintNoLock}},
	{"retainuntildatemustbeinthefuture", meaning{storage.ErrInvalid, hintClock}},
}

// ofLock returns what an answer means if it is about a retention.
func ofLock(a Answer) (meaning, bool) {
	if a.Status != http.StatusBadRequest && a.Status != http.StatusForbidden {
		return meaning{}, false
	}
	text := strings.ToLower(strings.Join(strings.Fields(a.Message), ""))
	for _, l := range aboutLocks {
		if strings.Contains(text, l.says) {
			return l.meaning, true
		}
	}
	return meaning{}, false
}

// Meaning returns the hint and the error for what a site answered.
func Meaning(a Answer) (hint string, err error) {
	m, ok := ofLock(a)
	if !ok {
		m, ok = meanings[a.Code]
	}
	if !ok {
		m = byStatus(a.Status)
	}
	if m.sentinel == nil {
		return m.hint, errors.New(a.String())
	}
	return m.hint, fmt.Errorf("%w: %s", m.sentinel, a)
}

func byStatus(status int) meaning {
	switch status {
	case http.StatusNotFound:
		return meanings["NoSuchKey"]
	case http.StatusUnauthorized, http.StatusForbidden:
		return meanings["Forbidden"]
	case http.StatusPreconditionFailed:
		return meanings["PreconditionFailed"]
	case http.StatusRequestedRangeNotSatisfiable:
		return meanings["InvalidRange"]
	case http.StatusMovedPermanently:
		return meanings["PermanentRedirect"]
	case http.StatusNotImplemented:
		return meanings["NotImplemented"]
	case http.StatusInsufficientStorage:
		return meaning{nil, hintFull}
	case http.StatusTooManyRequests:
		return meanings["SlowDown"]
	}
	return meaning{nil, hintServer}
}

// Unheard tells whether a PUT may have failed because the site answered early
// and hung up, so that its answer was lost. It then has not stored the object,
// and if there is one, that was the answer.
func Unheard(err error, body *storage.Body) bool {
	var timeout net.Error
	return !body.Complete() && body.Err() == nil && (!errors.As(err, &timeout) || !timeout.Timeout())
}

// Broken returns the hint for a request that got no answer. All of these
// errors may be over in a moment, and so are temporary.
func Broken(err error, endpoint string) string {
	var (
		lookup      *net.DNSError
		certificate *tls.CertificateVerificationError
		unknown     x509.UnknownAuthorityError
		timeout     net.Error
	)
	switch {
	case errors.Is(err, storage.ErrCut):
		return "nothing was sent to " + endpoint
	case errors.As(err, &lookup):
		return "the host name of " + endpoint + " cannot be resolved"
	case errors.As(err, &certificate), errors.As(err, &unknown):
		return "the certificate of " + endpoint + " is not trusted by this host"
	case strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return "the endpoint speaks http, not https"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens at " + endpoint + "; is the server running?"
	case strings.Contains(err.Error(), "get credentials"):
		return "no keys were found; set access_key and secret_key of the site, or what the S3 client looks at"
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded),
		errors.As(err, &timeout) && timeout.Timeout():
		return endpoint + " did not answer in time"
	}
	return "the connection to " + endpoint + " broke"
}
