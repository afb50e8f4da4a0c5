// Package wire is what the clients of S3 services have in common: connections
// that notice when nothing moves, the meaning of error codes in the various
// dialects, ranges, and names under a prefix.
package wire

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/saypro/backupd/internal/storage"
)

// Keys turns names into keys of a bucket and back.
type Keys struct{ base string }

// NewKeys returns the keys under a prefix, which may be empty.
func NewKeys(prefix string) (Keys, error) {
	prefix = strings.Trim(prefix, "/")
	if prefix == "" {
		return Keys{}, nil
	}
	if err := storage.CheckName(prefix); err != nil {
		return Keys{}, err
	}
	return Keys{base: prefix + "/"}, nil
}

// Key returns the key of a name, or of the beginning of one.
func (k Keys) Key(name string) string { return k.base + name }

// After returns where a listing of keys has to start to come after the name.
func (k Keys) After(name string) string {
	if name == "" {
		return ""
	}
	return k.base + name
}

// Name returns the name of a key.
func (k Keys) Name(key string) (string, error) {
	name, ok := strings.CutPrefix(key, k.base)
	if !ok {
		return "", fmt.Errorf("the site listed %q, which is not under %q", key, k.base)
	}
	return name, nil
}

// ParseEndpoint takes an endpoint apart. It never repeats the endpoint in an
// error, because a careless one holds a password.
func ParseEndpoint(endpoint string) (*url.URL, error) {
	u, err := url.Parse(endpoint)
	switch {
	case err != nil, u.Scheme != "http" && u.Scheme != "https", u.Host == "":
		return nil, fmt.Errorf("%w: endpoint must look like https://host:port", storage.ErrInvalid)
	case u.User != nil:
		return nil, fmt.Errorf("%w: endpoint must not hold a user or password", storage.ErrInvalid)
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("%w: endpoint must end after the port", storage.ErrInvalid)
	}
	u.Path = ""
	return u, nil
}

// Ascending checks that a listing goes up, which everything that pages through
// one relies on.
type Ascending struct{ last string }

// Next returns an error when name is not behind the one before.
func (a *Ascending) Next(name string) error {
	if name <= a.last {
		return fmt.Errorf("%w: the site lists %q after %q, not in order", storage.ErrUnsupported, name, a.last)
	}
	a.last = name
	return nil
}
