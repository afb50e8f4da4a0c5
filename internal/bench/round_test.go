package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/saypro/backupd/internal/config"
	"github.com/saypro/backupd/internal/market"
)

// The configuration that the benchmark writes is one that backupd accepts, and
// its functions together cover the data set.
func TestConfigureIsAccepted(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "round-0")
	if err := os.MkdirAll(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	b := &bench{sites: []*site{{name: "onsite", address: "127.0.0.1:1"}, {name: "cloud", address: "127.0.0.1:2"}}}
	file, err := b.configure(dir)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"BENCH_SECRET": secretKey, "BENCH_URL": "postgres://postgres@/market?host=/tmp/x&port=5432"}
	cfg, err := config.Parse(file, text, func(name string) (string, bool) { v, ok := env[name]; return v, ok })
	if err != nil {
		t.Fatal(err)
	}
	if len(cfg.Sites) != 2 || cfg.Sites["onsite"].Endpoint != "http://127.0.0.1:1" || cfg.MinSites != 2 {
		t.Errorf("sites: %+v, %d of them needed", cfg.Sites, cfg.MinSites)
	}
	for _, schema := range market.Schemas {
		if got := strings.Join(cfg.Functions[schema].Schemas, " "); got != schema {
			t.Errorf("function %s covers %q", schema, got)
		}
	}
}

func TestDurable(t *testing.T) {
	b := &bench{sites: []*site{{name: "onsite"}, {name: "cloud"}}}
	b.report.Rows = 30
	both := `"sites":{"onsite":{"state":"durable"},"cloud":{"state":"durable"}}`
	good := `{"function":"a","rows":10,` + both + `},{"function":"b","rows":10,` + both + `}`
	for _, test := range []struct{ name, out, want string }{
		{"good", `[` + good + `,{"function":"c","rows":10,` + both + `}]`, ""},
		{"a function is lacking", `[` + good + `]`, "2 functions"},
		{"rows are lacking", `[` + good + `,{"function":"c","rows":9,` + both + `}]`, "29 rows"},
		{"a site is behind", `[` + good + `,{"function":"c","rows":10,"sites":{"onsite":{"state":"durable"},"cloud":{"state":"spooled"}}}]`, `"spooled" at cloud`},
		{"not JSON", `done`, "invalid character"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := b.durable([]byte(test.out))
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("%v, want %q", err, test.want)
			}
		})
	}
}
