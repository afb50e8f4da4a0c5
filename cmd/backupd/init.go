package main

import (
	"fmt"
	"maps"
	"strings"

	"github.com/spf13/cobra"

	"github.com/saypro/backupd/cmd/backupd/internal/show"
	"github.com/saypro/backupd/internal/engine"
)

func newInit(a *app) *cobra.Command {
	var newEscrow string
	cmd := &cobra.Command{
		Use:     "init",
		Short:   "Make the keys, and the repository on every site",
		GroupID: groupSetup,
		Long: `Init makes the identity of this service (keys.identity_file) and the key that
signs the evidence (evidence.key_file) unless they exist, and the repository on
every site that has none. It may be run again at any
time; what is there stays as it is.

Everything leaves this host encrypted. Whoever holds one of the identities can
read all of it, and without any of them nobody can: so there must be a second
one, the escrow, kept away from this host. Make it with --new-escrow before
the first init, and add the recipient that it prints to keys.recipients.`,
		Example: `  backupd init --new-escrow /media/usb/escrow.txt   # once, before anything else
  backupd init`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("new-escrow") {
				return a.makeEscrow(newEscrow)
			}
			cfg, err := a.config()
			if err != nil {
				return err
			}
			report, err := engine.Init(cmd.Context(), cfg, a.engineOptions())
			return a.answer(report, err, func() error { return a.showInit(report, err == nil) })
		},
	}
	cmd.Flags().StringVar(&newEscrow, "new-escrow", "", "make an identity for the escrow into this new `FILE`, and do nothing else")
	_ = cmd.MarkFlagFilename("new-escrow")
	return cmd
}

func (a *app) showInit(r engine.InitReport, done bool) error {
	var b strings.Builder
	if r.Repository != "" {
		fmt.Fprintf(&b, "Repository %s\n\n", a.style.Bold(r.Repository))
	}
	table := show.Table{Head: []string{"SITE", "STATE", "NOTES"}}
	for _, name := range a.inOrder(maps.Keys(r.Sites)) {
		s := r.Sites[name]
		notes := s.Notes
		if s.Error != "" {
			notes = append([]string{s.Error}, notes...)
		}
		table.Row(name, a.style.State(s.State), strings.Join(notes, "; "))
	}
	if !table.Empty() {
		if err := table.Write(&b, a.style); err != nil {
			return err
		}
	}
	if r.Closed != "" {
		fmt.Fprintf(&b, "\n%s %s\n", a.style.Bad("!"), sentence(r.Closed))
	}
	if done {
		a.escrowInstructions(&b, r)
	}
	_, err := fmt.Fprint(a.stdout, b.String())
	return err
}

func (a *app) escrowInstructions(b *strings.Builder, r engine.InitReport) {
	made := "is the one that was there"
	if r.IdentityCreated {
		made = "was made now"
	}
	fmt.Fprintf(b, `
%s
The backups can be read with any one of these identities, and with nothing else:

  daemon  %s
          in %s on this host; it %s
`, a.style.Bold("Keys"), r.Recipient, r.IdentityFile, made)
	for _, recipient := range r.Escrow {
		fmt.Fprintf(b, "  escrow  %s\n", recipient)
	}
	fmt.Fprintf(b, `
%s
If this host burns down, the escrow is all that is left. So:
  1. Keep the escrow's identity file (AGE-SECRET-KEY-1...) in at least two places
     away from this host and from the sites: a safe, a bank, a second company.
     Printed on paper is good: it is one line.
  2. Never store it on this host, and never in the buckets that it opens.
  3. Write down beside it where the sites are and who holds their passwords.
  4. Try it every three months: backupd key escrow-test --identity FILE. An escrow
     that was never used is a hope.
`, sentence(r.IfLost))
	a.evidenceInstructions(b, r)
}

// evidenceInstructions says what to do with the key that signs.
func (a *app) evidenceInstructions(b *strings.Builder, r engine.InitReport) {
	made := "is the one that was there"
	if r.EvidenceKeyCreated {
		made = "was made now"
	}
	fmt.Fprintf(b, `
%s
What is done is put on record in a log, signed with the key in %s,
which %s. It opens no backup. So:
  1. Keep a copy of that file with the escrow: without it the record goes on with
     another key, and every audit shows that.
  2. Give the public key to the auditor now, by another way than the evidence:
     %s
`, a.style.Bold("Evidence"), r.EvidenceKey.KeyFile, made, r.EvidenceKey.Public)
}
