package postgres

import "strings"

// canonical undoes the one way in which the server prints an expression
// differently after a dump and restore that is known to concern many
// databases: a list of values compared with a varchar column prints as
//
//	(ARRAY['a'::character varying, 'b'::character varying])::text[]
//
// and, read back in, as
//
//	ARRAY[('a'::character varying)::text, ('b'::character varying)::text]
//
// which means the same. The first is rewritten as the second.
func canonical(definition string) string {
	const start = "(ARRAY["
	var out strings.Builder
	for {
		at := strings.Index(definition, start)
		if at < 0 {
			break
		}
		rewritten, length, ok := pushCast(definition[at:])
		if !ok {
			rewritten, length = start, len(start)
		}
		out.WriteString(definition[:at])
		out.WriteString(rewritten)
		definition = definition[at+length:]
	}
	out.WriteString(definition)
	return out.String()
}

// pushCast rewrites "(ARRAY[a, b])::type[]" at the start of text as
// "ARRAY[(a)::type, (b)::type]" and returns how much of text that was.
func pushCast(text string) (rewritten string, length int, ok bool) {
	const open = len("(ARRAY[")
	items, end := splitList(text[open:])
	rest := text[open+end:]
	if end == 0 || !strings.HasPrefix(rest, "])::") {
		return "", 0, false
	}
	rest = rest[len("])::"):]
	kind, _, found := strings.Cut(rest, "[]")
	if !found || kind == "" || strings.ContainsAny(kind, "'[];=<>,:") {
		return "", 0, false
	}
	for i, item := range items {
		items[i] = "(" + item + ")::" + kind
	}
	length = open + end + len("])::") + len(kind) + len("[]")
	return "ARRAY[" + strings.Join(items, ", ") + "]", length, true
}

// splitList splits the items of a list at its top level and returns them with
// the position of the bracket that ends it, 0 when there is none.
func splitList(text string) (items []string, end int) {
	depth, from := 0, 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\'', '"':
			i += skipQuoted(text[i:])
		case '(', '[':
			depth++
		case ')':
			depth--
		case ']':
			if depth == 0 {
				return append(items, strings.TrimSpace(text[from:i])), i
			}
			depth--
		case ',':
			if depth == 0 {
				items = append(items, strings.TrimSpace(text[from:i]))
				from = i + 1
			}
		}
	}
	return nil, 0
}

// skipQuoted returns the distance from the quote that text begins with to the
// one that ends it. A doubled quote inside is two texts side by side, which
// comes to the same. The server prints backslashes doubled and marks such
// texts with E, so that they never stand before a closing quote alone.
func skipQuoted(text string) int {
	end := strings.IndexByte(text[1:], text[0])
	if end < 0 {
		return len(text) - 1
	}
	return end + 1
}
