//go:build crash

package crash

import "sync/atomic"

var watcher atomic.Pointer[func(Name)]

// Watch has fn told of each point that the work comes by, for a test that plays
// the end of the program without ending it; nil ends that.
func Watch(fn func(Name)) {
	if fn == nil {
		watcher.Store(nil)
		return
	}
	watcher.Store(&fn)
}
