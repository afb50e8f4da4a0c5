package drill_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/saypro/backupd/internal/drill"
)

func TestShippedScenarios(t *testing.T) {
	all, err := drill.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string][]string{}
	for _, s := range all {
		kinds[s.Kind] = append(kinds[s.Kind], s.Name)
		raw, err := drill.ShippedFile(s.Name)
		if err != nil {
			t.Errorf("%s is not in a file of its name: %v", s.Name, err)
			continue
		}
		if again, err := drill.Parse(raw); err != nil || again.Name != s.Name || again.Digest() != s.Digest() {
			t.Errorf("%s: read again: %v", s.Name, err)
		}
		if s.Kind != drill.Tabletop {
			continue
		}
		if n := len(s.Injects); n < 5 || n > 8 {
			t.Errorf("%s: %d injects", s.Name, n)
		}
		if len(s.Messages) < 3 {
			t.Errorf("%s: %d messages: a continuity plan has people to tell", s.Name, len(s.Messages))
		}
	}
	want := "bad-migration bucket-deleted catalog-lost cloud-account-lost key-lost key-person-away onsite-fire ransomware"
	if got := strings.Join(kinds[drill.Tabletop], " "); got != want {
		t.Errorf("at the table: %s, want %s", got, want)
	}
	if len(kinds[drill.FullScale]) != 1 || len(kinds[drill.Failover]) != 1 {
		t.Errorf("with systems: %v", kinds)
	}
}

// good is a scenario without a problem; each case breaks one thing of it.
const good = `name: leak
kind: tabletop
title: Water
objectives: [dry feet]
roles: [{role: lead, does: leads}]
not_shown: [that it is dry]
length: 30m
situation: It drips.
injects:
  - {id: drip, at: 0m, text: drip, question: what now, expected: [a bucket]}
  - {id: pour, at: 10m, text: pour, question: what now, expected: [a bigger bucket]}
messages:
  - {id: all, from: lead, to: everybody, by: 5m, channel: telephone, says: mind the water}
`

func TestParseIsStrict(t *testing.T) {
	if _, err := drill.Parse([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ what, old, new, says string }{
		{"an unknown key", "title: Water", "titel: Water", "titel"},
		{"a key twice", "title: Water", "title: Water\ntitle: Fire", "title"},
		{"no name", "name: leak", "name: The Leak", "name"},
		{"an unknown kind", "kind: tabletop", "kind: seance", "seance"},
		{"two of an id", "id: pour", "id: drip", "twice"},
		{"an inject too early", "at: 10m", "at: -1m", "before"},
		{"an inject too late", "at: 10m", "at: 31m", "length"},
		{"no question", "question: what now, expected: [a bucket]", "expected: [a bucket]", "question"},
		{"nothing expected", "[a bigger bucket]", "[]", "expected"},
		{"a message without a time", "by: 5m, ", "", "by is missing"},
		{"a message from nobody", "from: lead", "from: ghost", "ghost"},
		{"steps at a table", "length: 30m", "length: 30m\nfrom: cloud", "no system"},
		{"no objectives", "[dry feet]", "[]", "objectives"},
		{"another document", "mind the water}", "mind the water}\n---\nname: more", "follows"},
		{"no duration", "length: 30m", "length: a while", "while"},
	} {
		text := strings.Replace(good, c.old, c.new, 1)
		if text == good {
			t.Fatalf("%s: nothing was replaced", c.what)
		}
		_, err := drill.Parse([]byte(text))
		if !errors.Is(err, drill.ErrScenario) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q named", c.what, err, c.says)
		}
	}
	for _, text := range []string{"", "[]", "- 1"} {
		if _, err := drill.Parse([]byte(text)); !errors.Is(err, drill.ErrScenario) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestSystemsNeedTheirSteps(t *testing.T) {
	raw, err := drill.ShippedFile("cloud-failover")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range [][2]string{
		{"does: refuse", "does: people"},
		{"does: compare", "does: restore"},
		{"does: people", "does: magic"},
		{"kind: failover", "kind: full-scale"},
		{"from: cloud", "from: cloud\nsituation: dire"},
	} {
		text := strings.Replace(string(raw), c[0], c[1], 1)
		if _, err := drill.Parse([]byte(text)); !errors.Is(err, drill.ErrScenario) {
			t.Errorf("%s for %s: %v", c[1], c[0], err)
		}
	}
	if _, err := drill.ShippedFile("../drills/onsite-fire"); !errors.Is(err, drill.ErrUnknown) {
		t.Errorf("a path: %v", err)
	}
}
