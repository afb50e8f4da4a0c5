// Package postgres captures a consistent state of a PostgreSQL database and
// fills another database with it. It is the only package that speaks SQL.
//
// Capture: the tables are locked (ACCESS SHARE) first and the snapshot is
// exported after, so that no table can be truncated, rewritten or dropped
// between the two; worker sessions import the snapshot and copy in parallel.
// The source is left as it was: nothing is created in it and nothing is set
// beyond the sessions opened here.
package postgres
