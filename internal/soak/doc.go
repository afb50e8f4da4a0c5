// Package soak kills the program in the middle of its work, again and again,
// and checks after each time what must hold whatever happened: every recovery
// point that any site claims comes back byte for byte from that site alone.
//
// The program is the real one, with the points of package crash compiled in;
// the sites are real servers and so is the database, which changes all the
// time in a way that tells of every moment what it contained. What a site
// holds is read by a reader of its own, written from docs/format.md, that
// shares no code with the product's.
package soak
