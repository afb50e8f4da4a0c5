//go:build !crash

package repository

// watchPoints does nothing: without the points of crash the process of the model
// ends at its operations on sites alone. With them, `-tags crash`, it ends
// anywhere.
func watchPoints(*machine) {}
