package config

import (
	"bytes"
	"errors"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// maxNesting bounds the brackets open at once. The file needs three; the YAML
// parser recurses once for each.
const maxNesting = 100

// document parses data into the root of its only YAML document. With false,
// the problems say why it cannot be read at all.
func (d *decoder) document(data []byte) (ast.Node, bool) {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if !d.checkText(data) {
		return nil, false
	}
	file, ok := d.parse(data)
	if !ok {
		return nil, false
	}
	var root ast.Node
	for _, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		if root != nil {
			d.problemAt(position(doc.Body), "", "a second YAML document begins here", "keep one document; remove the line ---")
			return nil, false
		}
		root = doc.Body
	}
	if root == nil {
		d.problemAt(pos{1, 1}, "", "the file is empty", "begin with configs/backupd.yaml, which explains every line")
		return nil, false
	}
	return root, true
}

// checkText refuses what the YAML parser would explain badly or choke on.
func (d *decoder) checkText(data []byte) bool {
	if len(data) > maxFile {
		d.problemAt(pos{1, 1}, "", "the file is larger than 256 KiB", "this is hardly a configuration; name another file with --config")
		return false
	}
	for i, line := range strings.Split(string(data), "\n") {
		if bad := strings.IndexFunc(line, unprintable); bad >= 0 || !utf8.ValidString(line) {
			col := utf8.RuneCountInString(line[:max(bad, 0)]) + 1
			d.problemAt(pos{i + 1, col}, "", "not text in UTF-8", "save the file as plain UTF-8 text")
			return false
		}
		indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
		if tab := strings.IndexByte(indent, '\t'); tab >= 0 {
			d.problemAt(pos{i + 1, tab + 1}, "", "a tab in the indentation", "YAML knows only spaces there; write two spaces for each level")
		}
	}
	if at, deep := nesting(data); deep {
		d.problemAt(at, "", "brackets nested too deep", "the layout of the file needs no more than three levels")
	}
	return len(d.problems) == 0
}

func unprintable(r rune) bool {
	return r == utf8.RuneError || r == 0x7f || r < 0x20 && r != '\t' && r != '\r'
}

// nesting finds where more than maxNesting brackets are open at once. Quotes
// are not looked at: no sane text has so many.
func nesting(data []byte) (pos, bool) {
	at, open := pos{1, 0}, 0
	for _, r := range string(data) {
		at.column++
		switch r {
		case '\n':
			at = pos{at.line + 1, 0}
		case '[', '{':
			open++
		case ']', '}':
			open--
		}
		if open > maxNesting {
			return at, true
		}
	}
	return pos{}, false
}

// quoted finds pieces of the file inside a parser's message.
var quoted = regexp.MustCompile(`"[^"]*"`)

// parse turns what the YAML parser says into problems. Its annotated source is
// never shown: it would print the lines around, secrets among them.
func (d *decoder) parse(data []byte) (file *ast.File, ok bool) {
	defer func() {
		if recover() != nil { // a bug of the parser, met by fuzzing; the file is bad either way
			d.problemAt(pos{1, 1}, "", "not valid YAML", "compare with configs/backupd.yaml")
			file, ok = nil, false
		}
	}()
	file, err := parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey())
	if err == nil {
		return file, true
	}
	at, message := pos{1, 1}, "not valid YAML"
	var ye yaml.Error
	if errors.As(err, &ye) {
		message += ": " + quoted.ReplaceAllString(ye.GetMessage(), "…")
		if t := ye.GetToken(); t != nil && t.Position != nil {
			at = pos{t.Position.Line, t.Position.Column}
		}
	}
	d.problemAt(at, "", message, "check indentation, brackets and quotes here and on the line before; texts with : # , { or * belong in quotes")
	return nil, false
}
