package engine

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/saypro/backupd/internal/repository"
)

// escrowTestEvery is how old a test of the escrow may be.
const escrowTestEvery = 90 * 24 * time.Hour

// ifLost says plainly what the loss of all identities is.
func ifLost(identityFile string) string {
	return fmt.Sprintf("if %s and every escrow identity are lost, every recovery point at every site is lost for good: "+
		"nobody can open them again", identityFile)
}

// keyWarnings says what of the keys may end in that. wanted is how many
// recipients the configuration names, the daemon included.
func keyWarnings(keys []repository.KeyInfo, wanted int) (out []string) {
	var few []string
	for _, k := range keys {
		n := k.Recipients()
		switch {
		case !k.Opens && k.Packs > 0:
			out = append(out, fmt.Sprintf("no identity here opens key %s, with which %d packs are sealed: "+
				"have it wrapped for this host with 'backupd key add' where it opens", k.ID, k.Packs))
		case !k.Opens && k.Current:
			out = append(out, fmt.Sprintf("no identity here opens key %s, which is to seal what is new; the one before is used on", k.ID))
		case n < wanted:
			out = append(out, fewerRecipients(k.ID, n, wanted))
		case n < 3:
			few = append(few, k.ID)
		}
	}
	if len(few) > 0 { // said once, however often a key was made anew
		what := "key "
		if len(few) > 1 {
			what = "the keys "
		}
		out = append(out, "only one identity besides this host's opens "+what+strings.Join(few, ", ")+": "+addSecond)
	}
	return out
}

const addSecond = "a second escrow, kept elsewhere, takes one accident more ('backupd key add --recipient age1…')"

// fewerRecipients says that somebody whom the configuration names cannot open a
// key.
func fewerRecipients(key string, n, wanted int) string {
	return fmt.Sprintf("key %s is wrapped for %d recipients, the configuration names %d: somebody of keys.recipients cannot "+
		"open it; 'backupd key add --recipient age1…' wraps it for them", key, n, wanted)
}

func tested(s repository.EscrowSite) bool { return s.Passed }

// escrowWarnings says what is wrong with the tests of the escrow.
func escrowWarnings(tests []repository.EscrowTest, now time.Time) (out []string) {
	var passed, some time.Time
	var partly repository.EscrowTest
	for _, t := range tests {
		switch since := t.Since(); {
		case t.Passed && since.After(passed):
			passed = since
		case !t.Passed && len(t.Untested) > 0 && since.After(some) && slices.ContainsFunc(slices.Collect(maps.Values(t.Sites)), tested):
			some, partly = since, t
		}
		if t.Passed {
			continue
		}
		for site, s := range t.Sites {
			if !s.Passed {
				out = append(out, fmt.Sprintf("the test of the escrow %s on %s failed at site %s: %s",
					strings.Join(t.Recipients, ", "), t.At.UTC().Format(time.DateOnly), site, s.Error))
			}
		}
	}
	const how = "; run 'backupd key escrow-test --identity FILE' with the file that is kept away from this host"
	switch age := now.Sub(passed); {
	case passed.IsZero() && !some.IsZero():
		out = append(out, fmt.Sprintf("the escrow %s was never tried at %s%s", strings.Join(partly.Recipients, ", "), plural(len(partly.Untested), "site")+" ("+strings.Join(partly.Untested, ", ")+")", how))
	case passed.IsZero():
		out = append(out, "the escrow was never tested: nobody knows whether it opens anything"+how)
	case age > escrowTestEvery:
		out = append(out, fmt.Sprintf("the escrow was last tested %d days ago%s", int(age.Hours()/24), how))
	}
	return out
}
