package repository

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/storage"
	"github.com/saypro/backupd/internal/testenv"
)

// filesBelow returns the files in a folder, or that file itself.
func filesBelow(t *testing.T, path string) (files []string) {
	t.Helper()
	err := filepath.WalkDir(path, func(file string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			files = append(files, file)
		}
		return err
	})
	if err != nil || len(files) == 0 {
		t.Fatalf("no files in %s (%v)", path, err)
	}
	return files
}

func rewriteFile(t *testing.T, path string, change func([]byte) []byte) {
	t.Helper()
	if err := os.WriteFile(path, change(mustRead(t, path)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// What rots on the disks of real servers, whatever they say of it then, is
// found and put right.
func TestScrubOnServers(t *testing.T) {
	pair := testenv.PrivateSites(t)
	prefix := map[string]string{"onsite": pair.Onsite.Prefix(), "cloud": pair.Cloud.Prefix()}
	b := newBenchOn(t, map[string]storage.Store{
		"onsite": pair.Onsite.StoreAt(t, prefix["onsite"]), "cloud": pair.Cloud.StoreAt(t, prefix["cloud"]),
	})
	rnd := seeded(t)
	snap := b.write(t, "payments", map[string][]byte{"t": someRows(rnd, 20_000)})
	other := b.write(t, "accounts", map[string][]byte{"t": someRows(rnd, 20_000)})
	b.durable(t, snap)
	b.durable(t, other)
	evidence := b.publish(t, 0, 2000).Name()
	b.inStep(t)
	info, err := b.Info(snap.ID)
	if err != nil {
		t.Fatal(err)
	}
	pack := catalog.PackName(snap.Packs[0].SHA256)
	where := map[string]func(name string) string{
		"onsite": func(name string) string {
			return filepath.Join(pair.Onsite.Dir, "data", pair.Onsite.Bucket, prefix["onsite"], name)
		},
		"cloud": func(name string) string { return pair.Cloud.File(t, prefix["cloud"], name) },
	}
	// The largest file of an object holds its bytes, or all there is of it.
	body := func(site, name string) string {
		return slices.MaxFunc(filesBelow(t, where[site](name)), func(a, b string) int { return len(mustRead(t, a)) - len(mustRead(t, b)) })
	}
	for what, change := range map[string]func([]byte) []byte{
		"flipped": flipped,
		"cut":     func(b []byte) []byte { return b[:len(b)/2] },
		"emptied": func([]byte) []byte { return nil },
		"removed": nil,
	} {
		for site := range where {
			for _, name := range []string{pack, info.Commit, evidence} {
				t.Run(what+" "+site+" "+strings.SplitN(name, "/", 2)[0], func(t *testing.T) {
					if change == nil {
						if err := os.RemoveAll(where[site](name)); err != nil {
							t.Fatal(err)
						}
					} else {
						rewriteFile(t, body(site, name), change)
					}
					stop := b.tick()
					defer stop()
					s := b.scrubAll(t, site)[site]
					if s.Bad+s.Missing != 1 || s.Mended != 1 || len(s.Wrong) > 0 {
						t.Errorf("the answer is %+v", s)
					}
					if problems := b.check(t, snap.ID, site); len(problems) > 0 {
						t.Errorf("after it: %v", problems)
					}
					if again := b.scrubAll(t, site)[site]; again.Bad+again.Missing > 0 {
						t.Errorf("once more: %+v", again)
					}
				})
			}
		}
	}
}
