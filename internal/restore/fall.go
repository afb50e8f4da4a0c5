package restore

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/saypro/backupd/internal/progress"
	"github.com/saypro/backupd/internal/repository"
)

// fallThroughs collects what some site could not give: each damaged object
// once, and each site that could not be reached once.
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
	fall := FallThrough{
		Object: passed.Object, Site: passed.Site, Then: f.after(passed.Site),
		Unreachable: !passed.Damaged, Reason: withoutPlace(passed),
	}
	if !f.add(fall) {
		return
	}
	message := fmt.Sprintf("site %s holds %s damaged: %s", fall.Site, fall.Object, fall.Reason)
	if fall.Unreachable {
		message = fmt.Sprintf("site %s is not reachable: %s", fall.Site, fall.Reason)
	}
	if fall.Then != "" {
		message += "; asking site " + fall.Then
	} else {
		message += "; no other site is left to ask"
	}
	f.report.Report(progress.Event{Function: f.function, Phase: "fetch", Site: fall.Site, Message: message})
}

// add keeps what is told for the first time, and reports whether it was.
func (f *fallThroughs) add(fall FallThrough) bool {
	key := [2]string{fall.Site, fall.Object}
	if fall.Unreachable {
		key[1] = ""
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.seen[key] {
		return false
	}
	if f.seen == nil {
		f.seen = map[[2]string]bool{}
	}
	f.seen[key] = true
	f.all = append(f.all, fall)
	return true
}

// withoutPlace is the reason without the names of site and object, which stand
// beside it.
func withoutPlace(passed repository.FallThrough) string {
	reason := strings.ReplaceAll(passed.Reason, "site "+passed.Site+": ", "")
	for _, doing := range []string{"object ", "get "} {
		reason = strings.ReplaceAll(reason, doing+passed.Object+": ", "")
	}
	return reason
}

// after returns the site that is asked after another, in the order of
// preference.
func (f *fallThroughs) after(site string) string {
	if i := slices.Index(f.order, site); i >= 0 && i+1 < len(f.order) {
		return f.order[i+1]
	}
	return ""
}

// damaged returns what each site was found to hold wrongly, or not at all.
func (f *fallThroughs) damaged() map[string][]repository.Problem {
	out := map[string][]repository.Problem{}
	for _, fall := range f.list() {
		if !fall.Unreachable {
			out[fall.Site] = append(out[fall.Site], repository.Problem{Object: fall.Object, Detail: fall.Reason})
		}
	}
	return out
}

func (f *fallThroughs) list() []FallThrough {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.all)
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
