package storagetest

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/saypro/backupd/internal/storage"
)

// Traffic checks that a store counts what goes to its site. Open returns a
// store that holds nothing and counts with the given counter.
func Traffic(t *testing.T, open func(*testing.T, *storage.Traffic) storage.Store) {
	var traffic storage.Traffic
	s := open(t, &traffic)
	content := Bytes(1, 300_000)
	for _, step := range []struct {
		what string
		do   func() error
		want storage.Requests // how much more; answers have bodies of their own
	}{
		{
			"put", func() error { return s.Put(t.Context(), Object("p/object", content)) },
			storage.Requests{Writes: 1, Sent: 300_000},
		},
		{"second put", func() error {
			if err := s.Put(t.Context(), Object("p/object", nil)); !errors.Is(err, storage.ErrExists) {
				return fmt.Errorf("want ErrExists, not %w", err)
			}
			return nil
		}, storage.Requests{Writes: 1}},
		{
			"get", func() error { _, err := Read(t.Context(), s, "p/object", 0, -1); return err },
			storage.Requests{Reads: 1, Received: 300_000},
		},
		{
			"get of a part", func() error { _, err := Read(t.Context(), s, "p/object", 1000, 500); return err },
			storage.Requests{Reads: 1, Received: 500},
		},
		{"stat", func() error { _, err := s.Stat(t.Context(), "p/object"); return err }, storage.Requests{Reads: 1}},
		{
			"list", func() error { return s.List(t.Context(), "", "", func(storage.Info) error { return nil }) },
			storage.Requests{Writes: 1},
		},
		{"delete", func() error { return s.Delete(t.Context(), "p/object") }, storage.Requests{Deletes: 1}},
		{"invalid", func() error { _ = s.Delete(t.Context(), "/"); return nil }, storage.Requests{}},
	} {
		before := traffic.Requests()
		if err := step.do(); err != nil {
			t.Errorf("%s: %v", step.what, err)
		}
		got := traffic.Requests()
		reads := got.Reads - before.Reads
		if step.what == "second put" {
			reads = 0 // a store may look whether the object is really there
		}
		if got.Writes-before.Writes != step.want.Writes || reads != step.want.Reads ||
			got.Deletes-before.Deletes != step.want.Deletes {
			t.Errorf("%s: from %+v to %+v, want %+v more", step.what, before, got, step.want)
		}
		sent, received := got.Sent-before.Sent, got.Received-before.Received
		if sent != step.want.Sent || received < step.want.Received || received > step.want.Received+4096 {
			t.Errorf("%s: %d bytes sent and %d received, want %+v", step.what, sent, received, step.want)
		}
	}
	many(t, s, &traffic)
}

// many has several operations at once, all of which must be counted.
func many(t *testing.T, s storage.Store, traffic *storage.Traffic) {
	before := traffic.Requests()
	const routines, each = 4, 10
	var wg sync.WaitGroup
	for range routines {
		wg.Go(func() {
			for range each {
				if _, err := s.Stat(t.Context(), "p/none"); !errors.Is(err, storage.ErrNotFound) {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if got := traffic.Requests().Reads - before.Reads; got != routines*each {
		t.Errorf("%d reads counted, want %d", got, routines*each)
	}
}
