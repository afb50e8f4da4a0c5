package controls

import (
	_ "embed"
	"fmt"
	"strings"

	"github.com/saypro/backupd/internal/evidence"
)

//go:embed page.md
var pageHead string

// Page writes what a round found as a page for people, without what changes from
// round to round: times, names of objects.
func Page(c evidence.Controls) string {
	var b strings.Builder
	b.WriteString(pageHead)
	b.WriteString("\n| fault | planted | must be caught at | caught at |\n| --- | --- | --- | --- |\n")
	for _, f := range c.Faults {
		caught := "**missed**"
		switch {
		case f.Red:
			caught = f.Caught
		case f.Caught != "":
			caught = "**" + f.Caught + "**"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", f.ID, f.Planted, f.Expected, caught)
	}
	for _, n := range c.NotApplicable {
		fmt.Fprintf(&b, "| `%s` | not planted: %s | | not applicable |\n", n.ID, n.Why)
	}
	return b.String()
}
