package engine

import "time"

// Sites is how every site fares, and what waits on this host for them.
type Sites struct {
	// Time is the moment that everything in it refers to, UTC.
	Time time.Time `json:"time"`
	// Serving is true when the running service answered; without one nobody
	// is in contact with the sites.
	Serving bool `json:"serving"`
	// Degraded is true when any site is not as it should be.
	Degraded bool `json:"degraded"`
	// Spool is what waits on this host.
	Spool Spool `json:"spool"`
	// Sites are in order of preference.
	Sites []SiteReport `json:"sites"`
}

// Spool is what waits on this host for the sites, all together.
type Spool struct {
	// UsedBytes wait, MaxBytes may.
	UsedBytes int64 `json:"used_bytes"`
	MaxBytes  int64 `json:"max_bytes"`
}

// SiteReport is how one site fares.
type SiteReport struct {
	// Site is its name, Kind one of "minio", "s3" and "dir".
	Site string `json:"site"`
	Kind string `json:"kind"`
	// State is what it is at: "in step", "sending", "comparing", "away", or
	// "unknown" when nobody has asked it.
	State string `json:"state"`
	// Degraded is true when not everything is as it should be, and Reasons
	// says what is not, a sentence each.
	Degraded bool     `json:"degraded"`
	Reasons  []string `json:"reasons,omitempty"`
	// AwaySince is when it failed first, and Error how it fails now.
	AwaySince time.Time `json:"away_since,omitzero"`
	Error     string    `json:"error,omitempty"`
	// LastContact is when it last answered correctly, LastComparison when the
	// names and sizes of all its objects were last compared with what it must
	// hold, UTC.
	LastContact    time.Time `json:"last_contact,omitzero"`
	LastComparison time.Time `json:"last_comparison,omitzero"`
	// WaitingObjects of WaitingBytes wait for it, WaitingSnapshots and objects of
	// evidence among them.
	WaitingObjects   int64 `json:"waiting_objects"`
	WaitingBytes     int64 `json:"waiting_bytes"`
	WaitingSnapshots int64 `json:"waiting_snapshots"`
	WaitingEvidence  int64 `json:"waiting_evidence"`
	// LagSeconds is how much older its newest recovery point is than the
	// newest at any site, of the function for which that is most, LagFunction.
	// Nil when it holds none of that function while another site does.
	LagSeconds  *float64 `json:"lag_seconds"`
	LagFunction string   `json:"lag_function,omitempty"`
	// FaultCount objects are known to be missing or wrong there, LostCount of
	// them at every other site too; of these GivenUpCount are needed by nothing
	// that is kept. Faults are the first of them.
	FaultCount   int         `json:"fault_count"`
	LostCount    int         `json:"lost_count"`
	GivenUpCount int         `json:"given_up_count"`
	Faults       []SiteFault `json:"faults,omitempty"`
	// Unread is for how long some of what it holds has not been read.
	Unread *SiteUnread `json:"unread"`
	// Lock is how what is needed there is protected from deletion. Nil when the
	// site has no lock.
	Lock *SiteLock `json:"lock"`
	// Traffic is what went between this host and the site this month. Nil for
	// a folder.
	Traffic *SiteTraffic `json:"traffic"`
}

// SiteLock is how what is needed at a site is protected from deletion.
type SiteLock struct {
	// Mode is "compliance" or "governance".
	Mode string `json:"mode"`
	// Horizon is until when everything that is needed is protected, UTC, and
	// HorizonSeconds how long that is from now; left out and 0 when something is
	// not protected at all.
	Horizon        time.Time `json:"horizon,omitzero"`
	HorizonSeconds float64   `json:"horizon_seconds"`
	// Objects are needed, Unprotected of them are not protected.
	Objects     int `json:"objects"`
	Unprotected int `json:"unprotected"`
}

// SiteFault is something that is known to be wrong with one object at a site.
type SiteFault struct {
	// Object is its name at the site.
	Object string `json:"object"`
	// Since is when it was found, UTC, and Found by what: "compare", "scrub",
	// "lock" (when its protection was to be put off) or "upload".
	Since time.Time `json:"since"`
	Found string    `json:"found"`
	// Detail says what is wrong.
	Detail string `json:"detail"`
	// Lost is true when nobody has the object, so that it cannot be mended.
	Lost bool `json:"lost"`
}

// SiteTraffic is what went between this host and a site in this month of UTC.
type SiteTraffic struct {
	// Since is when the counting began.
	Since time.Time `json:"since"`
	// Writes are PUT, POST and LIST requests, Reads GET and HEAD.
	Writes  int64 `json:"writes"`
	Reads   int64 `json:"reads"`
	Deletes int64 `json:"deletes"`
	// SentBytes and ReceivedBytes are bodies, without headers.
	SentBytes     int64 `json:"sent_bytes"`
	ReceivedBytes int64 `json:"received_bytes"`
	// Cost is what the requests so far cost by the configured prices, and
	// EstimatedMonthCost what those of the whole month come to if it goes on
	// as it did since Since: an estimate. Nil without prices, the estimate
	// also when too little was counted yet.
	Cost               *float64 `json:"cost"`
	EstimatedMonthCost *float64 `json:"estimated_month_cost"`
}
