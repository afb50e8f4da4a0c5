package sitetest

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/storage"
	"github.com/saypro/backupd/internal/storage/storagetest"
	"github.com/saypro/backupd/internal/testenv"
)

// stall is the bound of the stores here, and soon the time within which an
// operation on a site that does not answer has ended.
const (
	stall = time.Second
	soon  = 5 * time.Second
)

// Liar checks on a real server what becomes of each operation when the site lies about it: an
// error that is temporary, or with credentials one that says so, and never a
// success; and that the same operation works when the lie is over.
func Liar(t *testing.T, site *testenv.Site) {
	denied := func(err error) bool { return errors.Is(err, storage.ErrDenied) }
	temporary := func(err error) bool { return err != nil && !storage.Permanent(err) }
	refused := func(err error) bool { return err != nil } // of whatever kind
	all := []string{testenv.OpPut, testenv.OpGet, testenv.OpHead, testenv.OpList, testenv.OpDelete}
	some := func(ops ...string) []string { return ops }
	for name, c := range map[string]struct {
		say  testenv.Say
		ops  []string
		want func(error) bool
	}{
		"slow down":           {testenv.SaySlowDown, all, temporary},
		"internal error":      {testenv.SayError(500, "InternalError", "x"), all, temporary},
		"expired credentials": {testenv.SayExpired, all, denied},
		"unknown credentials": {testenv.SayWrongKey, all, denied},
		"error inside":        {testenv.SayErrorInside, some(testenv.OpPut, testenv.OpGet, testenv.OpList), temporary},
		"no answer":           {testenv.SayNothing, all, temporary},
		"half an answer":      {testenv.SayHalf(100), some(testenv.OpGet, testenv.OpList), temporary},
		"broken off":          {testenv.SayBrokenOff(100), some(testenv.OpPut, testenv.OpGet, testenv.OpList), temporary},
		"broken off at once":  {testenv.SayBrokenOff(0), some(testenv.OpPut, testenv.OpGet, testenv.OpList), temporary},
		"short":               {testenv.SayShort(100), some(testenv.OpList), refused},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			liar := testenv.NewLiar(t, site)
			s := liar.Store(t, stall)
			for _, op := range c.ops {
				n := storagetest.Bytes(uint64(len(op)), 100_000)
				liar.Honest()
				for _, name := range []string{"p/there", "p/goes"} {
					if err := liar.Truth(t).Put(t.Context(), storagetest.Object(name, n)); err != nil && !errors.Is(err, storage.ErrExists) {
						t.Fatal(err)
					}
				}
				liar.Tell(testenv.Lie{Op: op, Say: c.say})
				start := time.Now()
				err := operate(t.Context(), s, op, "p/new-"+op, n)
				if took := time.Since(start); took > soon {
					t.Errorf("%s ended after %s", op, took)
				}
				var e *storage.Error
				if !c.want(err) || !errors.As(err, &e) || e.Site != site.Name {
					t.Errorf("%s: %v", op, err)
				}
				if liar.Lied() == 0 {
					t.Errorf("%s: nobody lied", op)
				}
				liar.Honest()
				if err := operate(t.Context(), s, op, "p/new-"+op, n); err != nil && !errors.Is(err, storage.ErrExists) {
					t.Errorf("%s after the lie: %v", op, err)
				}
				if op == testenv.OpPut && !bytes.Equal(storagetest.Get(t, liar.Truth(t), "p/new-put"), n) {
					t.Error("other bytes were stored")
				}
			}
		})
	}
}

// operate does one operation to its end.
func operate(ctx context.Context, s storage.Store, op, fresh string, content []byte) error {
	switch op {
	case testenv.OpPut:
		return s.Put(ctx, storagetest.Object(fresh, content))
	case testenv.OpGet:
		got, err := storagetest.Read(ctx, s, "p/there", 0, -1)
		if err == nil && !bytes.Equal(got, content) {
			return errors.New("the site gave other bytes, and nobody noticed")
		}
		return err
	case testenv.OpHead:
		info, err := s.Stat(ctx, "p/there")
		if err == nil && info.Size != int64(len(content)) {
			return errors.New("the site told another size, and nobody noticed")
		}
		return err
	case testenv.OpList:
		n := 0
		err := s.List(ctx, "p/there", "", func(storage.Info) error { n++; return nil })
		if err == nil && n != 1 {
			return errors.New("the site listed nothing, and nobody noticed")
		}
		return err
	}
	return s.Delete(ctx, "p/goes")
}
