package storage

import (
	"fmt"
	"strings"
)

// maxName is the longest name in bytes. S3 allows 1024 for the prefix of the
// site and the name together; directories allow 255 for each part.
const (
	maxName = 768
	maxPart = 200
)

// CheckName returns an error that matches [ErrInvalid] unless name is safe
// everywhere: as the key of an S3 object, as the path of a file, and in a URL
// without any escaping. It consists of parts between single slashes; a part is
// made of ASCII letters, digits and the characters - _ . = + @ and does not
// begin with a dot.
func CheckName(name string) error {
	if name == "" || len(name) > maxName {
		return fmt.Errorf("%w: name of %d bytes", ErrInvalid, len(name))
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || len(part) > maxPart || part[0] == '.' || strings.ContainsFunc(part, unsafeRune) {
			return fmt.Errorf("%w: name %q", ErrInvalid, name)
		}
	}
	return nil
}

// CheckPrefix is [CheckName] for what a listing begins with: it may be empty
// or end in a slash or in the middle of a part.
func CheckPrefix(prefix string) error {
	if prefix == "" {
		return nil
	}
	return CheckName(strings.TrimSuffix(prefix, "/"))
}

// CheckRange returns an error that matches [ErrInvalid] unless offset and
// length are what Get accepts.
func CheckRange(offset, length int64) error {
	if offset < 0 || length < -1 {
		return fmt.Errorf("%w: range of %d bytes from %d on", ErrInvalid, length, offset)
	}
	return nil
}

func unsafeRune(r rune) bool {
	switch {
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
		return false
	}
	return !strings.ContainsRune("-_.=+@", r)
}
