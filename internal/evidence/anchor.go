package evidence

import (
	"strings"
	"time"
)

// To whom an anchor is given: the first word of [Anchor.To].
const (
	AnchorSite      = "site"
	AnchorMail      = "mail"
	AnchorTimestamp = "timestamp"
)

// Kind is the first word of To.
func (a *Anchor) Kind() string {
	kind, _, _ := strings.Cut(a.To, " ")
	return kind
}

// AnchorOverdue is how old the last anchor of a receiver may be who is to be given
// one so often, before something is wrong.
func AnchorOverdue(every time.Duration) time.Duration { return every + max(every/4, time.Hour) }
