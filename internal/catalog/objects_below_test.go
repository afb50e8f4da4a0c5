package catalog

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestObjectsBelow(t *testing.T) {
	c := open(t)
	for _, name := range []string{"g/1", "v/a/1", "v/a/2", "v/a/3", "v/b/1", "w/1"} {
		if err := c.AddObject(Object{Kind: KindEvidence, Name: name}, nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		prefix, from string
		want         []string
	}{
		{"v/", "", []string{"v/a/1", "v/a/2", "v/a/3", "v/b/1"}},
		{"v/a/", "v/a/2", []string{"v/a/2", "v/a/3"}},
		{"v/a/", "v/a/22", []string{"v/a/3"}},
		{"v/a/", "a", []string{"v/a/1", "v/a/2", "v/a/3"}},
		{"v/a/", "v/a/4", nil},
		{"v/a/", "v/b/1", nil},
		{"v/c/", "", nil},
	} {
		objects, err := c.ObjectsBelow(tt.prefix, tt.from)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, o := range objects {
			got = append(got, o.Name)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("below %q from %q (-want +got):\n%s", tt.prefix, tt.from, diff)
		}
	}
}
