package storagetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/saypro/backupd/internal/storage"
)

// testListPages needs more objects than a page has, which is 1000 everywhere.
func testListPages(t *testing.T, s storage.Store) {
	const objects = 1100
	var want []string
	group, ctx := errgroup.WithContext(t.Context())
	group.SetLimit(16)
	for i := range objects {
		name := fmt.Sprintf("p/%02x/%04d", i/64, i)
		want = append(want, name)
		group.Go(func() error { return s.Put(ctx, Object(name, []byte("x"))) })
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	Put(t, s, "c/before", []byte("x"))
	Put(t, s, "x/behind", []byte("x"))
	for _, c := range []struct {
		prefix, after string
		want          []string
	}{
		{"p/", "", want},
		{"", "", slices.Concat([]string{"c/before"}, want, []string{"x/behind"})},
		{"p/03/", "", want[3*64 : 4*64]},
		{"p/0", "", want[:16*64]},
		{"p/03/019", "", want[3*64 : 200]},
		{"p/", want[0], want[1:]},
		{"p/", want[1049], want[1050:]},
		{"p/", "p/", want},
		{"p/", "p/03", want[3*64:]},
		{"p/", "p/02/zzz", want[3*64:]},
		{"p/", want[objects-1], nil},
		{"p/", "q", nil},
		{"p/", "c", want},
		{"p/03/", want[200], want[201 : 4*64]},
		{"", want[objects-1], []string{"x/behind"}},
	} {
		if got := List(t, s, c.prefix, c.after); !slices.Equal(got, c.want) {
			t.Errorf("List(%q, %q) = %d names %v…, want %d names %v…",
				c.prefix, c.after, len(got), got[:min(3, len(got))], len(c.want), c.want[:min(3, len(c.want))])
		}
	}
}

// testListOrder has names in which the slash takes part in the order.
func testListOrder(t *testing.T, s storage.Store) {
	names := []string{
		"c/2026/01/02/150405.123-ab12-7",
		"c/2026/01/02/150405.123-ab12-8",
		"c/2026/01/02/150405.124-ab12-1",
		"c/2026/01/10/000000.000-ab12-1",
		"c/2026/02/01/000000.000-ab12-1",
		"p/0a/x",
		"p/a0/x",
		"repo.json",
	}
	for _, name := range slices.Backward(names) {
		Put(t, s, name, []byte(name))
	}
	if got := List(t, s, "", ""); !slices.Equal(got, names) {
		t.Errorf("List = %q, want %q", got, names)
	}
	for i, name := range names {
		if got := List(t, s, "", name); !slices.Equal(got, names[i+1:]) {
			t.Errorf("List after %s = %q, want %q", name, got, names[i+1:])
		}
	}
}

func testListStops(t *testing.T, s storage.Store) {
	for i := range 3 {
		Put(t, s, fmt.Sprintf("p/%d", i), []byte("x"))
	}
	enough := errors.New("enough")
	seen := 0
	err := s.List(t.Context(), "p/", "", func(storage.Info) error {
		seen++
		if seen == 2 {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) || seen != 2 {
		t.Errorf("List = %v after %d objects, want the error of fn itself after 2", err, seen)
	}
}
