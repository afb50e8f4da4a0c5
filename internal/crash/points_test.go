package crash

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"testing"
)

// A name that is not in the list would be one that no test tries.
func TestEveryNameIsListed(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "points.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var names []Name
	ast.Inspect(file, func(n ast.Node) bool {
		decl, ok := n.(*ast.GenDecl)
		if !ok || decl.Tok != token.CONST {
			return true
		}
		for _, spec := range decl.Specs {
			value, err := strconv.Unquote(spec.(*ast.ValueSpec).Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			names = append(names, Name(value))
		}
		return false
	})
	listed := Points()
	slices.Sort(names)
	slices.Sort(listed)
	if len(names) == 0 || !slices.Equal(names, listed) {
		t.Errorf("names are %q\nlisted are %q", names, listed)
	}
}
