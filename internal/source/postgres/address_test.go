package postgres

import (
	"strings"
	"testing"
)

func TestAddressesAreReadWithoutTheirPasswords(t *testing.T) {
	for address, want := range map[string]string{
		"postgres://user:pa55@db.internal/market":                 "market at db.internal:5432",
		"postgresql://user:pa55@[::1]:5433/market?sslmode=prefer": "market at [::1]:5433",
		"postgres://user@/market?host=/run/pg&port=5432":          "market at /run/pg",
		"host=db.internal user=user password=pa55 dbname=market":  "market at db.internal:5432",
		"postgres://user:pa55@db.internal/?dbname=market":         "market at db.internal:5432",
	} {
		got, err := ParseAddress(address)
		if err != nil || got.String() != want || got.Database != "market" {
			t.Errorf("%s: %q %v", address, got, err)
		}
	}
	for address, word := range map[string]string{
		"postgres://user:pa55@db.internal":     "no database",
		"postgres://user:pa55@db.internal/":    "no database",
		"mysql://user:pa55@db.internal/market": "not an address",
		"postgres://user:pa55@db:port/market":  "not an address",
	} {
		_, err := ParseAddress(address)
		if err == nil || !strings.Contains(err.Error(), word) || strings.Contains(err.Error(), "pa55") {
			t.Errorf("%s: %v", address, err)
		}
	}
}
