package retention

import (
	"slices"
	"strings"
)

// floors keeps what no policy may take: the newest that can be restored, from
// each site and with proof.
func (d *decider) floors() {
	all := d.newest(func(i int32) bool { return d.missing(i) == "" })
	if all >= 0 && len(d.sites) > 1 {
		d.keep(all, "newest that every site holds")
	}
	for _, s := range d.sites {
		if i := d.newest(func(i int32) bool { return d.holds(s, i) }); i >= 0 && (i != all || len(d.sites) == 1) {
			d.keep(i, "newest that "+s+" holds")
		}
	}
	d.provenFloors()
	d.cleanFloors()
}

// cleanFloors keeps, while there is a doubt, what the other floors would keep
// if there were no points in doubt: who finds the doubt to be right needs it.
func (d *decider) cleanFloors() {
	if d.newest(func(i int32) bool { return d.line[i].Doubtful }) < 0 {
		return
	}
	clean := func(i int32) bool { return !d.line[i].Doubtful }
	for _, s := range d.sites {
		if i := d.newest(func(i int32) bool { return clean(i) && d.holds(s, i) }); i >= 0 {
			d.keep(i, "newest clean one that "+s+" holds")
		}
		if i := d.newest(func(i int32) bool { return clean(i) && d.holds(s, i) && slices.Contains(d.line[i].Proven, s) }); i >= 0 {
			d.keep(i, "newest clean one proven from "+s)
		}
	}
	if i := d.newest(func(i int32) bool { return clean(i) && d.missing(i) == "" }); i >= 0 && len(d.sites) > 1 {
		d.keep(i, "newest clean one that every site holds")
	}
}

// provenFloors counts a proof only while the point can be restored: one of a
// copy that is gone shows nothing.
func (d *decider) provenFloors() {
	told := false
	overall := d.newest(func(i int32) bool { return len(d.line[i].Proven) > 0 })
	for _, s := range d.sites {
		i := d.newest(func(i int32) bool { return d.holds(s, i) && slices.Contains(d.line[i].Proven, s) })
		if i < 0 {
			continue
		}
		d.keep(i, "newest proven from "+s)
		told = told || i == overall
	}
	if overall >= 0 && !told {
		d.keep(overall, "newest that is proven")
	}
}

// newest returns the newest of the counted points that is as asked, or -1.
func (d *decider) newest(is func(int32) bool) int32 {
	for _, i := range d.counted {
		if is(i) {
			return i
		}
	}
	return -1
}

// missing lists the sites that have not got the point; "" when all have.
func (d *decider) missing(i int32) string {
	var without []string
	for _, s := range d.sites {
		if !d.holds(s, i) {
			without = append(without, s)
		}
	}
	return strings.Join(without, " and ")
}

// unsettled keeps points about which nothing can be decided yet, and those
// that somebody holds.
func (d *decider) unsettled() {
	for i := range int32(len(d.line)) {
		if held := d.line[i].Held; held != "" {
			d.keep(i, "held: "+held)
		}
		if d.line[i].Suspect {
			d.keep(i, "suspect: nobody has judged it yet")
		}
		if !d.restorable(i) {
			d.keep(i, "no site holds it whole")
		} else if sites := d.missing(i); sites != "" {
			d.keep(i, "on its way to "+sites)
		}
		if d.ahead(i) {
			d.keep(i, "its time is ahead of the clock: not counted")
		}
	}
}
