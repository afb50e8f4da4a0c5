package config

import (
	"fmt"
	"io"
	"log/slog"
)

// hidden is what every Secret looks like from outside.
const hidden = "[secret]"

// Secret is a text that never shows itself in logs, errors or answers.
type Secret string

// Reveal returns the secret itself, for the one call that needs it.
func (s Secret) Reveal() string { return string(s) }

// String hides the secret from fmt and everything built on it.
func (Secret) String() string { return hidden }

// GoString hides it from %#v.
func (Secret) GoString() string { return hidden }

// LogValue hides it from slog.
func (Secret) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText hides it from JSON and YAML.
func (Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// Format keeps the secret out of verbs that do not ask for a string: %d and
// others would print the text itself inside their complaint.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, hidden) }
