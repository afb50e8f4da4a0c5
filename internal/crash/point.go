//go:build !crash

package crash

// Point does nothing.
func Point(Name) {}
