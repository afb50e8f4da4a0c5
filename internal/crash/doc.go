// Package crash ends the program in the middle of its work, as a loss of power
// or a kill would, where a test asks for it.
//
// A program that is built with the tag "crash" reads BACKUPD_CRASH once:
//
//	pack-kept          the first time that the work comes by this point
//	pack-kept:3        the third time
//	random:SEED:P      at any point, each time with the probability P
//
// In every other build [Point] is empty and vanishes when it is compiled: the
// product holds nothing of this.
package crash
