//go:build !crash

package repository

// packTarget is the size at which a pack is closed, so that it is one request
// to write it and one to read it.
const packTarget = 16 << 20

// spoolScale is what the bound of the spool is divided by.
const spoolScale = 1

// timeScale is what the waiting times of a sweep are divided by.
const timeScale = 1
