package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/saypro/backupd/internal/config"
	"github.com/saypro/backupd/internal/engine"
	"github.com/saypro/backupd/internal/server"
)

func newCheck(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "check",
		Short:   "Look at everything the configuration depends on",
		GroupID: groupSetup,
		Long: `Check reads the configuration and looks at all that it names: the data
directory, the keys (that of the evidence log, too), every site and source with
the rights that are needed there, the programs of PostgreSQL, and the place for
proofs; a service that runs is asked how the sites fare. A line each, and for
what fails what to do about it. Nothing is changed.

Exit status 1 when anything is not as it must be, 2 when the configuration
itself is wrong.`,
		Example: `  backupd check
  backupd check --config ./backupd.yaml
  backupd check --json | jq '.[] | select(.ok | not)'
  backupd check --json | jq '.[] | select(.group == "function" and .subject == "payments")'`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.config()
			if err != nil {
				return err
			}
			findings := engine.Heard(engine.Check(cmd.Context(), cfg, a.engineOptions()), a.asked(cmd.Context(), cfg))
			return errors.Join(
				a.answer(list(findings, nil), nil, func() error { return a.showFindings(findings) }),
				checkOutcome(findings), cmd.Context().Err())
		},
	}
}

// asked returns what a running service has to say, nothing when there is none.
func (a *app) asked(ctx context.Context, cfg *config.Config) []engine.Finding {
	client, err := a.dial(ctx, cfg.DataDir)
	if errors.Is(err, server.ErrNoService) {
		return nil
	}
	var sites engine.Sites
	var keys engine.KeyList
	var status engine.Status
	var signing engine.EvidenceKey
	var signingErr error
	if err == nil {
		var keysErr, statusErr error
		sites, err = client.Sites(ctx)
		keys, keysErr = client.Keys(ctx)
		status, statusErr = client.Status(ctx)
		signing, signingErr = client.EvidenceKey(ctx)
		err = errors.Join(err, keysErr, statusErr, client.Close())
	}
	if err != nil {
		return []engine.Finding{{Group: "service", Subject: server.SocketPath(cfg.DataDir), Detail: err.Error()}}
	}
	findings := append(engine.FindingsOf(sites), engine.EscrowFinding(keys.EscrowTests, a.clock.Now()))
	findings = append(findings, engine.SigningKeyFinding(cfg, signing.Public, signingErr))
	return append(findings, engine.ProvenFindings(status)...)
}

// checkOutcome is an error when any finding is not as it must be. The findings
// are the answer even so: it does not turn them into a failure document.
func checkOutcome(findings []engine.Finding) error {
	wrong := 0
	for _, f := range findings {
		if !f.OK {
			wrong++
		}
	}
	if wrong == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d checks failed", wrong, len(findings))
}

func (a *app) showFindings(findings []engine.Finding) error {
	for _, f := range findings {
		mark := a.style.Good("ok    ")
		if !f.OK {
			mark = a.style.Bad("FAILED")
		}
		_, err := fmt.Fprintf(a.stdout, "%s  %s: %s\n", mark, a.subject(f), indented(f.Detail))
		if err == nil && f.Hint != "" {
			_, err = fmt.Fprintf(a.stdout, "        %s\n", a.style.Warn(indented(f.Hint)))
		}
		if err != nil {
			return fmt.Errorf("print the findings: %w", err)
		}
	}
	return nil
}

// subject names what a finding is about.
func (a *app) subject(f engine.Finding) string {
	return f.Group + " " + a.style.Bold(f.Subject)
}

// indented keeps text of several lines together below its mark.
func indented(text string) string { return strings.ReplaceAll(text, "\n", "\n        ") }
