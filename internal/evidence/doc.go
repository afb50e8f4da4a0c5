// Package evidence keeps the record of what was promised, tried and found: a
// Merkle log of signed statements, with an intent before each act and a result
// after it. It imports nothing of the engine, so that whoever checks a bundle
// need not trust, or even have, the program that wrote it.
//
// A record is the predicate of an in-toto Statement v1, signed as a DSSE
// envelope; the bytes of the envelope are the leaf of an RFC 6962 tree, whose
// heads are signed checkpoints. docs/auditing.md says what this catches, and
// what it does not.
package evidence
