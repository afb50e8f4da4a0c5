package restore_test

import (
	"strings"
	"testing"

	"github.com/saypro/backupd/internal/restore"
	"github.com/saypro/backupd/internal/snapshot/snaptest"
	"github.com/saypro/backupd/internal/storage"
	"github.com/saypro/backupd/internal/storage/dir"
	"github.com/saypro/backupd/internal/storage/faulty"
)

// benchThatFails returns a bench whose sites can be taken away.
func benchThatFails(t *testing.T, source string) (*snaptest.Bench, map[string]*faulty.Store) {
	t.Helper()
	stores, sites := map[string]storage.Store{}, map[string]*faulty.Store{}
	for _, name := range snaptest.Sites {
		store, err := dir.Open(dir.Options{Site: name, Path: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		sites[name] = faulty.New(store, name)
		stores[name] = sites[name]
	}
	return snaptest.NewOn(t, source, stores), sites
}

func TestSiteThatIsAwayIsNotCalledDamaged(t *testing.T) {
	db := filled(t, 20000)
	b, sites := benchThatFails(t, db.URL())
	b.Take(t, pay())
	sites["onsite"].SetDown(true)
	defer sites["onsite"].SetDown(false)
	address, name := absent(t, db)
	var messages snaptest.Messages
	r, err := restorer(t, b).Restore(t.Context(), restore.Request{Function: "payments", To: address}, messages.Report)
	if err != nil {
		t.Fatal(err)
	}
	snaptest.Same(t, db, opened(db, name))
	if len(r.FallThroughs) != 1 {
		t.Fatalf("a site that is away is told as %+v", r.FallThroughs)
	}
	f := r.FallThroughs[0]
	if !f.Unreachable || f.Site != "onsite" || f.Then != "cloud" || strings.Contains(f.Reason, f.Object) || strings.Contains(f.Reason, "onsite") {
		t.Errorf("fall-through %+v", f)
	}
	if said := messages.All(); !strings.Contains(said, "site onsite is not reachable") || strings.Contains(said, "damaged") ||
		!strings.Contains(said, "asking site cloud") {
		t.Errorf("said: %s", said)
	}
	address, _ = absent(t, db)
	var alone snaptest.Messages
	r, err = restorer(t, b).Restore(t.Context(), restore.Request{Function: "payments", To: address, From: "onsite"}, alone.Report)
	if err == nil || len(r.FallThroughs) != 1 || r.FallThroughs[0].Then != "" || !strings.Contains(alone.All(), "no other site is left") {
		t.Errorf("%+v %v\nsaid: %s", r.FallThroughs, err, alone.All())
	}
}

func TestTargetIsReachedBeforeAnythingIsFetched(t *testing.T) {
	db := filled(t, 200)
	b, sites := benchThatFails(t, db.URL())
	b.Take(t, pay())
	for _, s := range sites {
		s.ResetCounts()
	}
	req := restore.Request{Function: "payments", To: "postgres://nobody@127.0.0.1:1/x"}
	_, err := restorer(t, b).Restore(t.Context(), req, nil)
	_, planned := restorer(t, b).Plan(t.Context(), req)
	for _, err := range []error{err, planned} {
		if err == nil || strings.Count(err.Error(), "connection refused") != 1 || !strings.Contains(err.Error(), "check host and port") {
			t.Errorf("a target that does not answer: %v", err)
		}
	}
	for name, s := range sites {
		if n := s.Count("get"); n > 0 {
			t.Errorf("%d objects were fetched from %s for it", n, name)
		}
	}
}

func TestLeftoversOfKilledRestoresAreTold(t *testing.T) {
	db := filled(t, 200)
	b := snaptest.New(t, db.URL())
	b.Take(t, pay())
	address, name := absent(t, db)
	left := name + "_restoring_0a0b0c0d"
	db.Exec(t, `CREATE DATABASE "`+left+`"; `)
	t.Cleanup(func() { db.Exec(t, `DROP DATABASE "`+left+`"`) })
	db.Exec(t, `COMMENT ON DATABASE "`+left+`" IS 'backupd: unfinished restore: snapshot 1 of payments'`)
	r := restorer(t, b)
	plan, err := r.Plan(t.Context(), restore.Request{Function: "payments", To: address})
	if err != nil {
		t.Fatal(err)
	}
	result, err := r.Restore(t.Context(), restore.Request{Function: "payments", To: address}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for what, notes := range map[string][]string{"plan": plan.Notes, "restore": result.Notes} {
		if said := strings.Join(notes, "\n"); !strings.Contains(said, `DROP DATABASE "`+left+`"`) {
			t.Errorf("the %s says nothing of %s: %s", what, left, said)
		}
	}
	other, _ := absent(t, db)
	if plan, err := r.Plan(t.Context(), restore.Request{Function: "payments", To: other}); err != nil || strings.Contains(strings.Join(plan.Notes, ""), left) {
		t.Errorf("another target is told of it: %v %v", plan.Notes, err)
	}
}

func TestOwnersThatCannotBeGivenLeadToNoOwner(t *testing.T) {
	db := filled(t, 200)
	role := db.Database + "_owner"
	db.Exec(t, `CREATE ROLE `+role+`; ALTER TABLE pay.big OWNER TO `+role+`; GRANT ALL ON SCHEMA pay TO `+role)
	restoring := db.Database + "_restores"
	db.Exec(t, `CREATE ROLE `+restoring+` LOGIN CREATEDB`)
	t.Cleanup(func() {
		db.Exec(t, `REASSIGN OWNED BY `+role+` TO CURRENT_USER; DROP OWNED BY `+role+`; DROP ROLE `+role+`; DROP ROLE `+restoring)
	})
	b := snaptest.New(t, db.URL())
	b.Take(t, pay())
	r := restorer(t, b)
	address, name := absent(t, db)
	plan, err := r.Plan(t.Context(), restore.Request{Function: "payments", To: address})
	if err != nil || strings.Contains(strings.Join(plan.Notes, ""), "lacks") {
		t.Errorf("no role is lacking, the plan says %v %v", plan.Notes, err)
	}
	as := userOf(t, address, restoring)
	_, err = r.Restore(t.Context(), restore.Request{Function: "payments", To: as}, nil)
	if err == nil || !strings.Contains(err.Error(), "--no-owner") {
		t.Errorf("no way out is shown: %v", err)
	}
	if _, err := r.Restore(t.Context(), restore.Request{Function: "payments", To: as, NoOwner: true}, nil); err != nil {
		t.Error(err)
	}
	db.Exec(t, `ALTER DATABASE `+name+` OWNER TO CURRENT_USER`)
	db.Exec(t, `DROP DATABASE `+name)
}
