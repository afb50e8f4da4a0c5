package pgserver

import "strings"

// tail returns the end of a program's output, short enough for an error.
func tail(output []byte) string {
	const most = 2000
	text := strings.TrimSpace(string(output))
	if len(text) > most {
		text = "…" + text[len(text)-most:]
	}
	return text
}
