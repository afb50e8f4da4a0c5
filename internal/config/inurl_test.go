package config

import (
	"strings"
	"testing"
)

func TestVariableThatBreaksItsURLIsNamedAndNotShown(t *testing.T) {
	for value, good := range map[string]bool{
		"plain": true, "p@ss:w0rd!": true, "p%2Fss": true, "": true,
		"pa/ss": false, "pa?ss": false, "pa#ss": false, "pa%ss": false, "pa ss": false, "pass%": false, "pass%2": false, "pä": false, "[x]": false,
	} {
		getenv := func(name string) (string, bool) {
			if name == "DB_PASSWORD" {
				return value, true
			}
			return env(name)
		}
		text := edit(t, "backup:hunter2@", "backup:${DB_PASSWORD}@")
		_, err := Parse("x.yaml", []byte(text), getenv)
		if good {
			if err != nil {
				t.Errorf("%q: %v", value, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), "DB_PASSWORD") || !strings.Contains(err.Error(), "percent-encode") ||
			strings.Contains(err.Error(), value) {
			t.Errorf("%q: %v", value, err)
		}
	}
}

func TestVariablesElsewhereInAURLAreFree(t *testing.T) {
	getenv := func(string) (string, bool) { return "db:5432/market?sslmode=require", true }
	for _, raw := range []string{"${URL}", "postgres://backup@${PLACE}", "postgres://${PLACE}"} {
		if name := unencoded(raw, getenv); name != "" {
			t.Errorf("%s: %s is refused", raw, name)
		}
	}
}
