package server_test

import (
	"context"
	"errors"
	"testing"

	"github.com/saypro/backupd/internal/engine"
	"github.com/saypro/backupd/internal/progress"
	"github.com/saypro/backupd/internal/repository"
)

// keeper answers what concerns keys.
type keeper struct {
	list    engine.KeyList
	added   engine.KeyAddResult
	rotated engine.KeyRotateResult
	tested  repository.EscrowTest
	asked   map[string]any
}

func (k *keeper) Keys(context.Context) (engine.KeyList, error) { return k.list, nil }

func (k *keeper) AddKey(_ context.Context, req engine.KeyAddRequest, r progress.Reporter) (engine.KeyAddResult, error) {
	k.asked["add"] = req
	r.Report(progress.Event{Phase: "send"})
	return k.added, nil
}

func (k *keeper) RotateKey(context.Context, progress.Reporter) (engine.KeyRotateResult, error) {
	return k.rotated, engine.ErrDegraded
}

func (k *keeper) TestEscrow(_ context.Context, req engine.EscrowTestRequest, _ progress.Reporter) (repository.EscrowTest, error) {
	k.asked["test"] = req
	return k.tested, nil
}

func TestKeysArriveWholeAndSoDoesTheirAnswer(t *testing.T) {
	atSites := map[string]engine.PointAtSite{"cloud": {State: "spooled", Error: "away"}}
	k := &keeper{
		asked: map[string]any{},
		list: engine.KeyList{
			Repository: "ab", Daemon: []string{"age1"}, Escrow: []string{"age2"}, IfLost: "all", Warnings: []string{"<&>"},
			Keys:        []repository.KeyInfo{{ID: "01", Current: true, Since: moment, Wraps: []repository.KeyWrap{{Object: "keys/01.age", Recipients: 2, OpenedBy: []string{"age1"}}}}},
			EscrowTests: []repository.EscrowTest{},
		},
		added:   engine.KeyAddResult{Recipients: []string{"age3"}, Objects: []string{"keys/01-02.age"}, Sites: atSites},
		rotated: engine.KeyRotateResult{Before: "01", Key: "02", Recipients: []string{"age1"}, Sites: atSites},
		tested:  repository.EscrowTest{At: moment, Passed: true, Recipients: []string{"age2"}, Sites: map[string]repository.EscrowSite{"cloud": {Passed: true, Keys: []string{"01"}}}},
	}
	c := dial(t, serve(t, fake{KeyOperations: k}).dir)
	ctx := t.Context()
	list, err := c.Keys(ctx)
	if err != nil {
		t.Error(err)
	}
	same(t, "the list", list, k.list)
	adding := engine.KeyAddRequest{Recipients: []string{"age3"}, Daemon: true, Identities: "AGE-SECRET-KEY-1X\n# a comment\n"}
	added, err := c.AddKey(ctx, adding, nil)
	if err != nil {
		t.Error(err)
	}
	same(t, "what was added", added, k.added)
	rotated, err := c.RotateKey(ctx, nil)
	if !errors.Is(err, engine.ErrDegraded) {
		t.Errorf("rotate: %v", err)
	}
	same(t, "the rotation", rotated, k.rotated)
	proving := engine.EscrowTestRequest{Identities: "AGE-SECRET-KEY-1Y"}
	tested, err := c.TestEscrow(ctx, proving, nil)
	if err != nil {
		t.Error(err)
	}
	same(t, "the test", tested, k.tested)
	same(t, "what the service was asked", k.asked, map[string]any{"add": adding, "test": proving})
}
