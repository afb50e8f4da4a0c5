package soak

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// settle lets the program work in peace, and then everything that it ever
// promised must be at every site, and nothing may be left over.
func (w *world) settle() {
	w.t.Helper()
	for _, s := range w.sites {
		if s.folder == "" {
			s.link.Restore()
		}
	}
	w.note(w.must("", "snapshot", "--json"))
	w.must("", "sync")
	known := w.allDurable()
	for id, p := range w.promised {
		if !known[id] && !w.given[id] {
			w.violation("snapshot %s of %s was reported and is not known any more", id, p.function)
		}
		for _, s := range w.sites {
			p.durable[s.Name] = true
		}
	}
	w.check()
	for _, s := range w.sites {
		has := s.auditor.snapshots()
		for id := range known {
			if !has[id] && !w.given[id] {
				w.violation("snapshot %s is known as durable and is not at site %s", id, s.Name)
			}
		}
		for id := range has {
			if !known[id] && !w.given[id] {
				w.violation("snapshot %s is at site %s and the program does not know of it", id, s.Name)
			}
		}
	}
	// A proof clears up what a killed one has left.
	w.must("", "verify", "orders", "--from", "onsite", "--level", "L0")
	for _, name := range []string{"spool", "tmp", "scratch"} {
		w.empty(filepath.Join(w.data, name))
	}
}

// allDurable returns the snapshots that the program knows, each of which must be
// durable at every site.
func (w *world) allDurable() map[string]bool {
	w.t.Helper()
	o := w.must("", "snapshots", "--json")
	var list snapshotsText
	if err := json.Unmarshal([]byte(o.stdout), &list); err != nil {
		w.t.Fatalf("%v: %s", err, o)
	}
	known := map[string]bool{}
	for _, s := range list {
		known[s.Snapshot] = true
		for name, at := range s.Sites {
			if at.State != "durable" && !w.given[s.Snapshot] {
				w.violation("snapshot %s of %s: %s at site %s although everything has been sent", s.Snapshot, s.Function, at.State, name)
			}
		}
	}
	return known
}

// empty checks that a directory holds no files.
func (w *world) empty(dir string) {
	w.t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && !halfMarker(d) {
			w.violation("left behind: %s", path)
		}
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		w.t.Error(err)
	}
}

// rebuild does what is left to do when the host is lost: it makes a catalog
// from each site alone, which must bring back every recovery point.
func (w *world) rebuild() {
	w.t.Helper()
	for _, s := range w.sites {
		config, data := w.path("rebuilt.yaml"), w.path("rebuilt")
		w.configureFor(config, data)
		o := w.must("", "--config", config, "catalog", "rebuild", "--from", s.Name, "--json")
		var out struct {
			Snapshots int
			Lost      []any
			Damaged   []any
		}
		if err := json.Unmarshal([]byte(o.stdout), &out); err != nil {
			w.t.Fatalf("%v: %s", err, o)
		}
		// A snapshot may have two commits while one takes the place of the other.
		if n := len(s.auditor.snapshots()); out.Snapshots != n || len(out.Lost)+len(out.Damaged) > 0 {
			w.violation("site %s claims %d snapshots: %s", s.Name, n, o)
		}
		if err := os.RemoveAll(data); err != nil {
			w.t.Fatal(err)
		}
	}
}

// halfMarker reports whether a file is what a loss of power may leave of the
// first file of a throwaway server, which goes when it is a minute old.
func halfMarker(d fs.DirEntry) bool {
	info, err := d.Info()
	return err == nil && strings.HasSuffix(d.Name(), ".json.new") && time.Since(info.ModTime()) < 2*time.Minute
}
