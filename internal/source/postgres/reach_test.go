package postgres

import (
	"strings"
	"testing"
)

func TestServerThatCannotBeReachedIsSaidOnceWithWhatToDo(t *testing.T) {
	for address, next := range map[string]string{
		"postgres://u:pa55@127.0.0.1:1/x": "check host and port",
		"postgres://u@nosuch.invalid/x":   "check the name of the host",
		"postgres://u@/x?host=/nowhere":   "check host and port",
	} {
		_, err := Connect(t.Context(), TargetOptions{URL: address})
		if err == nil {
			t.Fatalf("%s answers", address)
		}
		_, administered := UnfinishedDatabases(t.Context(), address)
		for _, err := range []error{err, administered} {
			text := err.Error()
			if strings.Contains(text, "\n") || strings.Contains(text, "pa55") || strings.Count(text, next) != 1 {
				t.Errorf("%s: %s", address, text)
			}
			for _, cause := range []string{"connection refused", "no such host", "no such file"} {
				if strings.Count(text, cause) > 1 {
					t.Errorf("%s says %q more than once: %s", address, cause, text)
				}
			}
		}
	}
}
