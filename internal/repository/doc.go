// Package repository keeps snapshots as sealed, deduplicated, write-once
// objects, the same bytes under the same names on every site. docs/format.md
// defines those objects; this package writes and reads them.
//
// Writing: [Repository.Write] gives a [Writer] that cuts streams into chunks,
// stores the chunks that no pack holds yet, and ends with a commit. Packs and
// the commit go to the spool and from there, by [Repository.Upload], to each
// site at its own pace. A snapshot exists on a site when its commit does.
//
// Reading: a [Reader] follows the commit of one snapshot and takes every chunk
// from the first site that answers with the right bytes.
package repository
