package postgres

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

const (
	codeDuplicateObject = "42710"
	codeUniqueViolation = "23505"
	codeUndefinedObject = "42704"
)

// makeRoles makes the roles that the server lacks, without password and
// without LOGIN, since a backup holds no password. Roles that exist are left
// as they are, and so are memberships between two of them.
func (t *Target) makeRoles(ctx context.Context, g Globals) error {
	existing, err := queryTarget[string](ctx, t, `SELECT rolname FROM pg_roles`)
	if err != nil {
		return fmt.Errorf("look for roles: %w", err)
	}
	var made []string
	for _, r := range g.Roles {
		if slices.Contains(existing, r.Name) {
			continue
		}
		fresh, err := t.makeRole(ctx, r)
		if err != nil {
			return fmt.Errorf("make role %s: %w", displayName(r.Name), err)
		}
		if fresh {
			made = append(made, r.Name)
			t.noteRole(r)
		}
	}
	return t.makeMemberships(ctx, g.Memberships, made)
}

// MissingRoles returns the names of the roles in g that the server at
// serverURL lacks, sorted as they are in g.
func MissingRoles(ctx context.Context, serverURL string, g Globals) ([]string, error) {
	var lacking []string
	err := administer(ctx, serverURL, nil, func(ctx context.Context, conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, `SELECT rolname FROM pg_roles`)
		if err != nil {
			return err
		}
		existing, err := pgx.CollectRows(rows, pgx.RowTo[string])
		for _, r := range g.Roles {
			if !slices.Contains(existing, r.Name) {
				lacking = append(lacking, r.Name)
			}
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("look for roles: %w", err)
	}
	return lacking, nil
}

// makeRole makes a role and reports whether it was not there.
func (t *Target) makeRole(ctx context.Context, r Role) (bool, error) {
	name := quoted("", r.Name)
	err := t.exec(ctx, "CREATE ROLE "+name+t.roleOptions(r))
	if hasCode(err, codeDuplicateObject, codeUniqueViolation) {
		return false, nil // another restore has just made it
	}
	if hasCode(err, codeNoPrivilege) {
		return false, fmt.Errorf("%w; let a superuser make it, or restore without owners and grants", err)
	}
	if err != nil {
		return false, err
	}
	for _, setting := range r.Settings {
		if err := t.applySetting(ctx, "ALTER ROLE "+name, setting); err != nil {
			return true, err
		}
	}
	if r.Comment != "" {
		err = t.exec(ctx, "COMMENT ON ROLE "+name+" IS "+literal(r.Comment))
	}
	return true, err
}

// roleOptions are the attributes of a role as far as they may be given.
func (t *Target) roleOptions(r Role) string {
	options := " NOLOGIN"
	add := func(on bool, option string) {
		if on {
			options += " " + option
		}
	}
	add(!r.Inherit, "NOINHERIT")
	add(r.ConnectionLimit >= 0, fmt.Sprintf("CONNECTION LIMIT %d", r.ConnectionLimit))
	add(r.ValidUntil != "", "VALID UNTIL "+literal(r.ValidUntil))
	if t.superuser {
		add(r.CreateRole, "CREATEROLE")
		add(r.CreateDB, "CREATEDB")
		add(r.Replication, "REPLICATION")
		add(r.BypassRLS, "BYPASSRLS")
		add(r.Superuser && t.mayMakeSuperusers(), "SUPERUSER")
	}
	return options
}

func (t *Target) mayMakeSuperusers() bool {
	return t.superuser && (t.opts.Superusers || t.opts.Scratch)
}

func (t *Target) noteRole(r Role) {
	name := displayName(r.Name)
	if r.Login && !t.opts.Scratch {
		t.note("role %s was made without password and LOGIN: ALTER ROLE %s LOGIN PASSWORD …", name, quoted("", r.Name))
	}
	if r.Superuser && !t.mayMakeSuperusers() {
		t.note("role %s is a superuser in the source and an ordinary role here", name)
	}
	if !t.superuser && (r.CreateRole || r.CreateDB || r.Replication || r.BypassRLS) {
		t.note("role %s lacks CREATEROLE, CREATEDB, REPLICATION or BYPASSRLS, which only a superuser can give", name)
	}
}

// makeMemberships grants roles to roles where one of both was just made.
func (t *Target) makeMemberships(ctx context.Context, memberships []Membership, made []string) error {
	for _, m := range memberships {
		if !slices.Contains(made, m.Role) && !slices.Contains(made, m.Member) {
			continue
		}
		err := t.exec(ctx, "GRANT "+quoted("", m.Role)+" TO "+quoted("", m.Member)+t.membershipOptions(m))
		if hasCode(err, codeUndefinedObject) && strings.HasPrefix(m.Role, "pg_") {
			t.note("role %s is not a member of %s: this server has no such role", displayName(m.Member), m.Role)
			continue
		}
		if err != nil {
			return fmt.Errorf("make %s a member of %s: %w", displayName(m.Member), displayName(m.Role), err)
		}
	}
	return nil
}

func (t *Target) membershipOptions(m Membership) string {
	var options []string
	if m.Admin {
		options = append(options, "ADMIN OPTION")
	}
	if t.version >= 160000 {
		options = options[:0]
		options = append(options, fmt.Sprintf("ADMIN %t", m.Admin))
		if m.Inherit != nil {
			options = append(options, fmt.Sprintf("INHERIT %t", *m.Inherit))
		}
		if m.Set != nil {
			options = append(options, fmt.Sprintf("SET %t", *m.Set))
		}
	}
	if len(options) == 0 {
		return ""
	}
	return " WITH " + strings.Join(options, ", ")
}

// makePolicyRoles makes the roles that row security policies name, for a
// restore without owners: pg_restore has no option to leave these out.
func (t *Target) makePolicyRoles(ctx context.Context, a *archive, c choice, g Globals) error {
	var named Globals
	for _, r := range g.Roles {
		word := regexp.MustCompile(`(^|[ ,])` + regexp.QuoteMeta(displayName(r.Name)) + `($|[ ,;\n])`)
		for _, e := range a.entries {
			if c.ids[e.id] && e.kind == "POLICY" && word.MatchString(e.definition) {
				named.Roles = append(named.Roles, Role{Name: r.Name, Inherit: true, ConnectionLimit: -1})
				break
			}
		}
	}
	return t.makeRoles(ctx, named)
}

// superuserKinds are the kinds of objects that only superusers can own.
var superuserKinds = []string{"EVENT TRIGGER", "FOREIGN DATA WRAPPER", "SUBSCRIPTION"}

// checkOwners refuses, before anything is made, objects that could not be
// given to their owners at the end.
func (t *Target) checkOwners(ctx context.Context, a *archive, c choice) error {
	owners := map[string]string{}
	var names []string
	for _, e := range a.entries {
		if c.ids[e.id] && slices.Contains(superuserKinds, e.kind) && e.owner != "" {
			owners[e.owner] = strings.ToLower(e.kind) + " " + displayName(e.tag)
			names = append(names, e.owner)
		}
	}
	if len(names) == 0 {
		return nil
	}
	lacking, err := queryTarget[string](ctx, t, `
		SELECT rolname FROM pg_roles WHERE rolname = ANY ($1) AND NOT rolsuper ORDER BY 1`, names)
	if err != nil {
		return fmt.Errorf("look for superusers: %w", err)
	}
	if len(lacking) > 0 {
		return fmt.Errorf("the %s belongs to %s, who must be a superuser for that and is not: ALTER ROLE %s SUPERUSER, "+
			"allow the restore to make superusers, or restore without owners and grants",
			owners[lacking[0]], displayName(lacking[0]), quoted("", lacking[0]))
	}
	return nil
}

// listSettings are the settings whose values are lists of quoted names.
var listSettings = []string{
	"local_preload_libraries", "search_path", "session_preload_libraries", "shared_preload_libraries",
	"temp_tablespaces", "unix_socket_directories",
}

// applySetting runs "ALTER … SET name TO value". A setting that the server
// does not take is noted and left out.
func (t *Target) applySetting(ctx context.Context, alter, setting string) error {
	name, value, _ := strings.Cut(setting, "=")
	if t.opts.Scratch && strings.HasSuffix(strings.ToLower(name), "_preload_libraries") {
		t.note("%s SET %s is left out in scratch", alter, name)
		return nil
	}
	text := literal(value)
	if slices.Contains(listSettings, strings.ToLower(name)) {
		text = literalList(value)
	}
	parts := strings.Split(name, ".") // of an extension: "schema.name"
	err := t.exec(ctx, alter+" SET "+pgx.Identifier(parts).Sanitize()+" TO "+text)
	if hasCode(err, codeUndefinedObject, codeNoPrivilege, "22023") {
		t.note("%s SET %s is left out: %v", alter, name, err)
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s SET %s: %w", alter, name, err)
	}
	return nil
}

// listItem is one item of a list of names, in quotes or not.
var listItem = regexp.MustCompile(`"((?:[^"]|"")*)"|[^",\s]+`)

// literalList writes a list of names as a list of literals.
func literalList(value string) string {
	var items []string
	for _, m := range listItem.FindAllString(value, -1) {
		if strings.HasPrefix(m, `"`) {
			m = strings.ReplaceAll(m[1:len(m)-1], `""`, `"`)
		}
		items = append(items, literal(m))
	}
	if len(items) == 0 {
		return "''"
	}
	return strings.Join(items, ", ")
}
