package show

import (
	"strings"
	"testing"
)

func TestColumnsAlignWhateverTheirColour(t *testing.T) {
	style := Style{on: true}
	table := Table{Head: []string{"FUNCTION", ">ROWS", "STATE"}}
	table.Row("payments", "1 204", style.State("durable"))
	table.Row("Kühl", "7", style.State("late"))
	var b strings.Builder
	if err := table.Write(&b, style); err != nil {
		t.Fatal(err)
	}
	got := b.String()
	for _, code := range []string{"\x1b[0m", "\x1b[1m", "\x1b[32m", "\x1b[1;31m"} {
		if !strings.Contains(got, code) {
			t.Errorf("no colour %q", code)
		}
		got = strings.ReplaceAll(got, code, "")
	}
	want := "FUNCTION   ROWS  STATE\npayments  1 204  durable\nKühl          7  late\n"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestUnknownStatesDoNotLookGood(t *testing.T) {
	style := Style{on: true}
	for _, state := range []string{"unknown", "spooled", "anything"} {
		if style.State(state) == style.Good(state) {
			t.Errorf("%q looks good", state)
		}
	}
}
