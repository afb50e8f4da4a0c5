package restore_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/progress"
	"github.com/saypro/backupd/internal/restore"
	"github.com/saypro/backupd/internal/snapshot/snaptest"
)

// hangs restores into the address while something hangs, once the phase has
// begun, and checks that it ends soon with a telling error.
func hangs(t *testing.T, b *snaptest.Bench, address, phase string, hang func()) error {
	t.Helper()
	r := restorer(t, b)
	r.StallTimeout = time.Second
	var once sync.Once
	start := time.Now()
	result, err := r.Restore(t.Context(), restore.Request{Function: "payments", To: address}, func(e progress.Event) {
		if e.Phase == phase && (phase != "load" || e.Done > 0) {
			once.Do(hang)
		}
	})
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("it ended after %s", took)
	}
	if !errors.Is(err, progress.ErrStalled) {
		t.Fatalf("ended with %v", err)
	}
	for _, word := range []string{"payments", "target", "nothing has moved for", "at the network in between"} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("the error does not tell of %q: %v", word, err)
		}
	}
	if run := lastRestore(t, b); run.Error != err.Error() || run.Ended.IsZero() || result.Error != err.Error() {
		t.Errorf("recorded %+v", run)
	}
	return err
}

// The target's network hangs: the restore ends, nothing looks finished, and
// when the network is back the next one succeeds and tells of what is left.
func TestHungNetworkEndsARestore(t *testing.T) {
	for _, phase := range []string{"load", "index"} {
		t.Run(phase, func(t *testing.T) {
			t.Parallel()
			db := filled(t, 60000)
			b := snaptest.New(t, db.URL())
			b.Take(t, pay())
			link, _ := db.Link(t)
			_, name := absent(t, db)
			address := "postgres://postgres@" + link.Address() + "/" + name + "?sslmode=disable&connect_timeout=2"
			_ = hangs(t, b, address, phase, link.Hang)
			link.Restore()
			unfinished := databases(t, db, name)
			if len(unfinished) != 1 || !strings.Contains(unfinished[0], "_restoring_") {
				t.Fatalf("databases %v", unfinished)
			}
			opened(db, unfinished[0]).LetGo(t, "backupd%")
			r, err := restorer(t, b).Restore(t.Context(), restore.Request{Function: "payments", To: address}, nil)
			if err != nil || !strings.Contains(strings.Join(r.Notes, "\n"), unfinished[0]) {
				t.Fatalf("the next one: %v %v", r.Notes, err)
			}
			snaptest.Same(t, db, opened(db, name))
			db.Exec(t, `DROP DATABASE "`+unfinished[0]+`"`)
		})
	}
}

// One process of the target's server is stopped.
func TestFrozenTargetEndsARestore(t *testing.T) {
	db := filled(t, 60000)
	b := snaptest.New(t, db.URL())
	b.Take(t, pay())
	address, name := absent(t, db)
	var thaw func()
	_ = hangs(t, b, address, "load", func() {
		half := opened(db, databases(t, db, name)[0])
		thaw = half.Freeze(t, half.Session(t, "state = 'active' AND query LIKE 'COPY%'"))
	})
	thaw()
	for _, left := range databases(t, db, name) { // where it could not be dropped with its frozen session
		if left == name {
			t.Fatalf("%s looks finished", left)
		}
		opened(db, left).LetGo(t, "backupd%")
		db.Exec(t, `DROP DATABASE "`+left+`"`)
	}
	if _, err := restorer(t, b).Restore(t.Context(), restore.Request{Function: "payments", To: address}, nil); err != nil {
		t.Fatal(err)
	}
	snaptest.Same(t, db, opened(db, name))
}
