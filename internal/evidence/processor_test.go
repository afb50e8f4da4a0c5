package evidence

import (
	"syscall"
	"testing"
	"time"
)

// spent is what all threads of this process have taken: on a machine
// that does other things, too, it says more than a clock.
func spent(t testing.TB) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
