package server

// DialWithin is Dial with another patience, for tests of a service that hangs.
var DialWithin = dial
