package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/saypro/backupd/cmd/backupd/internal/show"
	"github.com/saypro/backupd/internal/drill"
	"github.com/saypro/backupd/internal/engine"
)

func newDrillReport(a *app) *cobra.Command {
	var format, out string
	cmd := &cobra.Command{
		Use:   "report EXERCISE",
		Short: "Draft the review of an exercise from the evidence",
		Long: `Report drafts a review: what came of the exercise, a timeline from the log, loss
and time against the objectives, what went well and badly as it was observed,
what the proofs before would have predicted, the actions and their state, and
what the exercise does not show. What only people can say is left for them to
fill in.`,
		Example: `  backupd drill report full-scale-2026-11-25 -o review.html
  backupd drill report onsite-fire --format md`,
		Args:              args(cobra.ExactArgs(1)),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, given []string) error {
			form, err := reviewFormat(format, out)
			if err != nil && format == "" {
				err = fmt.Errorf("%w, or say it with --format", err)
			}
			if err != nil {
				return usageError(cmd, err)
			}
			var v *drill.Review
			err = a.using(cmd.Context(), func(ops operations) (err error) {
				v, err = ops.ReviewDrill(cmd.Context(), given[0])
				return err
			})
			var document any
			if v != nil {
				document = v
			}
			var text []byte
			if err == nil {
				if text, err = render(v, form); err == nil && out != "" {
					err = writeReport(out, text)
				}
			}
			return a.answer(document, err, func() error {
				switch {
				case err != nil:
					return nil
				case out != "":
					_, err := fmt.Fprintf(a.stdout, "%s: %s, the draft of the review of %s: %s\n", out, show.Bytes(int64(len(text))), v.Exercise.ID, v.Exercise.State)
					return err
				}
				_, err := a.stdout.Write(text)
				return err
			})
		},
	}
	cmd.Flags().StringVar(&format, "format", "", "`FORMAT`: md, html or json (default as the file is called; md on standard output)")
	cmd.Flags().StringVarP(&out, "output", "o", "", "write to this `FILE` instead of standard output")
	complete(cmd, "format", "md", "html", "json")
	return cmd
}

// reviewFormat says in which form to write.
func reviewFormat(format, out string) (string, error) {
	if format == "" {
		ext := strings.TrimPrefix(strings.ToLower(filepath.Ext(out)), ".")
		switch ext {
		case "html", "json", "md":
			return ext, nil
		case "htm":
			return "html", nil
		case "txt", "markdown":
			return "md", nil
		}
		if out == "" {
			return "md", nil
		}
		return "", fmt.Errorf("%s: in which form? Call the file .html, .md or .json", out)
	}
	switch format {
	case "md", "html", "json":
		return format, nil
	}
	return "", fmt.Errorf("--format %q: it is md, html or json", format)
}

func render(v *drill.Review, format string) ([]byte, error) {
	switch format {
	case "html":
		return v.HTML()
	case "json":
		text, err := json.MarshalIndent(v, "", "  ")
		return append(text, '\n'), err
	default:
		return v.Markdown(), nil
	}
}

func writeReport(path string, text []byte) error {
	err := os.WriteFile(path, text, 0o600)
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%w: write the review: %w", engine.ErrUsage, err)
	}
	if err != nil {
		return fmt.Errorf("write the review: %w", err)
	}
	return nil
}
