package config

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestOutlineNeedsNoSecrets(t *testing.T) {
	t.Setenv("PLACE", "/var/lib/backupd")
	path := filepath.Join(t.TempDir(), "backupd.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(`version: 1
data_dir: ${PLACE}
sites:
  onsite: {kind: minio, endpoint: "http://127.0.0.1:9000", bucket: b, access_key: "${NOBODY_SET_THIS}", secret_key_file: /nowhere}
  cloud: {kind: dir, path: "${NOR_THIS}"}
functions:
  payments: {source: market, rpo: 5m, rto: 1h}
  accounts: {source: market, rpo: soon, rto: 1h}
new_in_a_later_release: true
`)
	if _, err := Load(path); err == nil {
		t.Fatal("the configuration is whole, so this test shows nothing")
	}
	got, err := LoadOutline(path)
	if err != nil || got.DataDir != "/var/lib/backupd" || !slices.Equal(got.SiteOrder, []string{"onsite", "cloud"}) ||
		!slices.Equal(got.FunctionOrder, []string{"payments", "accounts"}) {
		t.Errorf("outline %+v %v", got, err)
	}
	for _, text := range []string{"data_dir: ${NOT_SET_EITHER}\n", "data_dir: here\n", "data_dir: [a]\n", "version: 1\n"} {
		write(text)
		if got, err := LoadOutline(path); err != nil || got.DataDir != "" {
			t.Errorf("%q: %+v %v", text, got, err)
		}
	}
	write("data_dir: [\n")
	if _, err := LoadOutline(path); err == nil {
		t.Error("what is not YAML has an outline")
	}
}
