//go:build !linux

package dir

import "errors"

func renameNew(_, _ string) error { return errors.ErrUnsupported }
