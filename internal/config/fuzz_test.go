package config

import (
	"errors"
	"strings"
	"testing"
)

// FuzzParse: no text makes Parse panic, every problem has a place in the file,
// and nothing that came from a variable shows in a message.
func FuzzParse(f *testing.F) {
	f.Add(base)
	for _, c := range bad {
		text := base
		for i := 0; i < len(c.pairs); i += 2 {
			text = strings.Replace(text, c.pairs[i], c.pairs[i+1], 1)
		}
		f.Add(text)
	}
	const value = "qzxv-from-the-environment"
	getenv := func(string) (string, bool) { return value, true }
	f.Fuzz(func(t *testing.T, text string) {
		cfg, err := Parse("fuzz.yaml", []byte(text), getenv)
		if err == nil {
			if cfg == nil || len(cfg.Sites) == 0 || len(cfg.Functions) == 0 {
				t.Fatalf("accepted without sites or functions: %+v", cfg)
			}
			return
		}
		var ps Problems
		if !errors.As(err, &ps) || len(ps) == 0 {
			t.Fatalf("no problems but %v", err)
		}
		lines := strings.Count(text, "\n") + strings.Count(text, "\r") + 1
		for _, p := range ps {
			if p.File != "fuzz.yaml" || p.Line < 1 || p.Line > lines || p.Column < 1 || p.Message == "" || p.Hint == "" {
				t.Fatalf("problem without place, message or hint in %d lines: %+v", lines, p)
			}
		}
		if strings.Contains(err.Error(), value) && !strings.Contains(text, value) {
			t.Fatalf("shows a variable's value: %v", err)
		}
	})
}
