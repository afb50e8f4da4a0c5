package evidence

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// ofAct pairs intents and results.
func (v *verifier) ofAct(seq uint64, r *Record) {
	v.points.take(seq, r)
	ended := string(r.Outcome)
	if r.Phase != Result {
		ended = string(r.Phase)
	}
	v.acts[actKey{r.Act, ended}]++
	switch r.Phase {
	case Intent:
		v.open[seq] = intended{r.Act, r.Function, r.Time, r.Late != "", atTable(*r)}
		if r.Act == ActSnapshot {
			v.newest[r.Function] = seq
		}
		if r.Late != "" {
			v.untimed(seq, time.Time{}, r.Time, "%s of %q was put on record at %s, when it was over: %s", r.Act, r.Function, stamp(r.Time), r.Late)
		}
	case Result:
		v.ended(seq, r)
	case Event:
	}
}

func (v *verifier) ended(seq uint64, r *Record) {
	if r.passed() {
		v.passed[seq] = testOf(r)
	}
	intent, begun := v.open[*r.Intent]
	switch {
	case *r.Intent >= seq:
		v.found(&seq, FoundResult, "it ends record %d, which is not before it", *r.Intent)
	case *r.Intent < v.out.From:
		// It began before the period, whose bundle has the intent.
	case !begun:
		v.found(&seq, FoundResult, "it ends record %d, which is no intent, or has ended already", *r.Intent)
	case intent.act != r.Act || intent.function != r.Function:
		v.found(&seq, FoundResult, "it is %s of %q, and ends record %d, which is %s of %q", r.Act, r.Function, *r.Intent, intent.act, intent.function)
	default:
		delete(v.open, *r.Intent)
	}
	if r.Act == ActSnapshot {
		v.point(seq, r, intent)
	}
	if r.Proof != nil {
		v.proven(seq, r, intent)
		v.tookLonger(seq, r, intent, r.Proof.Seconds)
	}
	if r.Restore != nil {
		v.tookLonger(seq, r, intent, r.Restore.Seconds)
	}
}

// specifics checks what single acts say of the log itself.
func (v *verifier) specifics(seq uint64, r *Record) {
	switch {
	case r.Policy != nil:
		if sum, err := r.Policy.Digest(); err != nil || sum != r.Policy.SHA256 {
			v.found(&seq, FoundVerdict, "it gives its promise the digest %s, and that is %s", r.Policy.SHA256, sum)
		}
		v.promised(seq, r)
		v.out.Policies = append(v.out.Policies, PolicyChange{Record: seq, Time: r.Time, SHA256: r.Policy.SHA256, By: r.By, Functions: r.Policy.Functions, Anchors: r.Policy.Anchors, Terms: r.Policy.Terms})
	case r.Anchor != nil:
		v.anchor(seq, r)
	case r.Day != nil:
		v.day(seq, r)
	case r.Drill != nil:
		v.drill(seq, r.Drill)
	case r.Durable != nil:
		v.durable(seq, r)
	case r.Alive != nil && r.Alive.TakenFrom != "":
		v.takenOver(seq, r)
	case r.Alive != nil && r.Alive.SinceSequence+1 != seq:
		v.found(&seq, FoundSequence, "it says that record %d came before it", r.Alive.SinceSequence)
	}
}

// drill checks that what a step rests on, and what closed an action, passed.
func (v *verifier) drill(seq uint64, d *Drill) {
	for i := range d.Steps {
		if s := &d.Steps[i]; s.Status == Pass {
			v.step(seq, d, s)
		}
	}
	for _, a := range d.Actions {
		id := d.ID + " " + a.ID
		since, known := v.actions[id]
		if !known {
			v.actions[id] = seq
			since = seq
		}
		if a.Closed == nil || *a.Closed < v.out.From {
			continue
		}
		if _, passed := v.passed[*a.Closed]; !passed || known && *a.Closed < since {
			v.found(&seq, FoundVerdict, "action %s claims to be closed by record %d, which is no test that passed after it was recorded", a.ID, *a.Closed)
		}
	}
}

// after checks the end: checkpoints, and what is still open.
func (v *verifier) after() {
	about := v.bundle.about
	for i := range v.bundle.keys {
		if x := &v.bundle.keys[i]; x.record.Sequence >= about.To {
			v.follow(x.record.Sequence, x)
		}
	}
	start := v.checkpoint(bundleStart, v.bundle.start, about.From)
	end := v.checkpoint(bundleEnd, v.bundle.end, about.To)
	if end != nil {
		v.vouchedByEnd()
	}
	if start != nil && end != nil && about.From > 0 {
		if err := checkTree(v.bundle.hashes.Consistency, end, start); err != nil {
			v.found(nil, FoundRoot, "the records of the period do not go on from those before it: %v", err)
		}
	}
	if root, err := v.tree.root(about.To); err == nil {
		v.out.Root = root.String()
	}
	for _, head := range v.heads {
		v.head(head)
	}
	v.period()
	v.pointsAgree()
	v.unmade()
	v.unsummedAtEnd()
	v.unfinished()
	v.overdueAtEnd()
	v.unshownPromise()
	v.silentAfter()
}

// checkpoint checks one of the bundle's own against the records; nil when it
// does not hold.
func (v *verifier) checkpoint(name string, signed []byte, size uint64) *Checkpoint {
	at, by, err := OpenCheckpoint(signed, v.known()...)
	switch {
	case err != nil:
		v.found(nil, FoundRoot, "%s is not signed by a key of this log: %v", name, err)
		return nil
	case at.Size != size || at.Origin != v.out.Origin:
		v.found(nil, FoundRoot, "%s is of %d records of %s, and must be of %d of %s", name, at.Size, at.Origin, size, v.out.Origin)
		return nil
	case !v.trusted[by] && !slices.Contains(v.given, by):
		v.found(nil, FoundKey, "%s is signed with key %s, which none of the keys that were given vouches for", name, by.ID)
	}
	v.inForce(name, at, by)
	root, err := v.tree.root(size)
	if err != nil || root != at.Root {
		v.found(nil, FoundRoot, "%s was signed for the root %v, and the %d records have %v", name, at.Root, size, root)
		return nil
	}
	return &at
}

// vouchedByEnd has a key that was given and that signed the end of the bundle
// vouch for the keys before it: it signed for every record that there is. So who
// has the newest key needs no older one, back to the last break.
func (v *verifier) vouchedByEnd() {
	_, by, err := OpenCheckpoint(v.bundle.end, v.known()...)
	if err != nil || !slices.Contains(v.given, by) {
		return
	}
	at := slices.IndexFunc(v.out.Keys, func(k KeyUse) bool { return k.Public == by.String() })
	for ; at > 0 && v.out.Keys[at].How == "announced"; at-- {
		before := &v.out.Keys[at-1]
		before.Trusted = true
		if key, err := ParsePublicKey(before.Public); err == nil {
			v.trusted[key] = true
			delete(v.strange, key)
		}
	}
}

// period checks that the bundle holds all of the period that was asked for: it
// begins with the last record before it, or with the log, and ends with the first
// behind it, or where the log is said to end.
func (v *verifier) period() {
	about := v.bundle.about
	v.out.Since, v.out.Until = about.Since, about.Until
	if about.From == about.To {
		if about.Size > 0 {
			v.found(nil, FoundPeriod, "it has no record, and the log is said to hold %d: those around a period are always there", about.Size)
		}
		return
	}
	first, last := about.From, about.To-1
	if first > 0 && !v.out.First.Before(about.Since) && !v.out.First.After(v.last) {
		v.found(&first, FoundPeriod, "it is the first, of %s, and %s: what was written in between is left out", stamp(v.out.First), edge("begins", about.Since))
	}
	switch reaches := !about.Until.IsZero() && !v.last.Before(about.Until); {
	case reaches:
	case about.To < about.Size:
		v.found(&last, FoundPeriod, "it is the last, of %s, and %s: what was written in between is left out", stamp(v.last), edge("ends", about.Until))
	case !about.Until.IsZero():
		v.warn(Warning{Record: &last, Kind: WarnShort, From: v.last, To: about.Until, Text: fmt.Sprintf(
			"the log is said to end with it, at %s, before the period does, at %s; nothing in the bundle shows that", stamp(v.last), stamp(about.Until))})
	}
}

// edge tells an edge of a period.
func edge(does string, at time.Time) string {
	if at.IsZero() {
		return "the period " + does + " with the log"
	}
	return "the period " + does + " at " + stamp(at)
}

// inForce checks that the key that signed a checkpoint had not given way to
// another before the log held so many records: who steals an old key could make
// another end with it. A later key may sign for an earlier size.
func (v *verifier) inForce(name string, at Checkpoint, by PublicKey) {
	if last, gone := v.retired[by]; gone && at.Size > last {
		v.found(nil, FoundKey, "%s is of %d records and signed with key %s, which signed for the last time when there were %d", name, at.Size, by.ID, last)
	}
}

// known returns all keys that ever signed the log.
func (v *verifier) known() (out []PublicKey) {
	for k := range v.trusted {
		out = append(out, k)
	}
	for _, k := range v.given {
		if _, there := v.trusted[k]; !there {
			out = append(out, k)
		}
	}
	return out
}

// head compares with a checkpoint that was brought along.
func (v *verifier) head(signed []byte) {
	var trusted []PublicKey
	for _, k := range v.known() {
		if v.trusted[k] || slices.Contains(v.given, k) {
			trusted = append(trusted, k)
		}
	}
	at, by, err := OpenCheckpoint(signed, trusted...)
	if err != nil {
		v.found(nil, FoundHead, "the checkpoint that was given is not one of this log: %v", err)
		return
	}
	v.inForce("the checkpoint that was given", at, by)
	check := HeadCheck{Size: at.Size, Root: at.Root.String()}
	about := v.bundle.about
	switch {
	case at.Size > about.Size:
		v.found(nil, FoundHead, "the checkpoint that was given is of %d records, and the log is said to hold %d", at.Size, about.Size)
	case at.Size < about.From:
		check.NotChecked = fmt.Sprintf("it is of fewer records than come before this bundle, which begins with %d: ask for one without --from", about.From)
	case at.Size > about.To:
		check.NotChecked = fmt.Sprintf("it is of more records than this bundle, which ends with %d: ask for one without --to", about.To)
	default:
		root, err := v.tree.root(at.Size)
		if check.Fits = err == nil && root == at.Root; !check.Fits {
			v.found(nil, FoundHead, "the checkpoint that was given has the root %v of %d records, and those of the bundle have %v", at.Root, at.Size, root)
		}
	}
	if check.NotChecked != "" {
		v.warn(Warning{Kind: WarnUnchecked, Text: fmt.Sprintf("the checkpoint of %d records that was given was not compared: %s", at.Size, check.NotChecked)})
	}
	v.out.Heads = append(v.out.Heads, check)
}

// unfinished tells acts that may be under way from those whose end is hidden. A
// part that ends before the log does cannot tell how a long act ended.
func (v *verifier) unfinished() {
	about := v.bundle.about
	most, where := underway, ""
	if about.To < about.Size {
		most, where = underwayAtBorder, fmt.Sprintf("; the log goes on, and a bundle that reaches behind record %d must have its result", about.To-1)
	}
	for _, seq := range slices.Sorted(maps.Keys(v.open)) {
		r := v.open[seq]
		age := v.last.Sub(r.at)
		what := fmt.Sprintf("%s of %q was begun at %s, and how it ended is not told", r.act, r.function, stamp(r.at))
		switch {
		case age > most && !r.table:
			v.found(&seq, FoundUnfinished, "%s by the end of the bundle, %s later", what, age.Round(1e9))
		case r.act == ActSnapshot && seq < v.newest[r.function]:
			v.found(&seq, FoundUnfinished, "%s, though another of the same was begun since (record %d)", what, v.newest[r.function])
		case r.at.Before(about.Since), !about.Until.IsZero() && !r.at.Before(about.Until):
			// The records at the borders show that all between is there, and are not of
			// the period: the bundles of those beside it tell of them.
		default:
			v.out.Open = append(v.out.Open, OpenIntent{Record: seq, Time: r.at, Act: r.act, Function: r.function})
			v.warn(Warning{Record: &seq, Kind: WarnOpen, Text: what + " in this bundle" + where, From: r.at, To: v.last})
		}
	}
}

// checkTree checks that one tree goes on from another.
func checkTree(proof []Hash, later, earlier *Checkpoint) error {
	return tlog.CheckTree(proof, int64(later.Size), later.Root, int64(earlier.Size), earlier.Root)
}
