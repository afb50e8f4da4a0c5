package main

import (
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/saypro/backupd/cmd/backupd/internal/show"
	"github.com/saypro/backupd/internal/verify"
)

// levelsSeen are the proof levels that an answer names, to be explained below
// it: a level means nothing to whoever has not read the manual.
type levelsSeen map[string]bool

func (l levelsSeen) add(level string) {
	if level != "" {
		l[level] = true
	}
}

func (l levelsSeen) explain(w io.Writer, style show.Style) error {
	if len(l) == 0 {
		return nil
	}
	if _, err := fmt.Fprintln(w); err != nil {
		return err
	}
	for _, level := range slices.Sorted(maps.Keys(l)) {
		if _, err := fmt.Fprintf(w, "%s  %s\n", level, style.Dim(verify.Meaning(level))); err != nil {
			return err
		}
	}
	return nil
}
