package config

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"strings"

	"github.com/invopop/jsonschema"
)

// The types' comments are the only place where keys are described.
//
//go:embed types.go
var typesSource string

// Schema returns the JSON Schema of the configuration file, for editors.
func Schema() ([]byte, error) {
	comments, err := typeComments()
	if err != nil {
		return nil, fmt.Errorf("schema of the configuration: %w", err)
	}
	r := &jsonschema.Reflector{
		Anonymous: true, ExpandedStruct: true, FieldNameTag: "yaml", RequiredFromJSONSchemaTags: true,
		Mapper: schemaOf,
		LookupComment: func(t reflect.Type, field string) string {
			return comments[t.Name()+"."+field]
		},
	}
	s := r.Reflect(&Config{})
	s.Title = "backupd configuration"
	for _, section := range []string{"sites", "sources", "functions"} {
		if p, ok := s.Properties.Get(section); ok {
			p.PropertyNames = &jsonschema.Schema{Pattern: names.String()}
			one := uint64(1)
			p.MinProperties = &one
		}
	}
	allowNever(s)
	out, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("schema of the configuration: %w", err)
	}
	return append(out, '\n'), nil
}

// allowNever adds the word to the durations that it may stand for.
func allowNever(s *jsonschema.Schema) {
	for section, keys := range map[string][]string{"Scrub": {"every"}, "Drills": {"controls_every"}, "Prove": {"rotate", "cold_every"}} {
		def, ok := s.Definitions[section]
		if !ok {
			continue
		}
		for _, key := range keys {
			if duration, ok := def.Properties.Get(key); ok {
				duration.Pattern += "|^never$"
			}
		}
	}
}

// schemaOf describes the types that are texts in the file.
func schemaOf(t reflect.Type) *jsonschema.Schema {
	switch t {
	case durationType:
		return &jsonschema.Schema{Type: "string", Pattern: durationForm.String() + `|\$\{`, Examples: []any{"30s", "15m", "6h", "1d", "1w"}}
	case sizeType:
		return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{
			{Type: "string", Pattern: sizeForm.String() + `|\$\{`, Examples: []any{"512KiB", "20MiB", "32GiB", "1TiB"}},
			{Type: "integer", Minimum: "0"},
		}}
	case percentType:
		return &jsonschema.Schema{Type: "string", Pattern: percentForm.String() + `|\$\{`, Examples: []any{"50%"}}
	case secretType:
		return &jsonschema.Schema{Type: "string"}
	}
	return nil
}

// typeComments returns the comments of the types and their fields, by
// Type.Field, and by Type. for the type itself.
func typeComments() (map[string]string, error) {
	file, err := parser.ParseFile(token.NewFileSet(), "types.go", typesSource, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	comments := map[string]string{}
	for _, decl := range file.Decls {
		gen, ok := decl.(*ast.GenDecl)
		if !ok || gen.Tok != token.TYPE {
			continue
		}
		for _, spec := range gen.Specs {
			ts := spec.(*ast.TypeSpec)
			comments[ts.Name.Name+"."] = oneLine(gen.Doc)
			st, ok := ts.Type.(*ast.StructType)
			if !ok {
				continue
			}
			for _, f := range st.Fields.List {
				for _, n := range f.Names {
					comments[ts.Name.Name+"."+n.Name] = oneLine(f.Doc)
				}
			}
		}
	}
	return comments, nil
}

func oneLine(g *ast.CommentGroup) string {
	return strings.Join(strings.Fields(g.Text()), " ")
}
