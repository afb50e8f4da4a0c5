// Package report turns records of the evidence log into documents for people:
// one proof, or a period, as HTML, PDF and JSON.
//
// It knows nothing but the records, which its caller has verified, and the
// signed checkpoint over them: no catalog, no configuration, no site. Two
// programs that are given the same records write the same report, so an
// auditor can make it without the one who is audited.
//
// Failures are never left out. Where there are many, HTML and PDF group them
// and say how many there are; JSON always has each one.
package report
