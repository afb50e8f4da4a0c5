package repository

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/storage"
)

// evidencePrefix is where a site keeps the log of evidence.
const evidencePrefix = "v/"

// maxEvidence bounds one object of evidence: it is read whole.
const maxEvidence = maxPack

// ErrOtherEvidence means that there is other evidence of the same records: the
// log went on at two places, or somebody has changed it. None is put in the
// place of another.
var ErrOtherEvidence = errors.New("there is other evidence of the same records")

// EvidenceObject is a run of records of the log of evidence, as it lies at the
// sites.
type EvidenceObject struct {
	// Log is the log's id, 8 hexadecimal digits, First the number of its first
	// record here, and Count how many there are.
	Log   string
	First uint64
	Count int
	// Size is in bytes; SHA256 is of all of them.
	Size   int64
	SHA256 [32]byte
	// Waiting are the sites that do not have it yet, or not rightly.
	Waiting []string
}

// Name is the name of the object at every site.
func (o EvidenceObject) Name() string {
	return fmt.Sprintf("%s%s/%012d-%d", evidencePrefix, o.Log, o.First, o.Count)
}

var evidenceName = regexp.MustCompile(`^v/([0-9a-f]{8})/([0-9]{12})-([1-9][0-9]{0,8})$`)

// parseEvidenceName is the reverse of [EvidenceObject.Name]; ok is false for a
// name that is none of evidence, and that means nothing below its prefix.
func parseEvidenceName(name string) (o EvidenceObject, ok bool) {
	m := evidenceName.FindStringSubmatch(name)
	if m == nil {
		return o, false
	}
	o.Log = m[1]
	var err error
	if o.First, err = strconv.ParseUint(m[2], 10, 64); err != nil {
		return o, false
	}
	o.Count, err = strconv.Atoi(m[3])
	return o, err == nil
}

// AddEvidence has every site keep a run of records of the log of evidence: those
// from first on, count of them. They are safe here when it returns, and go to the
// sites as snapshots do, which never wait for them. What was added before is not
// added again, but sent again when every site has lost it; other content for the
// same records fails with [ErrOtherEvidence] as long as any site has the first.
func (r *Repository) AddEvidence(ctx context.Context, log string, first uint64, count int, content []byte) error {
	if err := r.mayWrite(); err != nil {
		return err
	}
	e := EvidenceObject{Log: log, First: first, Count: count, Size: int64(len(content)), SHA256: sum(content)}
	name := e.Name()
	if _, ok := parseEvidenceName(name); !ok {
		return fmt.Errorf("repository: evidence of log %q, %d records from %d on: no object can be named so", log, count, first)
	}
	if len(content) == 0 || e.Size > maxEvidence {
		return fmt.Errorf("repository: evidence %s has %d bytes; it must have some, and no more than %d", name, e.Size, int64(maxEvidence))
	}
	if err := r.makeRoom(ctx, e.Size); err != nil {
		return err
	}
	r.commitMu.Lock()
	defer r.commitMu.Unlock()
	o := catalog.Object{Kind: catalog.KindEvidence, Name: name, Size: e.Size, SHA256: e.SHA256}
	known, err := r.catalog.Object(name)
	switch {
	case err == nil && known.SHA256 != e.SHA256:
		// Nothing is overwritten; but where nothing is left, the same records may
		// come back under the checkpoint of a later key.
		if replaced, err := r.catalog.ReplaceLost(o); err != nil || !replaced {
			return errors.Join(err, fmt.Errorf("repository: evidence %s: %w", name, ErrOtherEvidence))
		}
		return r.giveEvidenceAgain(name, content)
	case err == nil:
		return r.giveEvidenceAgain(name, content)
	case !errors.Is(err, catalog.ErrNotFound):
		return err
	}
	if err := r.spool.put(name, content); err != nil {
		return err
	}
	if err := r.catalog.AddObject(o, r.siteNames()); err != nil {
		return errors.Join(err, r.spool.remove(name))
	}
	r.wake()
	return nil
}

// giveEvidenceAgain queues evidence that was added before for the sites that
// count it as lost.
func (r *Repository) giveEvidenceAgain(name string, content []byte) error {
	for _, site := range r.sites {
		fault, faulty, err := r.catalog.FaultAt(site.Name, name)
		if err != nil {
			return err
		}
		if !faulty || !fault.Lost {
			continue
		}
		if err := r.spool.put(name, content); err != nil {
			return err
		}
		fault.Lost = false
		if _, err := r.catalog.Doubt(fault); err != nil {
			return err
		}
	}
	r.wake()
	return nil
}

// EvidenceObjects returns all evidence that the catalog knows, by log and first
// record.
func (r *Repository) EvidenceObjects() ([]EvidenceObject, error) {
	objects, err := r.catalog.ObjectsBelow(evidencePrefix, "")
	if err != nil {
		return nil, err
	}
	var out []EvidenceObject
	for _, o := range objects {
		e, ok := parseEvidenceName(o.Name)
		if !ok {
			return nil, fmt.Errorf("repository: the catalog names evidence %q", o.Name)
		}
		e.Size, e.SHA256 = o.Size, o.SHA256
		for _, site := range r.sites {
			missing, err := r.lacksEvidence(site.Name, o.Name)
			if err != nil {
				return nil, err
			}
			if missing {
				e.Waiting = append(e.Waiting, site.Name)
			}
		}
		out = append(out, e)
	}
	return out, nil
}

// lacksEvidence reports whether an object waits for a site or is known to be
// missing or wrong there.
func (r *Repository) lacksEvidence(site, name string) (bool, error) {
	waits, err := r.catalog.Waits(site, name)
	if err != nil || waits {
		return waits, err
	}
	_, faulty, err := r.catalog.FaultAt(site, name)
	return faulty, err
}

// EvidenceAt returns the names of the evidence that a site holds or must hold, by
// log and first record: of one log from a record on, or with an empty log of all.
// Whether it is whole is seen when it is read.
func (r *Repository) EvidenceAt(ctx context.Context, name, log string, from uint64) ([]EvidenceObject, error) {
	site, err := r.Site(name)
	if err != nil {
		return nil, err
	}
	if err := r.checkRepository(ctx, site); err != nil {
		return nil, err
	}
	prefix, after := evidencePrefix, ""
	if log != "" {
		prefix += log + "/"
		after = fmt.Sprintf("%s%012d", prefix, from)
	}
	found := map[string]EvidenceObject{}
	note := func(name string) {
		if o, ok := parseEvidenceName(name); ok && name >= after {
			found[name] = o
		}
	}
	err = site.Store.List(ctx, prefix, after, func(info storage.Info) error {
		note(info.Name)
		return nil
	})
	if err != nil {
		return nil, err
	}
	known, err := r.catalog.ObjectsBelow(prefix, after)
	if err != nil {
		return nil, err
	}
	for _, o := range known {
		waits, err := r.catalog.Waits(site.Name, o.Name)
		if err != nil {
			return nil, err
		}
		if !waits {
			note(o.Name)
		}
	}
	var out []EvidenceObject
	for _, name := range slices.Sorted(maps.Keys(found)) {
		out = append(out, found[name])
	}
	return out, nil
}

// ReadEvidence returns what a site holds of a run of records. Nothing is taken
// from elsewhere: an object that the site does not have, or of which it has other
// bytes than were once acknowledged, is an error that names it.
func (r *Repository) ReadEvidence(ctx context.Context, name string, o EvidenceObject) ([]byte, error) {
	site, err := r.Site(name)
	if err != nil {
		return nil, err
	}
	return r.readEvidence(ctx, site, o.Name())
}

// ReadAnyEvidence returns what lies at a site under the name of a run of records,
// also when other bytes were acknowledged: what is to be taken over is known by its
// signatures.
func (r *Repository) ReadAnyEvidence(ctx context.Context, name string, o EvidenceObject) ([]byte, error) {
	site, err := r.Site(name)
	if err != nil {
		return nil, err
	}
	return readObject(ctx, site, o.Name(), maxEvidence)
}

// KnowsEvidence reports whether the catalog knows a run of records, and whether a
// site has it rightly as far as it knows.
func (r *Repository) KnowsEvidence(site string, o EvidenceObject) (known, right bool, err error) {
	_, err = r.catalog.Object(o.Name())
	if errors.Is(err, catalog.ErrNotFound) {
		return false, false, nil
	}
	if err != nil {
		return false, false, err
	}
	lacks, err := r.lacksEvidence(site, o.Name())
	return true, !lacks, err
}

func (r *Repository) readEvidence(ctx context.Context, site Site, name string) ([]byte, error) {
	content, err := readObject(ctx, site, name, maxEvidence)
	if err != nil {
		return nil, err
	}
	known, err := r.catalog.Object(name)
	if err == nil && sum(content) != known.SHA256 {
		err = &ObjectError{site.Name, name, fmt.Errorf("%w: it has other bytes than it must", ErrCorrupt)}
	}
	if errors.Is(err, catalog.ErrNotFound) {
		err = nil // another host has just written it
	}
	return content, err
}

// ForgetEvidence has the catalog forget objects of evidence that are none of this
// host's, and what of them waits. They stay where they lie.
func (r *Repository) ForgetEvidence(names []string) error {
	if err := r.mayWrite(); err != nil || len(names) == 0 {
		return err
	}
	r.commitMu.Lock()
	defer r.commitMu.Unlock()
	if err := r.catalog.DropObjects(names); err != nil {
		return fmt.Errorf("repository: forget %d objects of evidence: %w", len(names), err)
	}
	return nil
}

// LostEvidence returns what sites lack of the evidence and none can give the other.
func (r *Repository) LostEvidence() ([]EvidenceObject, error) {
	lost := map[string]EvidenceObject{}
	for _, site := range r.sites {
		faults, err := r.catalog.Faults(site.Name)
		if err != nil {
			return nil, err
		}
		for _, f := range faults {
			if o, ok := parseEvidenceName(f.Name); ok && f.Lost {
				lost[f.Name] = o
			}
		}
	}
	var out []EvidenceObject
	for _, name := range slices.Sorted(maps.Keys(lost)) {
		out = append(out, lost[name])
	}
	return out, nil
}

// adoptEvidence takes in evidence that the catalog does not know, unless it
// contradicts what this host has of the same log. Whether it is true is for its
// reader to say.
func (a *adopter) adoptEvidence(info storage.Info, content []byte) error {
	if err := a.wholeEvidence(info.Name, content); err != nil {
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	if e, ok := parseEvidenceName(info.Name); ok && a.joinEvidence != nil {
		if err := a.joinEvidence(e.Log, e.First, e.Count, content); err != nil {
			return fmt.Errorf("%w: %w", ErrOtherEvidence, err)
		}
	}
	o := catalog.Object{Kind: catalog.KindEvidence, Name: info.Name, Size: int64(len(content)), SHA256: sum(content)}
	if err := a.catalog.AddObject(o, a.sites); err != nil {
		return err
	}
	return a.catalog.NoteRead(a.site.Name, []string{info.Name}, a.clock.Now())
}

// wholeEvidence returns an error for what cannot be evidence, as far as can be
// told here.
func (r *Repository) wholeEvidence(name string, content []byte) error {
	if len(content) == 0 {
		return errors.New("it is empty")
	}
	if e, ok := parseEvidenceName(name); ok && r.checkEvidence != nil {
		return r.checkEvidence(e.Log, e.First, e.Count, content)
	}
	return nil
}

// mayReplaceEvidence refuses to put evidence in the place of other bytes that
// this site never acknowledged as ours and that may be evidence too: that the log
// has gone on at two places must not be hidden.
func (r *Repository) mayReplaceEvidence(ctx context.Context, site Site, e catalog.Entry) error {
	if !strings.HasPrefix(e.Name, evidencePrefix) {
		return nil
	}
	was, err := r.catalog.CopyAt(site.Name, e.Name)
	if err != nil || !was.Read.IsZero() {
		return err
	}
	content, err := readObject(ctx, site.quiet(), e.Name, maxEvidence)
	if errors.Is(err, ErrCorrupt) || errors.Is(err, storage.ErrShort) || errors.Is(err, storage.ErrChecksum) {
		return nil
	}
	if err != nil {
		return err
	}
	if sum(content) == e.SHA256 || r.wholeEvidence(e.Name, content) != nil {
		return nil
	}
	return &ObjectError{site.Name, e.Name, fmt.Errorf(
		"%w: %w; look at both with 'backupd repository inspect %s', and delete the wrong one there by hand", errStuck, ErrOtherEvidence, e.Name)}
}

// EvidenceEnd returns the number behind the last record of a log that was added;
// 0 when none was.
func (r *Repository) EvidenceEnd(log string) (uint64, error) {
	name, err := r.catalog.LastObject(evidencePrefix + log + "/")
	if err != nil || name == "" {
		return 0, err
	}
	e, ok := parseEvidenceName(name)
	if !ok {
		return 0, fmt.Errorf("repository: the catalog names evidence %q", name)
	}
	return e.First + uint64(e.Count), nil
}

// AwaitEvidence waits until every site has the named objects of evidence, ctx
// ends, or those that lack one have failed for longer than patience.
func (r *Repository) AwaitEvidence(ctx context.Context, names []string, patience time.Duration) error {
	_, err := r.awaitObjects(ctx, names, patience)
	return err
}

// EvidenceHeld is how much of a log of evidence a site is known to hold.
type EvidenceHeld struct {
	// End is the number behind the last record up to which it lacks none.
	End uint64
	// Locked is until when nobody can delete any of it; zero when somebody can.
	Locked time.Time
}

// EvidenceHeld tells how much of a log a site has acknowledged, from its first
// record on, of which nothing is known to be missing or wrong.
func (r *Repository) EvidenceHeld(site, log string) (held EvidenceHeld, err error) {
	prefix := evidencePrefix + log + "/"
	for after := prefix; ; {
		page, err := r.catalog.Holdings(site, after, 1000)
		if err != nil || len(page) == 0 {
			return held, err
		}
		for _, h := range page {
			o, ok := parseEvidenceName(h.Name)
			if !ok || o.Log != log || o.First > held.End || h.Faulty {
				return held, nil
			}
			if held.End == 0 || h.Locked.Before(held.Locked) {
				held.Locked = h.Locked
			}
			held.End = max(held.End, o.First+uint64(o.Count))
			after = h.Name
		}
	}
}
