//go:build crash

package repository

// packTarget is so small here that the little databases with which crashes are
// tried fill several packs: what may happen between two packs must happen.
const packTarget = 24 << 10

// spoolScale makes the smallest bound of the spool that can be configured one
// that is soon reached: room for a commit, and a few snapshots that wait.
const spoolScale = 96

// timeScale makes an hour of grace a second.
const timeScale = 3600

// Without the parts around its chunks even a little pack that is all needed
// counts as mostly dead, so that there is always something to rewrite.
const (
	rewriteBelow = 0.7
	packAround   = 0
	packEntry    = 0
)
