package config

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
)

// pos is a place in the file; both count from 1.
type pos struct{ line, column int }

// decoder fills Go values from a YAML tree and remembers where each came from,
// so that later checks can point at the place. It goes on after a problem.
type decoder struct {
	file     string
	getenv   func(string) (string, bool)
	problems Problems
	anchors  map[string]ast.Node
	at       map[string]pos      // path of a value → where it stands
	raw      map[string]string   // path of a text → as written, before variables
	keys     map[string][]string // path of a mapping → its keys in order
	bad      map[string]bool     // paths whose value is of no use: it has a problem already
	odd      map[string]bool     // mappings with keys that nobody knows
}

func newDecoder(file string, getenv func(string) (string, bool)) *decoder {
	return &decoder{
		file: file, getenv: getenv, anchors: map[string]ast.Node{},
		at: map[string]pos{}, raw: map[string]string{}, keys: map[string][]string{}, bad: map[string]bool{}, odd: map[string]bool{},
	}
}

// problemAt reports a problem that makes the value at path useless.
func (d *decoder) problemAt(at pos, path, message, hint string) {
	d.bad[path] = true
	d.note(at, path, message, hint)
}

// note reports a problem that leaves the value at path as it is.
func (d *decoder) note(at pos, path, message, hint string) {
	at = pos{max(at.line, 1), max(at.column, 1)}
	d.problems = append(d.problems, Problem{File: d.file, Line: at.line, Column: at.column, Path: path, Message: message, Hint: hint})
}

// problem reports at the place of path, or of the nearest key that holds it.
func (d *decoder) problem(path, message, hint string) {
	for p := path; ; p = parent(p) {
		if at, ok := d.at[p]; ok || p == "" {
			d.problemAt(at, path, message, hint)
			return
		}
	}
}

func parent(path string) string {
	if i := strings.LastIndexByte(path, '.'); i >= 0 {
		return path[:i]
	}
	return ""
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// has says whether the file gives a value for path.
func (d *decoder) has(path string) bool {
	_, ok := d.at[path]
	return ok
}

// shown quotes the text at path as it is written, for a message. It never
// shows what a variable was replaced with.
func (d *decoder) shown(path string) string { return quote(d.raw[path]) }

func quote(s string) string {
	if r := []rune(s); len(r) > 60 {
		s = string(r[:60]) + "…"
	}
	return strconv.Quote(s)
}

func position(n ast.Node) pos {
	if t := n.GetToken(); t != nil && t.Position != nil {
		return pos{t.Position.Line, t.Position.Column}
	}
	return pos{1, 1}
}

// decode fills cfg from the document's root.
func (d *decoder) decode(root ast.Node, cfg *Config) {
	d.at[""] = pos{1, 1}
	d.value("", root, reflect.ValueOf(cfg).Elem())
	cfg.SiteOrder = d.keys["sites"]
	cfg.FunctionOrder = d.keys["functions"]
	for name, f := range cfg.Functions {
		f.Name = name
		cfg.Functions[name] = f
	}
}

var (
	durationType = reflect.TypeFor[time.Duration]()
	sizeType     = reflect.TypeFor[Size]()
	secretType   = reflect.TypeFor[Secret]()
	percentType  = reflect.TypeFor[Percent]()
)

// value fills v, which stands at path, from n. Null means: not given.
func (d *decoder) value(path string, n ast.Node, v reflect.Value) {
	n, ok := d.plain(path, n)
	if !ok || n.Type() == ast.NullType {
		return
	}
	if path != "" {
		d.at[path] = position(n)
	}
	switch {
	case v.Type() == durationType:
		d.duration(path, n, v)
	case v.Type() == sizeType:
		d.size(path, n, v)
	case v.Type() == percentType:
		d.percent(path, n, v)
	case v.Kind() == reflect.String:
		d.text(path, n, v)
	case v.Kind() == reflect.Int:
		d.integer(path, n, v)
	case v.Kind() == reflect.Bool:
		d.boolean(path, n, v)
	case v.Kind() == reflect.Float64:
		d.number(path, n, v)
	case v.Kind() == reflect.Slice:
		d.list(path, n, v)
	case v.Kind() == reflect.Pointer: // to a struct that may be left out
		v.Set(reflect.New(v.Type().Elem()))
		d.mapping(path, n, v.Elem())
	default: // struct or map: the only other kinds in the types
		d.mapping(path, n, v)
	}
}

// plain follows aliases and takes anchors and tags off.
func (d *decoder) plain(path string, n ast.Node) (ast.Node, bool) {
	for range 10 {
		switch t := n.(type) {
		case *ast.AnchorNode:
			d.anchors[t.Name.GetToken().Value] = t.Value
			n = t.Value
		case *ast.AliasNode:
			to, ok := d.anchors[t.Value.GetToken().Value]
			if !ok {
				d.problemAt(position(n), path, "an alias without an anchor before it", "write &NAME at the first use and *NAME here; a text that begins with * belongs in quotes")
				return nil, false
			}
			n = to
		case *ast.TagNode:
			n = t.Value
		case nil:
			return ast.Null(nil), true
		default:
			return n, true
		}
	}
	d.problem(path, "aliases that never end", "write the value itself")
	return nil, false
}

// scalar returns the text of n as it is written, quotes taken off.
func (d *decoder) scalar(path string, n ast.Node, want string) (string, bool) {
	switch t := n.(type) {
	case *ast.StringNode:
		return t.Value, true
	case *ast.LiteralNode:
		return t.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	}
	d.problemAt(position(n), path, fmt.Sprintf("%s is expected here, not %s", want, kind(n)), "see configs/backupd.yaml")
	return "", false
}

func kind(n ast.Node) string {
	switch n.(type) {
	case ast.MapNode:
		return "keys with values"
	case ast.ArrayNode:
		return "a list"
	}
	return "a single value"
}

// expanded is scalar with its variables replaced. It remembers the raw text,
// except of secrets.
func (d *decoder) expanded(path string, n ast.Node, want string, secret bool) (string, bool) {
	raw, ok := d.scalar(path, n, want)
	if !ok {
		return "", false
	}
	if !secret {
		d.raw[path] = raw
	}
	text, err := expand(raw, d.getenv)
	if err != nil {
		d.problemAt(position(n), path, err.message, err.hint)
		return "", false
	}
	if secret {
		d.checkInURL(position(n), path, raw)
	}
	return text, true
}

func (d *decoder) text(path string, n ast.Node, v reflect.Value) {
	if s, ok := d.expanded(path, n, "a text", v.Type() == secretType); ok {
		v.SetString(s)
	}
}

func (d *decoder) list(path string, n ast.Node, v reflect.Value) {
	seq, ok := n.(ast.ArrayNode)
	if !ok {
		d.problem(path, "a list is expected here", "write [a, b], or one line per entry that begins with a dash")
		return
	}
	for i, it := 0, seq.ArrayRange(); it.Next(); i++ {
		item := reflect.New(v.Type().Elem()).Elem()
		d.value(fmt.Sprintf("%s.%d", path, i), it.Value(), item)
		v.Set(reflect.Append(v, item))
	}
}

// mapping fills a struct by the names in its yaml tags, or a map of structs.
func (d *decoder) mapping(path string, n ast.Node, v reflect.Value) {
	m, ok := n.(ast.MapNode)
	if !ok {
		d.problemAt(position(n), path, "keys with values are expected here, not "+kind(n), "see configs/backupd.yaml")
		return
	}
	if v.Kind() == reflect.Map {
		v.Set(reflect.MakeMap(v.Type()))
	}
	for it := m.MapRange(); it.Next(); {
		key, ok := d.key(path, it.KeyValue())
		if !ok {
			continue
		}
		if slices.Contains(d.keys[path], key) {
			d.problemAt(position(it.Key()), join(path, key), "this key is given twice", "keep one of the two")
			continue
		}
		if v.Kind() == reflect.Map {
			d.entry(path, key, it, v)
		} else {
			d.field(path, key, it, v)
		}
	}
}

// key returns a mapping's key as a plain text.
func (d *decoder) key(path string, kv *ast.MappingValueNode) (string, bool) {
	if kv.Key.IsMergeKey() {
		d.note(position(kv.Key), path, "merge keys (<<) are not read", "write the keys out; single values may be shared with &NAME and *NAME")
		return "", false
	}
	if s, ok := kv.Key.(*ast.StringNode); ok {
		return s.Value, true
	}
	// Numbers and the like read as the text that they are written with.
	switch kv.Key.(type) {
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.NullNode:
		return kv.Key.GetToken().Value, true
	}
	d.note(position(kv.Key), path, "a key must be a plain word", "see configs/backupd.yaml")
	return "", false
}

// names of sites, sources and functions become parts of object names,
// metrics and command lines.
var names = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,62}$`)

func (d *decoder) entry(path, key string, it *ast.MapNodeIter, v reflect.Value) {
	if !names.MatchString(key) {
		message := "this is no name for one of the " + path
		if len(key) < 64 && !strings.ContainsAny(key, "$:/@\n") {
			message = quote(key) + " is no name for one of the " + path
		}
		d.problemAt(position(it.Key()), path, message, "write a small letter, then small letters, digits, - or _, at most 63 in all")
		return
	}
	d.keys[path] = append(d.keys[path], key)
	at := join(path, key)
	item := reflect.New(v.Type().Elem()).Elem()
	d.value(at, it.Value(), item)
	d.at[at] = position(it.Key()) // what is missing is reported at the name
	v.SetMapIndex(reflect.ValueOf(key), item)
}

func (d *decoder) field(path, key string, it *ast.MapNodeIter, v reflect.Value) {
	known := fields(v.Type())
	i, ok := known[key]
	if !ok {
		d.unknown(path, key, it, known)
		return
	}
	d.keys[path] = append(d.keys[path], key)
	at := join(path, key)
	d.value(at, it.Value(), v.Field(i))
	if k := v.Field(i).Kind(); d.has(at) && (k == reflect.Struct || k == reflect.Map || k == reflect.Pointer) {
		d.at[at] = position(it.Key()) // what is missing inside is reported at the key
	}
}

// fields returns the indexes of a struct's fields by their names in the file.
func fields(t reflect.Type) map[string]int {
	m := map[string]int{}
	for i := range t.NumField() {
		if name := t.Field(i).Tag.Get("yaml"); name != "-" {
			m[name] = i
		}
	}
	return m
}

// word is what a key looks like. Other texts in its place may be pieces of an
// unquoted password and are not repeated in messages.
var word = regexp.MustCompile(`^[a-z][a-z_]{0,30}$`)

func (d *decoder) unknown(path, key string, it *ast.MapNodeIter, known map[string]int) {
	d.odd[path] = true
	var all []string
	for name := range known {
		all = append(all, name)
	}
	slices.Sort(all)
	near := nearest(strings.ToLower(key), all)
	hint := "known here: " + strings.Join(all, ", ")
	if near != "" {
		hint = fmt.Sprintf("did you mean %q?", near)
	}
	_, null := it.Value().(*ast.NullNode)
	if near == "" && (null || !word.MatchString(key)) {
		d.note(position(it.Key()), path, "an unknown key", "a text with a comma, colon or bracket belongs in quotes; "+hint)
		return
	}
	d.note(position(it.Key()), join(path, key), "unknown key", hint)
}
