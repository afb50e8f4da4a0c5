// Package pgserver finds the programs of PostgreSQL on this machine and runs
// throwaway servers from them, for proofs and for tests.
package pgserver
