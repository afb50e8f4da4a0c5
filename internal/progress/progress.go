// Package progress carries how far a long operation has come from the code
// that does it to whoever watches: a terminal, a log, or a client of the API.
package progress

// Event says how far one phase of an operation has come.
type Event struct {
	// Function is the business function worked on; empty for work that
	// belongs to none.
	Function string `json:"function,omitempty"`
	// Phase names the step: "lock", "copy", "upload", "fetch", "load",
	// "index", "validate", …
	Phase string `json:"phase"`
	// Site is the site worked with; empty when there is none.
	Site string `json:"site,omitempty"`
	// Done and Total are in bytes of raw data unless Unit says otherwise.
	// Total is 0 when it is not known.
	Done  int64  `json:"done"`
	Total int64  `json:"total,omitempty"`
	Unit  string `json:"unit,omitempty"`
	// Message is a sentence for the operator: a fall-through to another
	// site, a wait for a lock. It is empty for mere counting.
	Message string `json:"message,omitempty"`
}

// Reporter receives events. It is called from several goroutines at once and
// must not block for long. A nil Reporter is valid and discards.
type Reporter func(Event)

// Report hands e to the reporter, if there is one.
func (r Reporter) Report(e Event) {
	if r != nil {
		r(e)
	}
}
