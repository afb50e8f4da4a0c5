package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/saypro/backupd/internal/audit"
	"github.com/saypro/backupd/internal/engine"
	"github.com/saypro/backupd/internal/evidence"
)

func newAudit(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Hand out the evidence, and check it",
		Long: `What was promised, tried and found is on record in a signed log. An auditor
needs its public key once, and a bundle of the period; whether a bundle is in
order is checked offline, with 'backupd audit verify' or with backupd-audit, which
has nothing of this program but that. docs/auditing.md says what is caught and
what is not.`,
		Example: `  backupd audit key
  backupd audit bundle --from 2026-01-01 --to 2027-01-01 -o 2026.zip
  backupd audit verify 2026.zip --key 'github.com/saypro/backupd/log/...'`,
		GroupID: groupDaily,
		Args:    args(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newAuditKey(a), newAuditBundle(a), newAuditVerify(a), newAuditClock(a))
	return cmd
}

func newAuditKey(a *app) *cobra.Command {
	var rotate, startOver, newLog bool
	cmd := &cobra.Command{
		Use:   "key",
		Short: "Print the public key of the evidence log",
		Long: `Key prints the public key that checks the evidence log, alone on the last line.
Give it to the auditor by another way than the bundles.

With --rotate a new key signs from now on; the one before announces it, so that
an auditor who has that needs no other. With --start-over, after the key was lost,
a new one announces itself: every audit from then on shows the break, and needs
the new key as well. With --new-log, after a rebuild that cannot take over the
evidence that sites keep, another log begins; the old records stay there, and every
audit will ask about them. No service may run for these two.`,
		Example: `  backupd audit key
  backupd audit key --rotate`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if rotate && startOver {
				return usageError(cmd, errors.New("--rotate is for a key that is there, --start-over for one that is lost"))
			}
			if newLog && (rotate || startOver) {
				return usageError(cmd, errors.New("--new-log has nothing to do with the key of the old log"))
			}
			key, err := a.evidenceKey(cmd.Context(), rotate, startOver, newLog)
			return a.answer(something(key, key.Public != ""), err, func() error {
				if key.Public == "" {
					return nil
				}
				return a.showEvidenceKey(key)
			})
		},
	}
	cmd.Flags().BoolVar(&rotate, "rotate", false, "put a new key to use, announced by the one before")
	cmd.Flags().BoolVar(&newLog, "new-log", false, "begin another log because what sites keep of the one before cannot be taken over")
	cmd.Flags().BoolVar(&startOver, "start-over", false, "go on with a new key because the one before is lost")
	return cmd
}

func (a *app) evidenceKey(ctx context.Context, rotate, startOver, newLog bool) (key engine.EvidenceKey, err error) {
	if startOver || newLog {
		cfg, err := a.config()
		if err != nil {
			return engine.EvidenceKey{}, err
		}
		if newLog {
			return engine.BeginNewEvidence(ctx, cfg, a.engineOptions())
		}
		return engine.StartEvidenceOver(ctx, cfg, a.engineOptions())
	}
	err = a.using(ctx, func(ops operations) error {
		if rotate {
			key, err = ops.RotateEvidenceKey(ctx)
		} else {
			key, err = ops.EvidenceKey(ctx)
		}
		return err
	})
	return key, err
}

func (a *app) showEvidenceKey(key engine.EvidenceKey) error {
	replaced := ""
	if key.Before != "" {
		replaced = "the key before was " + key.Before + "\n"
	}
	_, err := fmt.Fprintf(a.stdout, "log %s, %d records, signed with the key in %s\n%s%s\n", key.Log, key.Records, key.KeyFile, replaced, key.Public)
	return err
}

func newAuditBundle(a *app) *cobra.Command {
	var from, to, out string
	cmd := &cobra.Command{
		Use:   "bundle -o FILE",
		Short: "Write everything that it takes to check a period",
		Long: `Bundle writes a zip with the records of a period and everything else that it
takes to check them offline: signed checkpoints, the hashes that tie the period to
what was before it, and a page for the auditor. Without dates it holds all.
Nothing in it is secret, and no row of anybody's data.`,
		Example: `  backupd audit bundle -o evidence.zip
  backupd audit bundle --from 2026-10-01 --to 2027-01-01 -o fourth-quarter.zip`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if out == "" {
				return usageError(cmd, errors.New("--output names the file to write"))
			}
			var req engine.BundleRequest
			var err1, err2 error
			req.Since, err1 = boundary("--from", from)
			req.Until, err2 = boundary("--to", to)
			if err := errors.Join(err1, err2); err != nil {
				return usageError(cmd, err)
			}
			about, err := a.writeBundle(cmd.Context(), req, out)
			return a.answer(something(about, about.Format != ""), err, func() error {
				if err != nil {
					return nil
				}
				_, err := fmt.Fprintf(a.stdout, "%s: %s\n", out, held(about))
				return err
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&from, "from", "", "the first `DAY` (UTC), 2026-10-01, or a time with its offset (default all)")
	f.StringVar(&to, "to", "", "the first `DAY` that is not in it any more (default all)")
	f.StringVarP(&out, "output", "o", "", "the new `FILE` to write")
	_ = cmd.MarkFlagFilename("output", "zip")
	return cmd
}

// held says which records a bundle holds, as a check of it does.
func held(about evidence.About) string {
	if about.From == about.To {
		return fmt.Sprintf("no records; the log %s holds %d", about.Origin, about.Size)
	}
	return fmt.Sprintf("records %d to %d of %d of %s", about.From, about.To-1, about.Size, about.Origin)
}

// writeBundle writes a bundle into a new file, and leaves none behind when that
// fails.
func (a *app) writeBundle(ctx context.Context, req engine.BundleRequest, path string) (about evidence.About, err error) {
	f, err := os.OpenFile(filepath.Clean(path), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return about, fmt.Errorf("%w: --output: %w", engine.ErrUsage, err)
	}
	err = a.using(ctx, func(ops operations) error { return ops.WriteEvidence(ctx, req, f) })
	if err == nil {
		var size int64
		size, err = f.Seek(0, io.SeekEnd)
		if err == nil {
			about, err = evidence.ReadAbout(f, size)
		}
	}
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return evidence.About{}, errors.Join(err, os.Remove(path))
	}
	return about, nil
}

func newAuditVerify(a *app) *cobra.Command {
	var req audit.Request
	cmd := &cobra.Command{
		Use:   "verify FILE --key PUBLIC-KEY",
		Short: "Check a bundle, offline",
		Long: `Verify checks a bundle with nothing but the public key: signatures, sequence,
times, intents without a result, the tree from its start to its end, and every
verdict derived anew from its raw figures. It needs no configuration, no service
and no network. backupd-audit is the same without the rest of this program.

Exit status 4 when something is wrong: each finding names the record and says
what it means. Warnings come first: what is in order and yet not as it was
promised, as silence, promises that were lowered, anchors that are missing, acts
without an end. With --strict they end with status 4, too.`,
		Example: `  backupd audit verify evidence.zip --key log.pub
  backupd audit verify evidence.zip --key log.pub --head checkpoint-of-june.txt`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, files []string) error {
			req.File = files[0]
			v, err := audit.Check(cmd.Context(), req)
			return a.answer(something(v, v != nil), asOurs(err), func() error {
				if v == nil {
					return nil
				}
				return audit.Show(a.stdout, v)
			})
		},
	}
	f := cmd.Flags()
	f.StringArrayVar(&req.Keys, "key", nil, "a `PUBLIC-KEY` of the log that you trust, or a file with it; may be repeated")
	f.StringArrayVar(&req.Heads, "head", nil, "a `FILE` with a checkpoint that was given out earlier, to compare with; may be repeated")
	f.StringArrayVar(&req.TSARoots, "tsa-roots", nil, "a `FILE` with certificates of time-stamping authorities that you trust, PEM; may be repeated")
	f.BoolVar(&req.Strict, "strict", false, "end with status 4 when there are warnings, too")
	_ = cmd.MarkFlagFilename("head")
	_ = cmd.MarkFlagFilename("tsa-roots")
	complete(cmd, "key")
	return cmd
}

// asOurs gives errors of the check the exit status of this program's.
func asOurs(err error) error {
	switch {
	case errors.Is(err, audit.ErrWrong):
		return &marked{err, engine.ErrDifference}
	case errors.Is(err, audit.ErrUsage):
		return &marked{err, engine.ErrUsage}
	}
	return err
}
