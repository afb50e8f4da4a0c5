package restore

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/saypro/backupd/internal/progress"
	"github.com/saypro/backupd/internal/source/postgres"
)

// CheckStructure compares the structure of a filled target with the captured
// one (level L4): a check for each kind of object, one that every table has its
// rows in the snapshot, and one that sequences are ahead of their columns. left says, a sentence each, what rightly differs and
// so was not compared. An error says that it could not be compared.
func (l *Loader) CheckStructure(ctx context.Context, to *postgres.Target) (checks []Check, left []string, err error) {
	restored, err := to.Structure(ctx, l.scope())
	if err != nil {
		return nil, nil, err
	}
	differing := map[string][]postgres.Difference{}
	for _, d := range l.structure.Diff(restored) {
		if why := l.rightly(d); why != "" {
			if !slices.Contains(left, why) {
				left = append(left, why)
			}
			continue
		}
		differing[d.Kind] = append(differing[d.Kind], d)
	}
	counts := map[string]int{}
	for _, o := range restored.Objects {
		counts[o.Kind]++
	}
	for kind := range differing {
		counts[kind] += 0 // also kinds of which nothing came back
	}
	for _, kind := range sortedKeys(counts) {
		checks = append(checks, kindCheck(kind, counts[kind], differing[kind]))
	}
	covered, err := l.checkCovered(ctx, to)
	if err != nil {
		return checks, left, err
	}
	checks = append(checks, covered)
	behind, err := to.SequencesAhead(ctx)
	if err != nil {
		return checks, left, err
	}
	return append(checks, sequenceCheck(behind)), left, nil
}

// rightly returns why a difference is as it should be, "" when it is not. Kinds
// of what a named-tables restore leaves aside have no sentence of their own.
func (l *Loader) rightly(d postgres.Difference) string {
	switch {
	case l.NoOwner && slices.Contains([]string{
		postgres.KindOwner, postgres.KindGrants, postgres.KindDefaultACL, postgres.KindPolicyRoles,
	}, d.Kind):
		return "owners, grants and roles were left out as asked and not compared"
	case l.Scratch && d.Kind == postgres.KindUserMapping && d.Change == postgres.Missing:
		return "user mappings of foreign servers are left out in scratch, so that nothing there can log in elsewhere"
	case l.Scratch && strings.Contains(d.Kind, "event") && d.Change == postgres.Missing && strings.Contains(d.Source, "login"):
		return "event triggers that fire on login are left out in scratch"
	case len(l.Tables) > 0 && d.Change == postgres.Missing && !l.ofChosen(d):
		return "only what belongs to the chosen tables was compared"
	}
	return ""
}

// ofChosen reports whether a missing object belongs to a chosen table and
// should have come back with it. Foreign keys may lead to tables that were not
// chosen; what became of them is told elsewhere.
func (l *Loader) ofChosen(d postgres.Difference) bool {
	for _, t := range l.Tables {
		name := t.String()
		switch d.Kind {
		case "table":
			if d.Name == name {
				return true
			}
		case "column":
			if strings.HasPrefix(d.Name, name+".") {
				return true
			}
		case "constraint":
			if strings.HasSuffix(d.Name, " on "+name) && !strings.HasPrefix(d.Source, "FOREIGN KEY") {
				return true
			}
		}
	}
	return false
}

// StructureCheck begins the name of each comparison of all objects of one kind.
const StructureCheck = "structure: "

// tablesOf counts tables in words.
func tablesOf(n int) string {
	if n == 1 {
		return "1 table"
	}
	return fmt.Sprintf("%d tables", n)
}

// kindCheck judges all objects of one kind.
func kindCheck(kind string, count int, differing []postgres.Difference) Check {
	c := Check{Name: StructureCheck + kind, Level: "L4", Passed: len(differing) == 0}
	if c.Passed {
		c.Detail = fmt.Sprintf("%d equal", count)
		return c
	}
	const most = 20
	var parts []string
	for i, d := range differing {
		if i == most {
			parts = append(parts, fmt.Sprintf("and %d more", len(differing)-most))
			break
		}
		parts = append(parts, describe(d))
	}
	c.Detail = strings.Join(parts, "; ")
	return c
}

func describe(d postgres.Difference) string {
	switch d.Change {
	case postgres.Missing:
		return fmt.Sprintf("%s is missing (source: %s)", d.Name, short(d.Source))
	case postgres.Extra:
		return fmt.Sprintf("%s is not in the source (restored: %s)", d.Name, short(d.Restored))
	}
	return fmt.Sprintf("%s differs (source: %s; restored: %s)", d.Name, short(d.Source), short(d.Restored))
}

// short cuts a definition, which may be a long function.
func short(text string) string {
	const most = 240
	if len(text) > most {
		return strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}

func sequenceCheck(behind []string) Check {
	c := Check{Name: "sequences ahead of their columns", Level: "L4", Passed: len(behind) == 0, Detail: "all"}
	if !c.Passed {
		c.Detail = strings.Join(behind, "; ")
	}
	return c
}

// Found is a table as read back from a filled target.
type Found struct {
	Name   string
	Rows   int64
	Digest string
	// SourceRows and SourceDigest are what the commit says.
	SourceRows   int64
	SourceDigest string
	Equal        bool // both of them
}

// CheckContent reads every loaded table back and compares rows and digest with
// the commit (level L5). An error says that it could not be compared.
func (l *Loader) CheckContent(ctx context.Context, to *postgres.Target) ([]Found, error) {
	meter := l.Report.Meter(progress.Event{Function: l.Snapshot.Function, Phase: "validate", Total: l.bytes()})
	found := make([]Found, len(l.chosen))
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(l.Jobs)
	for at, i := range l.chosen {
		group.Go(func() error {
			t := l.Snapshot.Tables[i]
			digest, bytes, err := to.Digest(groupCtx, l.header.Tables[i])
			if err != nil {
				return err
			}
			meter.Add(bytes)
			found[at] = Found{
				Name: t.Name, Rows: digest.Rows, Digest: digest.String(),
				SourceRows: t.Rows, SourceDigest: t.Digest,
				Equal: digest.Rows == t.Rows && digest.String() == t.Digest,
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	meter.End()
	slices.SortFunc(found, func(a, b Found) int { return strings.Compare(a.Name, b.Name) })
	return found, nil
}

// ContentChecks tells the findings of [Loader.CheckContent] as checks: one for
// every table that differs, or one for all of them.
func ContentChecks(found []Found) []Check {
	var checks []Check
	var rows int64
	for _, f := range found {
		rows += f.Rows
		if !f.Equal {
			checks = append(checks, Check{
				Name: "content of " + f.Name, Level: "L5",
				Detail: fmt.Sprintf("%d rows with the digest %s; the snapshot has %d rows with the digest %s",
					f.Rows, f.Digest, f.SourceRows, f.SourceDigest),
			})
		}
	}
	if len(checks) > 0 {
		return checks
	}
	return []Check{{
		Name: "content", Level: "L5", Passed: true,
		Detail: fmt.Sprintf("%d rows of %s: rows and digests are those of the snapshot", rows, tablesOf(len(found))),
	}}
}
