package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

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
				if err != nil || out != "" {
					return nil
				}
				_, err := a.stdout.Write(text)
				return err
			})
		},
	}
	cmd.Flags().StringVar(&format, "format", "", "`FORMAT`: md, html or json (default by the name of the file, else md)")
	cmd.Flags().StringVarP(&out, "output", "o", "", "write to this `FILE` instead of standard output")
	complete(cmd, "format", "md", "html", "json")
	return cmd
}

// reviewFormat says in which form to write.
func reviewFormat(format, out string) (string, error) {
	if format == "" {
		format = strings.TrimPrefix(filepath.Ext(out), ".")
		if format != "html" && format != "json" {
			format = "md"
		}
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
