// Package schematest derives JSON Schemas from Go types, with their comments, and
// holds documents against the ones that are published: so no field is added,
// removed or changed without its schema.
package schematest

import (
	"bytes"
	"encoding/json"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

var write = flag.Bool("schemas", false, "write the published schemas anew")

// Source says where the types of a package are written, for their comments.
type Source struct {
	Package string // its last element, "report"
	Dir     string
}

// Deriver makes a schema of a Go type.
type Deriver struct {
	comments map[string]string // by "package.Type" and "package.Type.Field"
	enums    map[string][]string
	defs     map[string]any
}

// New reads the comments of sources. Enums are the values of types that have no
// others, by "package.Type".
func New(t *testing.T, enums map[string][]string, sources ...Source) *Deriver {
	t.Helper()
	d := &Deriver{comments: map[string]string{}, enums: enums}
	for _, s := range sources {
		d.read(t, s)
	}
	return d
}

func (d *Deriver) read(t *testing.T, s Source) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(s.Dir, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no sources in %s: %v", s.Dir, err)
	}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range file.Decls {
			if gen, ok := decl.(*ast.GenDecl); ok && gen.Tok == token.TYPE {
				for _, spec := range gen.Specs {
					d.note(s.Package, spec.(*ast.TypeSpec), gen.Doc)
				}
			}
		}
	}
}

func (d *Deriver) note(pkg string, spec *ast.TypeSpec, doc *ast.CommentGroup) {
	d.comments[pkg+"."+spec.Name.Name] = line(doc)
	of, ok := spec.Type.(*ast.StructType)
	if !ok {
		return
	}
	for _, f := range of.Fields.List {
		text := line(f.Doc)
		if text == "" {
			text = line(f.Comment)
		}
		for _, name := range f.Names {
			d.comments[pkg+"."+spec.Name.Name+"."+name.Name] = text
		}
	}
}

func line(c *ast.CommentGroup) string { return strings.Join(strings.Fields(c.Text()), " ") }

// Derive returns the schema of the type of v.
func (d *Deriver) Derive(t *testing.T, v any, id, title string) []byte {
	t.Helper()
	d.defs = map[string]any{}
	root := d.of(reflect.TypeOf(v))
	out := map[string]any{
		"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": id, "title": title, "$ref": root["$ref"], "$defs": d.defs,
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(out); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

var timeType = reflect.TypeFor[time.Time]()

func (d *Deriver) of(t reflect.Type) map[string]any {
	switch {
	case t == timeType:
		return map[string]any{"type": "string", "format": "date-time"}
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8:
		return map[string]any{"type": "string", "contentEncoding": "base64"}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return d.of(t.Elem())
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.String:
		if values, ok := d.enums[t.String()]; ok {
			return map[string]any{"type": "string", "enum": values}
		}
		return map[string]any{"type": "string"}
	case reflect.Float32, reflect.Float64:
		return map[string]any{"type": "number"}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return map[string]any{"type": "integer", "minimum": 0}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return map[string]any{"type": "integer"}
	case reflect.Slice, reflect.Array:
		return map[string]any{"type": "array", "items": d.of(t.Elem())}
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": d.of(t.Elem())}
	case reflect.Struct:
		return d.object(t)
	default:
		panic("no schema for " + t.String())
	}
}

func (d *Deriver) object(t reflect.Type) map[string]any {
	ref := map[string]any{"$ref": "#/$defs/" + t.String()}
	if _, ok := d.defs[t.String()]; ok {
		return ref
	}
	def := map[string]any{"type": "object"}
	d.defs[t.String()] = def // before its fields, which may refer to it
	properties, required := map[string]any{}, []string{}
	d.fields(t, properties, &required)
	slices.Sort(required)
	def["properties"], def["required"] = properties, required
	if text := d.comments[t.String()]; text != "" {
		def["description"] = text
	}
	return ref
}

func (d *Deriver) fields(t reflect.Type, properties map[string]any, required *[]string) {
	for f := range fieldsOf(t) {
		tag := f.Tag.Get("json")
		name, options, _ := strings.Cut(tag, ",")
		if f.Anonymous && name == "" {
			d.fields(f.Type, properties, required)
			continue
		}
		if !f.IsExported() || tag == "-" {
			continue
		}
		if name == "" {
			name = f.Name
		}
		schema := d.of(f.Type)
		may := strings.Contains(options, "omitempty") || strings.Contains(options, "omitzero")
		if f.Type.Kind() == reflect.Pointer && !may {
			schema = map[string]any{"anyOf": []any{schema, map[string]any{"type": "null"}}}
		}
		if text := d.comments[t.String()+"."+f.Name]; text != "" {
			schema["description"] = text
		}
		properties[name] = schema
		if !may && !slices.Contains(*required, name) {
			*required = append(*required, name)
		}
	}
}

// fieldsOf yields the fields of a struct, what is embedded first: a field of its
// own covers one of that name.
func fieldsOf(t reflect.Type) func(yield func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for _, anonymous := range []bool{true, false} {
			for i := range t.NumField() {
				if f := t.Field(i); f.Anonymous == anonymous && !yield(f) {
					return
				}
			}
		}
	}
}

// Published holds the schema in a file against the one that is derived; with the
// flag -schemas it is written anew.
func Published(t *testing.T, file string, derived []byte) {
	t.Helper()
	if *write {
		if err := os.WriteFile(file, derived, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(have), string(derived)); diff != "" {
		t.Errorf("%s is not what the types are (-published +types), go test -schemas writes it anew:\n%s", file, diff)
	}
}

// Valid holds a document against a published schema. It may have no field that
// the schema does not name, though whoever reads one has to expect such.
func Valid(t *testing.T, file string, document []byte) {
	t.Helper()
	text, err := fs.ReadFile(os.DirFS(filepath.Dir(file)), filepath.Base(file))
	if err != nil {
		t.Fatal(err)
	}
	schema, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, def := range schema.(map[string]any)["$defs"].(map[string]any) {
		def.(map[string]any)["additionalProperties"] = false
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("schema.json", schema); err != nil {
		t.Fatal(err)
	}
	compiled, err := c.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(document))
	if err != nil {
		t.Fatal(err)
	}
	if err := compiled.Validate(value); err != nil {
		t.Errorf("a document does not meet %s: %v", file, err)
	}
}
