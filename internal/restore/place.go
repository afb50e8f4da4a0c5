package restore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/saypro/backupd/internal/source/postgres"
)

// place is the database that a restore fills, and what becomes of it at the
// end.
type place struct {
	target target // what was asked for
	// url is the database that is filled: the target itself when it was empty,
	// else one beside it.
	url  string
	name string
	// beside tells that we made the database that is filled, so that it is
	// dropped when the restore fails and renamed when it succeeds.
	beside bool
	// replaced tells that a database is in the target's place now.
	replaced bool
	keptAs   string // name that it will have
	notes    []string
}

// state is what was found at the target's address.
type state struct {
	exists bool
	empty  bool
	found  string // what is in it, when it is not empty
}

// look finds out what is at the target's address.
func (k *job) look(ctx context.Context) (s state, err error) {
	live, err := postgres.Connect(ctx, k.single())
	if postgres.NoDatabase(err) {
		return state{}, nil
	}
	if err != nil {
		return state{}, err
	}
	defer func() { err = errors.Join(err, live.Close(context.WithoutCancel(ctx))) }()
	s.exists = true
	s.empty, s.found, err = live.Empty(ctx)
	return s, err
}

// single describes the target for a look at it.
func (k *job) single() postgres.TargetOptions {
	return postgres.TargetOptions{URL: k.to.url, Jobs: 1, StallTimeout: k.StallTimeout, Clock: k.Clock, Log: k.Log}
}

// bystanders returns why a database must not be replaced: it holds tables that
// do not belong to what is restored, which would vanish from it.
func (k *job) bystanders(ctx context.Context, s state) (refused, err error) {
	if !s.exists || s.empty || !k.req.Replace {
		return nil, nil
	}
	live, err := postgres.Connect(ctx, k.single())
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, live.Close(context.WithoutCancel(ctx))) }()
	all, err := live.Structure(ctx, postgres.Scope{})
	if err != nil {
		return nil, err
	}
	ours, err := live.Structure(ctx, k.load.scope())
	if err != nil {
		return nil, err
	}
	return k.refuseOthers(relationsOnlyIn(all, ours)), nil
}

func (k *job) refuseOthers(others []string) error {
	if len(others) == 0 {
		return nil
	}
	const most = 5
	more := ""
	if len(others) > most {
		more = fmt.Sprintf(" and %d more", len(others)-most)
		others = others[:most]
	}
	return wrong("database %s also holds %s%s, which function %s does not: they would be gone after the swap; "+
		"restore into a new database and copy the tables over", k.to.name, strings.Join(others, ", "), more, k.req.Function)
}

// relationsOnlyIn lists the relations of all that are not in part.
func relationsOnlyIn(all, part postgres.Structure) []string {
	known := map[[2]string]bool{}
	for _, o := range part.Objects {
		known[[2]string{o.Kind, o.Name}] = true
	}
	var out []string
	for _, o := range all.Objects {
		switch o.Kind {
		case "table", "view", "matview":
			if !known[[2]string{o.Kind, o.Name}] {
				out = append(out, o.Kind+" "+o.Name)
			}
		}
	}
	return out
}

// refuse returns why a restore into a target in that state must not begin.
func (k *job) refuse(s state) error {
	if !s.exists || s.empty || k.req.Replace {
		return nil
	}
	return wrong("target %s is not empty: it holds %s; restore into a new database, or let the restored one take "+
		"its place with --replace", k.to.readable, s.found)
}

// provide makes the place ready to be filled.
func (k *job) provide(ctx context.Context) (*place, error) {
	defer k.phases.Begin("provision")()
	k.tell("provision", "")
	s, err := k.look(ctx) // once more: fetching may have taken a while
	if err != nil {
		return nil, err
	}
	refused := k.refuse(s)
	if refused == nil {
		refused, err = k.bystanders(ctx, s)
	}
	if err := errors.Join(refused, err); err != nil {
		return nil, err
	}
	p := &place{target: k.to, url: k.to.url, name: k.to.name}
	if s.exists && s.empty {
		return p, nil
	}
	p.beside = true
	p.name = postgres.UnfinishedName(k.to.name, shortID())
	if s.exists {
		p.replaced = true
		p.keptAs = keptName(k.to.name, k.Clock.Now())
	}
	var note string
	p.url, note, err = postgres.CreateDatabase(ctx, k.to.url, p.name, k.load.Point())
	if note != "" {
		p.notes = append(p.notes, note)
	}
	return p, err
}

// keptName is the name under which a replaced database stays. Names are cut at
// 63 bytes by the server, so this one must be short enough already.
func keptName(name string, now time.Time) string {
	suffix := now.UTC().Format("_replaced_20060102_150405")
	if over := len(name) + len(suffix) - 63; over > 0 {
		name = strings.ToValidUTF8(name[:len(name)-over], "")
	}
	return name + suffix
}

// finish gives the filled database the name of the target.
func (p *place) finish(ctx context.Context) error {
	switch {
	case p.replaced:
		return postgres.SwapDatabase(ctx, p.target.url, p.target.name, p.name, p.keptAs)
	case p.beside:
		return postgres.RenameDatabase(ctx, p.target.url, p.name, p.target.name)
	}
	return nil
}

// abandon removes what a failed restore has made. A database that was there
// before stays, with the mark of an unfinished restore.
func (p *place) abandon(ctx context.Context) error {
	if !p.beside {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abandonPatience)
	defer cancel()
	return postgres.DropDatabase(ctx, p.target.url, p.name)
}

// abandonPatience is how long the removal of a half-filled database may take.
const abandonPatience = 2 * time.Minute
