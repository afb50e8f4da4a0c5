package evidence

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/saypro/backupd/internal/clock"
)

// withKeyFile opens a log with a key file, and writes a record.
func withKeyFile(t *testing.T, store Store, path string) *Log {
	t.Helper()
	l, err := OpenWithKeyFile(Options{Store: store, Clock: clock.NewFake(begin), Program: "test"}, path)
	if err != nil {
		t.Fatal(err)
	}
	alive(t, l)
	return l
}

func alive(t testing.TB, l *Log) {
	t.Helper()
	if _, err := l.Note(Record{Act: ActAlive, Alive: &Alive{SinceSequence: l.Size()}}); err != nil {
		t.Fatal(err)
	}
}

func TestKeyFileIsMadeOnceAndKept(t *testing.T) {
	store, path := &memory{}, filepath.Join(t.TempDir(), "etc", "evidence.key")
	first := withKeyFile(t, store, path).PublicKey()
	if again := withKeyFile(t, store, path).PublicKey(); again != first {
		t.Errorf("%v, then %v", first, again)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	s, err := ReadKeyFile(path)
	if err != nil || s.Public() != first {
		t.Error(err)
	}
	if err := WriteKeyFile(path, s); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a key was overwritten: %v", err)
	}
}

func TestLostOrStrangeKeyIsSaid(t *testing.T) {
	store, path := &memory{}, filepath.Join(t.TempDir(), "evidence.key")
	l := withKeyFile(t, store, path)
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	o := Options{Store: store, Clock: clock.NewFake(begin), Program: "test"}
	if _, err := OpenWithKeyFile(o, path); !errors.Is(err, ErrKeyLost) {
		t.Fatalf("no key: %v", err)
	}
	withKeyFile(t, &memory{}, path)
	if _, err := OpenWithKeyFile(o, path); !errors.Is(err, ErrOtherKey) {
		t.Fatalf("the key of another log: %v", err)
	}
	if _, err := StartOverWithKeyFile(o, path, "root"); !errors.Is(err, fs.ErrExist) {
		t.Fatalf("starting over wrote over a key: %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	size := l.Size()
	again, err := StartOverWithKeyFile(o, path, "root")
	if err != nil {
		t.Fatal(err)
	}
	if again.Origin() != l.Origin() || again.PublicKey() == l.PublicKey() || again.Size() != size+1 {
		t.Errorf("%s, %d records, after %s, %d", again.PublicKey(), again.Size(), l.PublicKey(), size)
	}
	withKeyFile(t, store, path)
}

// A mute log says which key signed it, and goes on when the file is back.
func TestMuteLogGoesOnWhenItsKeyIsBack(t *testing.T) {
	for name, spoil := range map[string]func(path string) error{
		"gone":    func(string) error { return nil },
		"garbled": func(path string) error { return os.WriteFile(path, []byte("garbled"), 0o600) },
		"another": func(path string) error { _, err := makeKeyFile(path, "", PublicKey{}); return err },
	} {
		t.Run(name, func(t *testing.T) {
			store, path := &memory{}, filepath.Join(t.TempDir(), "evidence.key")
			first := withKeyFile(t, store, path)
			if err := first.RotateKeyFile(path, "root"); err != nil {
				t.Fatal(err)
			}
			intent, err := first.Begin(Record{Act: ActSnapshot, Function: "payments"})
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(os.Rename(path, path+".away"), spoil(path)); err != nil {
				t.Fatal(err)
			}
			o := Options{Store: store, Clock: clock.NewFake(begin), Program: "test"}
			_, cause := OpenWithKeyFile(o, path)
			l, err := OpenMute(o, cause)
			if err != nil || !errors.Is(l.Mute(), cause) {
				t.Fatalf("mute: %v, %v, want %v", l.Mute(), err, cause)
			}
			if l.PublicKey() != first.PublicKey() || l.Size() != first.Size() {
				t.Errorf("a mute log has key %s and %d records, want %s and %d", l.PublicKey(), l.Size(), first.PublicKey(), first.Size())
			}
			if regained, err := l.Unmute(path); regained || !errors.Is(err, ErrMute) {
				t.Fatalf("without its key: regained %t, %v", regained, err)
			}
			if err := os.Rename(path+".away", path); err != nil {
				t.Fatal(err)
			}
			if regained, err := l.Unmute(path); !regained || err != nil {
				t.Fatalf("with its key: regained %t, %v", regained, err)
			}
			if regained, err := l.Unmute(path); regained || err != nil {
				t.Errorf("once more: regained %t, %v", regained, err)
			}
			if err := l.End(intent, Record{Act: ActSnapshot, Function: "payments", Outcome: Failed, Error: "power cut"}); err != nil {
				t.Error(err)
			}
			withKeyFile(t, store, path)
		})
	}
}

// TestRotationSurvivesACrash stops a rotation at each of its steps.
func TestRotationSurvivesACrash(t *testing.T) {
	for name, stop := range map[string]func(t *testing.T, l *Log, store *memory, path string) (rotated bool){
		"before the record": func(t *testing.T, l *Log, store *memory, path string) bool {
			store.fail = errors.New("power cut")
			if err := l.RotateKeyFile(path, "root"); err == nil {
				t.Fatal("rotated without a record")
			}
			return false
		},
		"within the file": func(t *testing.T, _ *Log, _ *memory, path string) bool {
			if err := os.WriteFile(path+nextSuffix, []byte("# key that si"), 0o600); err != nil {
				t.Fatal(err)
			}
			return false
		},
		"after the record": func(t *testing.T, l *Log, _ *memory, path string) bool {
			next, err := makeKeyFile(path+nextSuffix, l.Origin(), l.PublicKey())
			if err == nil {
				err = l.Rotate(next, "root")
			}
			if err != nil {
				t.Fatal(err)
			}
			return true
		},
		"not at all": func(t *testing.T, l *Log, _ *memory, path string) bool {
			if err := l.RotateKeyFile(path, "root"); err != nil {
				t.Fatal(err)
			}
			alive(t, l)
			return true
		},
	} {
		t.Run(name, func(t *testing.T) {
			store, path := &memory{}, filepath.Join(t.TempDir(), "evidence.key")
			l := withKeyFile(t, store, path)
			before := l.PublicKey()
			rotated := stop(t, l, store, path)
			reopened := withKeyFile(t, store, path)
			after := reopened.PublicKey()
			if was, ok := reopened.KeyBefore(); ok != rotated || ok && was != before {
				t.Errorf("its file says that it came after %v, and %v did before", was, before)
			}
			if (after != before) != rotated {
				t.Errorf("%s, then %s", before, after)
			}
			if _, err := os.Stat(path + nextSuffix); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("left behind: %v", err)
			}
		})
	}
}
