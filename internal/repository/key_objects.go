package repository

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/storage"
)

// keysAt returns the wrapped keys that a site must hold for what it holds to be
// of use: all but those that are on their way there for the first time.
func (r *Repository) keysAt(site string) ([]catalog.Object, error) {
	objects, err := r.catalog.Objects(catalog.KindKey)
	if err != nil {
		return nil, err
	}
	faults, err := r.catalog.Faults(site)
	if err != nil {
		return nil, err
	}
	var out []catalog.Object
	for _, o := range objects {
		waiting, err := r.catalog.Waits(site, o.Name)
		if err != nil {
			return nil, err
		}
		faulty := slices.ContainsFunc(faults, func(f catalog.Fault) bool { return f.Name == o.Name })
		if !waiting || faulty || o.Name == keyName(r.keys.first.String()) {
			out = append(out, o)
		}
	}
	return out, nil
}

// adoptKey takes in a wrapped key that the catalog does not know: another
// catalog of this repository added it. Only what opens, and belongs to the
// repository, is of use here; what is wrapped for others is kept for them.
func (r *Repository) adoptKey(ctx context.Context, site Site, info storage.Info) (problem *Problem, err error) {
	if _, err := keyIDOf(info.Name); err != nil || info.Size > maxKeyObject {
		return &Problem{info.Name, "it is no wrapped key"}, nil //nolint:nilerr // that is the answer
	}
	wrapped, err := readObject(ctx, site.quiet(), info.Name, maxKeyObject)
	if err != nil {
		return nil, err
	}
	if _, err := countRecipients(wrapped); err != nil {
		return &Problem{info.Name, err.Error()}, nil
	}
	err = r.keys.take(info.Name, wrapped, r.identities, r.id)
	if errors.Is(err, ErrCorrupt) {
		return &Problem{info.Name, err.Error()}, nil
	}
	if err != nil && !errors.Is(err, ErrWrongKey) {
		return nil, err
	}
	return nil, r.catalog.AddKey(info.Name, wrapped)
}

// useKey does what a mark says of the key for what is new.
func (r *Repository) useKey(m *mark, o catalog.Object, sites []string) error {
	id, err := parseKeyID(m.Key)
	if err != nil {
		return err
	}
	if err := r.catalog.UseKey(m.Key, m.Time, o, sites); err != nil {
		return err
	}
	if err := r.keys.setUses(r.catalog); err != nil {
		return err
	}
	if _, err := r.keys.get(id); err != nil {
		r.log.Error("new data is to be sealed with a key that no identity here opens; the one before is used on; "+
			"have it wrapped for this host with 'backupd key add' where it opens", "key", id)
	}
	return nil
}

// takeKeys takes in every wrapped key that a site holds and the catalog does not
// know. Problems are those that cannot be, and keys that nobody here opens.
func (r *Repository) takeKeys(ctx context.Context, site Site) (problems []Problem, err error) {
	var unknown []storage.Info
	err = site.Store.List(ctx, keyPrefix, "", func(info storage.Info) error {
		_, err := r.catalog.Object(info.Name)
		if errors.Is(err, catalog.ErrNotFound) {
			unknown, err = append(unknown, info), nil
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, info := range unknown {
		problem, err := r.adoptKey(ctx, site, info)
		if err != nil && !errors.Is(err, storage.ErrNotFound) {
			return nil, err
		}
		if problem != nil {
			problems = append(problems, *problem)
		}
	}
	closed, err := r.closedKeys()
	for id, names := range closed {
		problems = append(problems, Problem{strings.Join(names, ", "), fmt.Sprintf("no identity here opens key %s", id)})
	}
	return problems, err
}

// closedKeys returns the keys that no identity here opens, with the names of
// their objects.
func (r *Repository) closedKeys() (map[keyID][]string, error) {
	objects, err := r.catalog.Objects(catalog.KindKey)
	if err != nil {
		return nil, err
	}
	out := map[keyID][]string{}
	for _, o := range objects {
		id, err := keyIDOf(o.Name)
		if err != nil {
			return nil, err
		}
		if _, err := r.keys.get(id); err != nil {
			out[id] = append(out[id], o.Name)
		}
	}
	return out, nil
}

// keysFirst sorts what is to be taken in: keys open the rest.
func keysFirst(infos []storage.Info) {
	slices.SortStableFunc(infos, func(a, b storage.Info) int {
		isKey := func(i storage.Info) int {
			if strings.HasPrefix(i.Name, keyPrefix) {
				return 0
			}
			return 1
		}
		return isKey(a) - isKey(b)
	})
}

// countRecipients returns for how many recipients a key is wrapped: the stanzas
// of the header of an age file that name one. Who they are it does not tell.
func countRecipients(wrapped []byte) (n int, err error) {
	const first, stanza, end = "age-encryption.org/v1", "-> ", "---"
	lines := strings.Split(string(wrapped), "\n")
	if lines[0] != first {
		return 0, fmt.Errorf("%w: it is no age file", ErrCorrupt)
	}
	for _, line := range lines[1:] {
		kind, isStanza := strings.CutPrefix(line, stanza)
		if isStanza && !strings.Contains(strings.Split(kind, " ")[0], "grease") {
			n++
		}
		if strings.HasPrefix(line, end) && n > 0 {
			return n, nil
		}
	}
	return 0, fmt.Errorf("%w: its age header does not end, or names no recipient", ErrCorrupt)
}

// recipientsOf returns for how many recipients a key is wrapped in all.
func recipientsOf(wrapped map[string][]byte, key keyID) (n int) {
	for name, b := range wrapped {
		if id, err := keyIDOf(name); err != nil || id != key {
			continue
		}
		if more, err := countRecipients(b); err == nil {
			n += more
		}
	}
	return n
}
