package report

import (
	"fmt"
	"slices"
	"time"

	"github.com/saypro/backupd/internal/evidence"
)

// Inventory is the newest of the inventories that are recorded daily: what the
// sources hold, held against what functions cover.
type Inventory struct {
	Sequence uint64    `json:"sequence"`
	Time     time.Time `json:"time"`
	// Looks is how many were recorded in the period.
	Looks int `json:"looks"`
	evidence.Found
	// Changes say what came and went in the period that no function covers.
	Changes []string `json:"changes"`
}

// inventoryBack is how far before a period an inventory is looked for.
const inventoryBack = 8 * day

// addInventory reads the inventories of the period.
func (p *Period) addInventory(l Log) error {
	records, err := l.all(evidence.ActFound, "", p.From.Add(-inventoryBack), p.readTo)
	if err != nil {
		return err
	}
	var before *evidence.Found
	changes, looks := []string{}, 0
	for _, r := range records {
		if r.Found == nil {
			continue
		}
		if !r.Time.Before(p.From) {
			looks++
			if before != nil {
				changes = append(changes, foundChanges(r.Time, *before, *r.Found)...)
			}
		}
		before = r.Found
		p.Inventory = &Inventory{Sequence: r.Sequence, Time: r.Time.UTC(), Found: *r.Found}
	}
	if p.Inventory != nil {
		p.Inventory.Looks, p.Inventory.Changes = looks, changes
	}
	return nil
}

// foundChanges says which schemas and databases without a function came or went.
func foundChanges(at time.Time, before, now evidence.Found) (out []string) {
	for _, name := range sortedKeys(now.Sources) {
		a, b := before.Sources[name], now.Sources[name]
		if a.Error != "" || b.Error != "" {
			continue
		}
		for _, of := range []struct {
			what    string
			was, is []string
		}{{"schema", sortedKeys(a.Uncovered), sortedKeys(b.Uncovered)}, {"database", a.Databases, b.Databases}} {
			for _, x := range of.is {
				if !slices.Contains(of.was, x) {
					out = append(out, fmt.Sprintf("%s: %s %s of source %s is there, and no function covers it", utcDay(at), of.what, x, name))
				}
			}
			for _, x := range of.was {
				if !slices.Contains(of.is, x) {
					out = append(out, fmt.Sprintf("%s: %s %s of source %s is covered now, or gone", utcDay(at), of.what, x, name))
				}
			}
		}
	}
	return out
}

// uncoveredText says how much the newest inventory tells to be in no function;
// empty when nothing is.
func (i *Inventory) uncoveredText() string {
	tables, databases, unseen := 0, 0, 0
	for _, s := range i.Sources {
		for _, n := range s.Uncovered {
			tables += n
		}
		databases += len(s.Databases)
		if s.Error != "" {
			unseen++
		}
	}
	var words []string
	if tables > 0 {
		words = append(words, plural(tables, "table")+" in no function")
	}
	if databases > 0 {
		words = append(words, plural(databases, "database")+" of no source")
	}
	if unseen > 0 {
		words = append(words, plural(unseen, "source")+" that could not be looked into")
	}
	return list(words)
}
