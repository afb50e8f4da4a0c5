package main

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// reportFile is what remains of a demonstration: a page to look at.
const reportFile = "demo-report.html"

// audit hands the evidence out and has it checked as it is, and once more after
// somebody has made a record look better.
func (w *world) audit(ctx context.Context) error {
	w.title("Hand the evidence to an auditor, who trusts nobody")
	var key struct {
		Public string `json:"public"`
	}
	if _, err := w.operator.ask(ctx, &key, []int{0}, "audit", "key"); err != nil {
		return err
	}
	bundle := filepath.Join(w.dir, "evidence.zip")
	if err := w.operator.show(ctx, 0, "audit", "bundle", "-o", bundle); err != nil {
		return err
	}
	if err := w.operator.showOnly(ctx, verdict, 0, "audit", "verify", bundle, "--key", key.Public); err != nil {
		return err
	}
	w.say("That needed one public key, and neither service, catalog nor network.")
	w.say("Now somebody changes one record in a copy, so that the dropped table was never missed:")
	doctored := filepath.Join(w.dir, "doctored.zip")
	if err := doctor(bundle, doctored, "schema shrunk", "schema as ever"); err != nil {
		return err
	}
	if err := w.operator.showOnly(ctx, verdict, 4, "audit", "verify", doctored, "--key", key.Public); err != nil {
		return err
	}
	report := filepath.Join(filepath.Dir(w.backupd), reportFile)
	if err := os.Remove(report); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := w.operator.show(ctx, 0, "report", "--from", w.began.UTC().Format("2006-01-02T15:04:05Z"), "-o", report); err != nil {
		return err
	}
	w.say("The proofs that did not pass there, and the failures, are of step 6, when onsite was away. A report leaves out nothing, also when it was done on purpose.")
	w.say("Open that in a browser: exposure against the promise, every proof, and what is not proven.")
	return nil
}

// telling are the lines of a check that say how it ended, and why: the verdict, the
// records that it read, their root, and what was found at which.
var telling = regexp.MustCompile(`IN ORDER|^records +\d|^root |^the whole|^record \d+: `)

func verdict(line string) bool { return telling.MatchString(strings.TrimSpace(line)) }

// doctor copies a bundle with one word in one record replaced, as somebody would
// who has an editor and no key.
func doctor(from, to, word, other string) error {
	in, err := zip.OpenReader(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }() // it was only read
	var b bytes.Buffer
	out := zip.NewWriter(&b)
	changed := 0
	for _, f := range in.File {
		r, err := f.Open()
		if err != nil {
			return err
		}
		text, err := io.ReadAll(r)
		if err == nil && strings.HasPrefix(f.Name, "records/") {
			var n int
			text, n, err = rewrite(text, word, other)
			changed += n
		}
		if err != nil {
			return fmt.Errorf("%s: %w", f.Name, err)
		}
		into, err := out.Create(f.Name)
		if err == nil {
			_, err = into.Write(text)
		}
		if err != nil {
			return err
		}
	}
	if changed == 0 {
		return fmt.Errorf("no record says %q", word)
	}
	if err := out.Close(); err != nil {
		return err
	}
	return os.WriteFile(to, b.Bytes(), 0o600)
}

// rewrite replaces a word in the first record that has it.
func rewrite(lines []byte, word, other string) (out []byte, changed int, err error) {
	for line := range bytes.Lines(lines) {
		var envelope struct {
			Payload string `json:"payload"`
		}
		if err := json.Unmarshal(line, &envelope); err != nil {
			return nil, 0, err
		}
		payload, err := base64.StdEncoding.DecodeString(envelope.Payload)
		if err != nil {
			return nil, 0, err
		}
		if changed == 0 && bytes.Contains(payload, []byte(word)) {
			payload = bytes.ReplaceAll(payload, []byte(word), []byte(other))
			line = bytes.Replace(line, []byte(envelope.Payload), []byte(base64.StdEncoding.EncodeToString(payload)), 1)
			changed = 1
		}
		out = append(out, line...)
	}
	return out, changed, nil
}
