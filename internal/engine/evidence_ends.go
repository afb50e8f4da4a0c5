package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/saypro/backupd/internal/evidence"
)

// errWhose marks evidence of which nothing on this host tells whether it is ours.
var errWhose = errors.New("nothing on this host tells which evidence is its own")

// sayWhose is how a person says it.
const sayWhose = "say whose with 'backupd catalog rebuild --from SITE --evidence-key PUBLIC-KEY', once no service runs: the newest key that " +
	"'backupd audit key' printed on the lost host, or that the auditor was given"

// keptHead is where a log ends, as a site has it: the checkpoint of an object.
type keptHead struct {
	keptPiece
	size       uint64
	checkpoint []byte
	// Of those that a key has signed:
	is evidence.Checkpoint
	by evidence.PublicKey
}

// keptEnds are the ends of a log at the sites, the longest first, and what its
// objects say of its keys. Anybody who may write at a site can have made any.
type keptEnds struct {
	all       []keptHead
	handovers []evidence.Handover
}

// maxCheckpoint is more than any checkpoint of ours has: all that are found are kept
// in memory.
const maxCheckpoint = 4 << 10

// ends reads the objects of a log from the last back, to the first whose checkpoint
// a key has signed; to the very first with a zero key.
func (k keptEvidence) ends(ctx context.Context, id string, until evidence.PublicKey) (out keptEnds) {
	// The first site stays the first of equals.
	ordered := slices.Clone(k.pieces[id])
	slices.SortStableFunc(ordered, func(a, b keptPiece) int { return cmp.Compare(b.end(), a.end()) })
	for _, p := range ordered {
		s, ok := k.read(ctx, p)
		if !ok || len(s.Checkpoint) > maxCheckpoint {
			continue
		}
		out.handovers = append(out.handovers, s.Handovers()...)
		out.all = append(out.all, keptHead{keptPiece: p, size: s.To, checkpoint: s.Checkpoint})
		if _, _, err := evidence.OpenCheckpoint(s.Checkpoint, until); until != (evidence.PublicKey{}) && err == nil {
			break
		}
	}
	return out
}

// signed returns the ends that one of the keys has signed, each once.
func (e keptEnds) signed(keys ...evidence.PublicKey) (out []keptHead) {
	known := map[evidence.Checkpoint]bool{}
	for _, h := range e.all {
		at, by, err := evidence.OpenCheckpoint(h.checkpoint, keys...)
		if err == nil && !known[at] {
			h.is, h.by, known[at] = at, by, true
			out = append(out, h)
		}
	}
	return out
}

// ownEnds are the ends of a log that may be taken over.
type ownEnds struct {
	keptEnds
	// heads are signed by one of the keys: one that is ours, and what it announced.
	heads []keptHead
	keys  []evidence.PublicKey
}

// of returns the ends of a log that a key, or one that it announced, has signed.
func (e keptEnds) of(key evidence.PublicKey) ownEnds {
	keys := evidence.Successors(key, e.handovers)
	return ownEnds{e, e.signed(keys...), keys}
}

// others are the checkpoints by other keys than that of an end: they must not
// contradict it. By the same key they may: the longest is followed then.
func (o ownEnds) others(than keptHead) (out [][]byte) {
	for _, h := range o.heads {
		if h.by != than.by {
			out = append(out, h.checkpoint)
		}
	}
	return out
}

// strange says of the ends behind one that none of the keys has signed them.
func (o ownEnds) strange(behind uint64) (out []string) {
	for _, h := range o.all {
		if h.size > behind {
			out = append(out, fmt.Sprintf("site %s: %s: it ends with record %d, and none of the keys that signed this host's log has signed that", h.site, h.Name(), h.size-1))
		}
	}
	return out
}

// ownEndsOf finds out which ends of a log are this host's: by the key that a person
// names, or the one in the key file; when that is lost, by the first of the log. The
// error matches [errWhose] when that does not tell.
func (k keptEvidence) ownEndsOf(ctx context.Context, id string, u untaken) (ownEnds, error) {
	if u.Key != "" {
		key, err := evidence.ParsePublicKey(u.Key)
		if err != nil {
			return ownEnds{}, err
		}
		own := k.ends(ctx, id, evidence.PublicKey{}).of(key)
		return own, own.needed("the key that was named, " + key.ID)
	}
	if u.KeyIsNew {
		return k.ownEndsWithoutKey(ctx, id)
	}
	key := k.evidence.PublicKey()
	own := k.ends(ctx, id, key).of(key)
	if before, ok := k.evidence.KeyBefore(); ok && len(own.heads) == 0 {
		// No site was given what followed the last change of the key.
		own = own.of(before)
	}
	return own, own.needed(fmt.Sprintf("key %s in %s", key.ID, k.cfg.Evidence.KeyFile))
}

// needed fails when there are ends, and none of a key.
func (o ownEnds) needed(key string) error {
	if len(o.heads) > 0 || len(o.all) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s has signed no end of it, nor has a key that it announced: bring a site that keeps such an end, or %s%s", errWhose, key, sayWhose, o.claims())
}

// ownEndsWithoutKey goes by the key that the first record names.
func (k keptEvidence) ownEndsWithoutKey(ctx context.Context, id string) (ownEnds, error) {
	all := k.ends(ctx, id, evidence.PublicKey{})
	var first evidence.PublicKey
	for _, h := range all.handovers {
		if h.Record > 0 || h.To == first || !h.Itself() {
			continue
		}
		if first != (evidence.PublicKey{}) {
			return ownEnds{}, fmt.Errorf("%w: there are several first records: %s%s", errWhose, sayWhose, all.claims())
		}
		first = h.To
	}
	if first == (evidence.PublicKey{}) {
		return ownEnds{}, fmt.Errorf("%w: no site that could be asked has its first record", evidence.ErrDamaged)
	}
	own := all.of(first)
	if own.endsElsewhere() {
		return ownEnds{}, fmt.Errorf("%w: it goes on by a key that none of those before announced: %s%s", errWhose, sayWhose, all.claims())
	}
	return own, nil
}

// endsElsewhere reports whether there is something longer that a key has signed which
// is none of the log's own: that of somebody who lost one, or a stranger's.
func (o ownEnds) endsElsewhere() bool {
	longest := uint64(0)
	if len(o.heads) > 0 {
		longest = o.heads[0].size
	}
	named := map[string][]evidence.PublicKey{}
	for _, h := range o.handovers {
		if !slices.Contains(o.keys, h.To) && !slices.Contains(named[h.To.ID], h.To) {
			named[h.To.ID] = append(named[h.To.ID], h.To)
		}
	}
	return slices.ContainsFunc(o.all, func(h keptHead) bool {
		_, id, err := evidence.HeadOrigin(h.checkpoint)
		if err != nil || h.size <= longest {
			return false
		}
		_, _, err = evidence.OpenCheckpoint(h.checkpoint, named[id]...)
		return err == nil
	})
}

// claims lists the keys that announced themselves: who lost a key does so, and a
// stranger.
func (e keptEnds) claims() string {
	const most = 8
	var out []string
	told, more := map[evidence.PublicKey]bool{}, 0
	for _, h := range slices.Backward(e.handovers) {
		if told[h.To] || !h.Itself() {
			continue
		}
		if told[h.To] = true; len(out) == most {
			more++
			continue
		}
		out = append(out, fmt.Sprintf("%s from record %d on", h.To, h.Record))
	}
	if len(out) == 0 {
		return ""
	}
	if more > 0 {
		out = append(out, fmt.Sprintf("%d more", more))
	}
	return "; of themselves say so " + strings.Join(out, ", ")
}

// ofLog returns the id of the log that is to be taken over, empty when sites keep
// none. The error matches [errWhose] when they keep several and the key is lost.
func (k keptEvidence) ofLog(ctx context.Context, u untaken) (string, error) {
	if u.Key != "" {
		key, err := evidence.ParsePublicKey(u.Key)
		return path.Base(key.Origin), err
	}
	if !u.KeyIsNew {
		return logID(k.evidence), nil
	}
	var found, origins []string
	for id := range k.pieces {
		if origin, err := k.origin(ctx, id); err == nil {
			found, origins = append(found, id), append(origins, origin)
		}
	}
	switch len(found) {
	case 0:
		return "", nil
	case 1:
		return found[0], nil
	}
	slices.Sort(origins)
	return "", fmt.Errorf("%w: sites keep the logs %s: %s", errWhose, strings.Join(origins, " and "), sayWhose)
}
