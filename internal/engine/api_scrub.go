package engine

import (
	"time"

	"github.com/saypro/backupd/internal/repository"
)

// ScrubRequest asks to read what sites hold.
type ScrubRequest struct {
	// Sites to read; empty means all.
	Sites []string `json:"sites,omitempty"`
	// All: everything, and not only what was not read for scrub.every.
	All bool `json:"all,omitempty"`
	// Budget is how many bytes to read at each site at most, those that were not
	// read for longest first, due or not; 0 means all that is due.
	Budget int64 `json:"budget,omitempty"`
}

// ScrubResult is what was found at one site.
type ScrubResult struct {
	// Site is its name.
	Site string `json:"site"`
	// Objects of Bytes were read and compared.
	Objects int   `json:"objects"`
	Bytes   int64 `json:"bytes"`
	// Bad of them had other bytes than they must, Missing were not there, Mended
	// were put right from another copy and read again.
	Bad     int `json:"bad"`
	Missing int `json:"missing"`
	Mended  int `json:"mended"`
	// Wrong are objects that are wrong or missing there still.
	Wrong []repository.WrongObject `json:"wrong,omitempty"`
	// Unread is for how long some of what it holds has not been read.
	Unread SiteUnread `json:"unread"`
	// Error says why not everything that was to be read could be.
	Error string `json:"error,omitempty"`
}

// SiteUnread is for how long some of what a site holds has not been read.
type SiteUnread struct {
	// Objects of Bytes is what the site must hold.
	Objects int   `json:"objects"`
	Bytes   int64 `json:"bytes"`
	// Oldest is when the object that was not read for longest was last known to
	// be right: written, or read and compared. UTC; left out when the site holds
	// nothing. AgeSeconds is how long ago that is.
	Oldest     time.Time `json:"oldest,omitzero"`
	AgeSeconds float64   `json:"age_seconds"`
	// Never are the objects that were neither written nor read since this host
	// knows the site; they count from then.
	Never int `json:"never"`
	// BoundSeconds is scrub.every: each object is read once within it. 0 when
	// nothing is read by itself.
	BoundSeconds float64 `json:"bound_seconds"`
}
