package postgres

import (
	"fmt"
	"slices"
	"strings"
)

// Unrestored is a foreign key that was not restored as it was in the source.
type Unrestored struct {
	Reference
	// Reason says why, and what was done instead.
	Reason string `json:"reason"`
}

// String names the foreign key and the reason.
func (u Unrestored) String() string {
	return fmt.Sprintf("%s on %s, to %s: %s", displayName(u.Constraint), display(u.Schema, u.Table),
		display(u.ToSchema, u.ToTable), u.Reason)
}

// SelectTables returns the tables of the archive that a restore of wanted
// would bring back: wanted itself, and below a partitioned table all of its
// partitions. Tables that the archive does not hold are an error that names
// them.
func SelectTables(archivePath string, wanted []TableName) ([]TableName, error) {
	a, err := openArchive(archivePath)
	if err != nil {
		return nil, err
	}
	ids, err := a.tables(wanted)
	if err != nil {
		return nil, err
	}
	var names []TableName
	for _, e := range a.entries {
		if ids[e.id] {
			names = append(names, TableName{Schema: e.namespace, Name: e.tag})
		}
	}
	return names, nil
}

// tables returns the entries of the wanted tables and of their partitions.
func (a *archive) tables(wanted []TableName) (idSet, error) {
	ids := idSet{}
	var missing []string
	for _, name := range wanted {
		i := slices.IndexFunc(a.entries, func(e entry) bool {
			return e.kind == "TABLE" && e.namespace == name.Schema && e.tag == name.Name
		})
		if i < 0 {
			missing = append(missing, name.String())
			continue
		}
		ids[a.entries[i].id] = true
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("the recovery point holds no table %s", strings.Join(missing, ", "))
	}
	for grown := true; grown; {
		grown = false
		for i := range a.entries {
			child, parent := a.attachment(&a.entries[i])
			if child != nil && child.kind == "TABLE" && ids[parent.id] && !ids[child.id] {
				ids[child.id], grown = true, true
			}
		}
	}
	return ids, nil
}

// attachment returns the part and the whole that a TABLE ATTACH or an INDEX
// ATTACH is about; nil for other entries.
func (a *archive) attachment(e *entry) (child, parent *entry) {
	kinds := []string{"TABLE"}
	switch e.kind {
	case "TABLE ATTACH":
	case "INDEX ATTACH":
		kinds = []string{"INDEX", "CONSTRAINT"}
	default:
		return nil, nil
	}
	for _, id := range e.needs {
		n := a.get(id)
		switch {
		case n == nil || !slices.Contains(kinds, n.kind):
		case n.namespace == e.namespace && (n.tag == e.tag || n.kind == "CONSTRAINT" && strings.HasSuffix(n.tag, " "+e.tag)):
			child = n
		default:
			parent = n
		}
	}
	if child == nil || parent == nil {
		return nil, nil
	}
	return child, parent
}

// detach takes from partitions and their indexes the need for that which they
// are attached to: they can stand alone, and the attachment is an entry of its
// own.
func (a *archive) detach() {
	for i := range a.entries {
		child, parent := a.attachment(&a.entries[i])
		if child != nil {
			child.needs = slices.DeleteFunc(child.needs, func(id int) bool { return id == parent.id })
		}
	}
}

// tableKinds are the kinds of entries that belong to one table.
var tableKinds = []string{
	"INDEX", "CONSTRAINT", "FK CONSTRAINT", "CHECK CONSTRAINT", "TRIGGER", "RULE", "POLICY", "ROW SECURITY",
	"DEFAULT", "SEQUENCE", "SEQUENCE OWNED BY", "STATISTICS", "TABLE ATTACH", "INDEX ATTACH",
}

// choice is what of an archive is restored.
type choice struct {
	ids  idSet
	left []Unrestored // foreign keys to tables that are not restored
	lost []string     // other things of the chosen tables that are not
}

// choose returns what belongs to the wanted tables: they themselves, what
// they own, and what all that needs. With none wanted it is everything.
func (a *archive) choose(wanted []TableName) (choice, error) {
	if len(wanted) == 0 {
		return choice{ids: a.where(func(*entry) bool { return true })}, nil
	}
	tables, err := a.tables(wanted)
	if err != nil {
		return choice{}, err
	}
	a.detach()
	c := choice{ids: idSet{}}
	for id := range tables {
		a.addNeeded(c.ids, id)
	}
	for grown := true; grown; {
		grown = false
		for i := range a.entries {
			e := &a.entries[i]
			if !c.ids[e.id] && slices.Contains(tableKinds, e.kind) && a.belongs(e, c.ids) && a.absent(e, c.ids) == nil {
				a.addNeeded(c.ids, e.id)
				grown = true
			}
		}
	}
	a.tellLost(&c, tables)
	c.ids = a.withNotes(c.ids)
	return c, nil
}

// addNeeded adds an entry and all that it needs.
func (a *archive) addNeeded(ids idSet, id int) {
	e := a.get(id)
	if e == nil || ids[id] {
		return
	}
	ids[id] = true
	for _, need := range e.needs {
		a.addNeeded(ids, need)
	}
}

// belongs reports whether the entry is owned by a relation or index in ids.
func (a *archive) belongs(e *entry, ids idSet) bool {
	if owner := a.owner(e); owner != nil {
		return ids[owner.id]
	}
	return slices.ContainsFunc(e.needs, func(id int) bool {
		n := a.get(id)
		return n != nil && ids[id] && (n.kind == "TABLE" || n.kind == "INDEX" || n.kind == "CONSTRAINT" || n.kind == "SEQUENCE")
	})
}

// owner returns the table whose name begins the tag of a constraint, trigger
// or the like, nil when there is none.
func (a *archive) owner(e *entry) *entry {
	for _, id := range e.needs {
		n := a.get(id)
		if n != nil && n.kind == "TABLE" && n.namespace == e.namespace && (e.tag == n.tag || strings.HasPrefix(e.tag, n.tag+" ")) {
			return n
		}
	}
	return nil
}

// absent returns a table, view or part of one that the entry needs and that
// is not in ids.
func (a *archive) absent(e *entry, ids idSet) *entry {
	for _, id := range e.needs {
		n := a.get(id)
		if n == nil || ids[id] {
			continue
		}
		switch n.kind {
		case "TABLE", "VIEW", "MATERIALIZED VIEW", "FOREIGN TABLE", "INDEX", "CONSTRAINT":
			return n
		}
	}
	return nil
}

// tellLost records what the chosen tables own and do not get.
func (a *archive) tellLost(c *choice, tables idSet) {
	for i := range a.entries {
		e := &a.entries[i]
		if c.ids[e.id] || !slices.Contains(tableKinds, e.kind) || !a.belongs(e, c.ids) {
			continue
		}
		missing := a.absent(e, c.ids)
		switch {
		case missing == nil || e.kind == "INDEX ATTACH":
		case e.kind == "FK CONSTRAINT":
			c.left = append(c.left, Unrestored{Reference: a.reference(e), Reason: "the table it refers to is not restored"})
		default:
			c.lost = append(c.lost, fmt.Sprintf("%s %s is left out: it needs %s, which is not restored",
				strings.ToLower(e.kind), display(e.namespace, e.tag), display(missing.namespace, missing.tag)))
		}
	}
	for i := range a.entries {
		if e := &a.entries[i]; e.kind == "TABLE" && c.ids[e.id] && !tables[e.id] {
			c.lost = append(c.lost, fmt.Sprintf("table %s is made, but empty: a restored table is defined by it", display(e.namespace, e.tag)))
		}
	}
}

// reference describes a foreign key of the archive.
func (a *archive) reference(e *entry) Reference {
	r := Reference{Schema: e.namespace, Constraint: e.tag}
	if owner := a.owner(e); owner != nil {
		r.Table = owner.tag
		r.Constraint = strings.TrimPrefix(e.tag, owner.tag+" ")
		for _, id := range e.needs {
			if n := a.get(id); n != nil && n.kind == "TABLE" && n.id != owner.id {
				r.ToSchema, r.ToTable = n.namespace, n.tag
			}
		}
	}
	if at := strings.LastIndex(e.definition, "FOREIGN KEY "); at >= 0 {
		r.Definition = strings.TrimRight(e.definition[at:], ";\n")
	}
	return r
}
