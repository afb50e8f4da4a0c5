package catalog

import (
	"encoding/json"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"github.com/saypro/backupd/internal/storage"
)

// Traffic is what went between this host and a site in one month of UTC.
type Traffic struct {
	// From is when the counting of the month began, Until when it was last
	// written down.
	From  time.Time `json:"from"`
	Until time.Time `json:"until"`
	storage.Requests
}

// AddTraffic adds what was counted between two moments to the month of the
// second, site by site.
func (c *Catalog) AddTraffic(more map[string]storage.Requests, from, until time.Time) error {
	month := monthOf(until)
	if from.Before(month) {
		from = month
	}
	err := c.db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucketTraffic)
		for site, r := range more {
			key := trafficKey(month, site)
			t := Traffic{From: from.UTC()}
			if v := b.Get(key); v != nil {
				if err := json.Unmarshal(v, &t); err != nil {
					return err
				}
			}
			t.Until, t.Requests = until.UTC(), t.Plus(r)
			if err := putJSON(b, key, t); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("catalog: traffic of %s: %w", month.Format(monthLayout), err)
	}
	return nil
}

// Traffic returns the traffic of the month that a moment lies in, by site. A
// site with which there was none is not in it.
func (c *Catalog) Traffic(at time.Time) (map[string]Traffic, error) {
	out := map[string]Traffic{}
	prefix := string(trafficKey(monthOf(at), ""))
	err := c.db.View(func(tx *bbolt.Tx) error {
		cur := tx.Bucket(bucketTraffic).Cursor()
		for k, v := cur.Seek([]byte(prefix)); len(k) > len(prefix) && string(k[:len(prefix)]) == prefix; k, v = cur.Next() {
			var t Traffic
			if err := json.Unmarshal(v, &t); err != nil {
				return err
			}
			out[string(k[len(prefix):])] = t
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("catalog: traffic: %w", err)
	}
	return out, nil
}

const monthLayout = "2006-01"

// trafficKey sorts by month, then site.
func trafficKey(month time.Time, site string) []byte {
	return []byte(month.Format(monthLayout) + "\x00" + site)
}

func monthOf(t time.Time) time.Time {
	y, m, _ := t.UTC().Date()
	return time.Date(y, m, 1, 0, 0, 0, 0, time.UTC)
}
