//go:build crash

package repository

// packTarget is so small here that the little databases with which crashes are
// tried fill several packs: what may happen between two packs must happen.
const packTarget = 24 << 10
