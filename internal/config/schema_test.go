package config

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

var schemaFile = filepath.Join("..", "..", "configs", "backupd.schema.json")

func TestSchemaFileIsGenerated(t *testing.T) {
	got, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(schemaFile, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s is not what the types say (-file +types); run this test with -update:\n%s", schemaFile, diff)
	}
}

func compiled(t *testing.T) *jsonschema.Schema {
	t.Helper()
	text, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("backupd.schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("backupd.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// validate checks a YAML text as an editor does, with the schema alone.
func validate(t *testing.T, s *jsonschema.Schema, text string) error {
	t.Helper()
	asJSON, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(asJSON))
	if err != nil {
		t.Fatal(err)
	}
	return s.Validate(doc)
}

func TestSchemaAcceptsTheConfigurations(t *testing.T) {
	s := compiled(t)
	files, err := filepath.Glob(filepath.Join("..", "..", "configs", "*.yaml"))
	if err != nil || len(files) < 2 {
		t.Fatalf("configurations: %v, %v", files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := validate(t, s, string(text)); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		if !bytes.HasPrefix(text, []byte("# yaml-language-server: $schema=")) {
			t.Errorf("%s does not tell editors its schema in the first line", file)
		}
	}
	if err := validate(t, s, base); err != nil {
		t.Errorf("base: %v", err)
	}
	if err := validate(t, s, edit(t, storageKeys...)); err != nil {
		t.Errorf("base with the keys of storage: %v", err)
	}
}

func TestSchemaRefuses(t *testing.T) {
	s := compiled(t)
	for name, pairs := range map[string][]string{
		"unknown key at the top":    {"version: 1", "version: 1\ncolour: red"},
		"unknown key of a function": {"rto: 1h", "rto: 1h\n    colour: red"},
		"unknown key of a site":     {"kind: s3", "kind: s3, colour: red"},
		"unknown key of proofs":     {"rto: 1h", "rto: 1h\n    prove: {colour: red}"},
		"another version":           {"version: 1", "version: 2"},
		"bad duration":              {"rpo: 5m", "rpo: soon"},
		"duration without unit":     {"rpo: 5m", "rpo: 300"},
		"unknown kind":              {"kind: minio", "kind: tape"},
		"level of a cold start":     {"rto: 1h", "rto: 1h\n    prove: {level: L7}"},
		"check without a query":     {"rto: 1h", "rto: 1h\n    checks: [{name: a, expect: 1}]"},
		"check with another key":    {"rto: 1h", "rto: 1h\n    checks: [{name: a, sql: SELECT 1, expected: 1}]"},
		"rpo missing":               {"    rpo: 5m\n", ""},
		"no recipient":              {"[" + recipient + "]", "[]"},
		"bad size":                  {"version: 1", "version: 1\nspool: {max_bytes: plenty}"},
		"size in another spelling":  {"version: 1", "version: 1\nspool: {max_bytes: 32G}"},
		"negative size":             {"version: 1", "version: 1\nspool: {max_bytes: -1}"},
		"scrub off by zero":         {"version: 1", "version: 1\nscrub: {every: off}"},
		"rpo never":                 {"rpo: 5m", "rpo: never"},
		"lock without time":         {"kind: s3,", "kind: s3, lock: {mode: compliance},"},
		"lock of another mode":      {"kind: s3,", "kind: s3, lock: {mode: hard, for: 35d},"},
		"price as text":             {"kind: s3,", "kind: s3, request_prices: {read: cheap},"},
		"negative keep":             {"rto: 1h", "rto: 1h\n    keep: {last: -1}"},
		"share without unit":        {"rto: 1h", "rto: 1h\n    suspect: {rows_drop: 50}"},
		"bad name":                  {"  cloud:", "  Cloud:"},
		"too many connections":      {"{kind: postgres,", "{kind: postgres, connections: 1000,"},
	} {
		if err := validate(t, s, edit(t, pairs...)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestEveryKeyIsDescribed: the comment of a field is what editors show.
func TestEveryKeyIsDescribed(t *testing.T) {
	comments, err := typeComments()
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []any{Config{}, Keys{}, Evidence{}, Anchor{}, Mail{}, Site{}, Source{}, Function{}, Prove{}, Scratch{}, Spool{}, Scrub{}, Sweep{}, Drills{}, Lock{}, RequestPrices{}, Keep{}} {
		for _, f := range fieldNames(v) {
			if comments[f] == "" {
				t.Errorf("%s has no comment", f)
			}
		}
	}
}
