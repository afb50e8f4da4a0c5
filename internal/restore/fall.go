package restore

import (
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/saypro/backupd/internal/progress"
	"github.com/saypro/backupd/internal/repository"
)

// fallThroughs collects what some site could not give, each object once.
type fallThroughs struct {
	order    []string
	report   progress.Reporter
	function string

	mu   sync.Mutex
	seen map[[2]string]bool
	all  []FallThrough
}

// note takes what the reader tells.
func (f *fallThroughs) note(passed repository.FallThrough) {
	key := [2]string{passed.Site, passed.Object}
	fall := FallThrough{Object: passed.Object, Site: passed.Site, Then: f.after(passed.Site), Reason: passed.Reason}
	f.mu.Lock()
	known := f.seen[key]
	if !known {
		if f.seen == nil {
			f.seen = map[[2]string]bool{}
		}
		f.seen[key] = true
		f.all = append(f.all, fall)
	}
	f.mu.Unlock()
	if known {
		return
	}
	message := fmt.Sprintf("site %s cannot give %s: %s", fall.Site, fall.Object, fall.Reason)
	if fall.Then != "" {
		message += "; asking site " + fall.Then
	}
	f.report.Report(progress.Event{Function: f.function, Phase: "fetch", Site: fall.Site, Message: message})
}

// after returns the site that is asked after another, in the order of
// preference.
func (f *fallThroughs) after(site string) string {
	if i := slices.Index(f.order, site); i >= 0 && i+1 < len(f.order) {
		return f.order[i+1]
	}
	return ""
}

func (f *fallThroughs) list() []FallThrough {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.all)
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
