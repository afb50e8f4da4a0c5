//go:build !crash

package repository

// packTarget is the size at which a pack is closed, so that it is one request
// to write it and one to read it.
const packTarget = 16 << 20

// spoolScale is what the bound of the spool is divided by.
const spoolScale = 1

// timeScale is what the waiting times of a sweep are divided by.
const timeScale = 1

// rewriteBelow: a pack is rewritten when what is needed of it would make a pack
// of less than this share of its size.
const rewriteBelow = 0.7

// packAround and packEntry are about what a pack takes besides its chunks: in
// all, and for each of them.
const (
	packAround = headerSize + 16 + 3 + trailerSize
	packEntry  = 1 + 32 + 3 + 3
)
