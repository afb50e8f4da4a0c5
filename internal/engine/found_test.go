package engine_test

import (
	"slices"
	"testing"

	"github.com/saypro/backupd/internal/evidence"
)

// TestInventory records what no function covers, once a day.
func TestInventory(t *testing.T) {
	w := newWorld(t, extra{})
	w.db.Exec(t, `CREATE SCHEMA marketing; CREATE TABLE marketing.letters (id int); CREATE TABLE marketing.readers (id int)`)
	w.db.Exec(t, `CREATE DATABASE warehouse`)
	for range 2 {
		if err := w.TellFound(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	var found []evidence.Record
	for r, err := range w.Evidence().Records(0, w.Evidence().Size()) {
		if err != nil {
			t.Fatal(err)
		}
		if r.Found != nil {
			found = append(found, r)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d inventories of one day", len(found))
	}
	for name, s := range found[0].Found.Sources {
		if s.Uncovered["marketing"] != 2 || !slices.Contains(s.Tables, "marketing.letters") || s.Covered["payments"] == 0 || !slices.Contains(s.Databases, "warehouse") || s.Error != "" {
			t.Errorf("source %s: %+v", name, s)
		}
		for table := range slices.Values(s.Tables) {
			if table == "payments.ledger" {
				t.Error("a table that is covered is told as not covered")
			}
		}
	}
	if len(found[0].Found.Sites) != 2 {
		t.Errorf("sites: %+v", found[0].Found.Sites)
	}
}
