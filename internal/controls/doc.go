// Package controls plants faults on purpose and looks whether the verifier turns
// red: a verifier that was never seen to fail proves nothing.
//
// A round makes a small database of its own, a repository of its own with its
// own keys and catalog, and a copy of it below a prefix of a configured site that
// is removed afterwards. The copy is proven first: when that is not green the
// round is void. Then each fault is planted on a fresh copy, and the code that
// proves recovery points every day has to find it, at the level that is there to
// find it and naming what is wrong.
//
// Nothing of the real repository and nothing of a source is ever read or
// written.
package controls
