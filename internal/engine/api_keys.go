package engine

import "github.com/saypro/backupd/internal/repository"

// KeyList is who can open the repository, and with which keys it is sealed.
type KeyList struct {
	// Repository is its ID.
	Repository string `json:"repository"`
	// Daemon are the public parts of the identities in IdentityFile, Escrow the
	// recipients that the configuration names besides.
	Daemon       []string `json:"daemon"`
	IdentityFile string   `json:"identity_file"`
	Escrow       []string `json:"escrow"`
	// Keys are the keys, the first one first.
	Keys []repository.KeyInfo `json:"keys"`
	// EscrowTests are the last tests of identities that are kept elsewhere.
	EscrowTests []repository.EscrowTest `json:"escrow_tests"`
	// IfLost says what is lost when all identities are.
	IfLost string `json:"if_lost"`
	// Warnings say, a sentence each, what may end in that.
	Warnings []string `json:"warnings,omitempty"`
}

// KeyAddRequest asks to wrap every key for more recipients.
type KeyAddRequest struct {
	// Recipients are age recipients, age1….
	Recipients []string `json:"recipients,omitempty"`
	// Daemon adds those of the configured identity file.
	Daemon bool `json:"daemon,omitempty"`
	// Identities is the text of an identity file that opens the keys which this
	// host's own does not. It is secret.
	Identities string `json:"identities,omitempty"`
}

// KeyAddResult is what came of it.
type KeyAddResult struct {
	// Recipients are those that were added.
	Recipients []string `json:"recipients"`
	// Objects are the new wrapped keys. Closed are keys that could not be
	// opened: the new recipients do not get those.
	Objects []string `json:"objects"`
	Closed  []string `json:"closed,omitempty"`
	// Sites says whether each site has them.
	Sites map[string]PointAtSite `json:"sites"`
	// Notes say what else to do.
	Notes []string `json:"notes,omitempty"`
}

// KeyRotateResult is what came of a new key.
type KeyRotateResult struct {
	// Before is the key that was in use, Key the one that is now.
	Before string `json:"before"`
	Key    string `json:"key"`
	// Recipients are those that it is wrapped for.
	Recipients []string `json:"recipients"`
	// Sites says whether each site has it.
	Sites map[string]PointAtSite `json:"sites"`
	// Notes say what else to know.
	Notes []string `json:"notes,omitempty"`
}

// EscrowTestRequest asks whether an identity that is kept elsewhere still opens
// everything.
type EscrowTestRequest struct {
	// Identities is the text of an identity file. It is secret.
	Identities string `json:"identities"`
}
