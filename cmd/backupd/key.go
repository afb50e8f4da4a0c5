package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"filippo.io/age"
	"github.com/spf13/cobra"

	"github.com/saypro/backupd/internal/engine"
	"github.com/saypro/backupd/internal/repository"
)

func newKey(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "key",
		Short: "Who can open the repository, and whether they still can",
		Long: `Everything at the sites is sealed with keys of the repository, and these are
wrapped for recipients: this host, and at least one escrow that is kept away
from it. Whoever holds one of their identities can read everything; when all of
them are lost, so is every recovery point.`,
		Example: `  backupd key list
  backupd key escrow-test --identity /media/usb/escrow.txt`,
		GroupID: groupSetup,
		Args:    args(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newKeyList(a), newKeyAdd(a), newKeyRotate(a), newEscrowTest(a))
	return cmd
}

func newKeyList(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "Show the keys, and for how many recipients each is wrapped",
		Long: `List shows every key of the repository: since when it seals what is new, how
much is sealed with it, for how many recipients it is wrapped and which identity
of this host opens it; then the last tests of the escrow, and what may end in the
loss of everything. Who the recipients are a wrapped key does not tell.`,
		Example: `  backupd key list
  backupd key list --json | jq -r '.warnings[]?'`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var list engine.KeyList
			var document any
			err := a.using(cmd.Context(), func(ops operations) (err error) {
				list, err = ops.Keys(cmd.Context())
				return err
			})
			if err == nil {
				document = list
			}
			return a.answer(document, err, func() error {
				if err != nil {
					return nil
				}
				return a.showKeys(list)
			})
		},
	}
}

func newKeyAdd(a *app) *cobra.Command {
	var req engine.KeyAddRequest
	var file string
	cmd := &cobra.Command{
		Use:   "add (--recipient age1... | --identity FILE)",
		Short: "Wrap every key for more recipients",
		Long: `Add wraps every key of the repository for further recipients and sends that to
every site. Nobody loses access. Put the recipients into keys.recipients as well,
so that later keys are wrapped for them too.

With --identity the keys are opened with the identity in that file, the escrow's,
and without --recipient they are wrapped for this host's own: so it gets back in
after its identity was lost ('backupd init' makes a new one first).

Exit status 3 when a site does not have the wrapped keys yet.`,
		Example: `  backupd key add --recipient age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj
  backupd key add --identity /media/usb/escrow.txt   # this host's identity was lost`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if len(req.Recipients) == 0 && file == "" {
				return usageError(cmd, errors.New("--recipient names who is to open the repository, or --identity who can"))
			}
			var err error
			if file != "" {
				if req.Identities, err = a.readIdentity(file); err != nil {
					return err
				}
			}
			req.Daemon = len(req.Recipients) == 0
			return a.keyAdd(cmd, req)
		},
	}
	cmd.Flags().StringArrayVar(&req.Recipients, "recipient", nil, "an age recipient (`age1...`); may be repeated")
	cmd.Flags().StringVar(&file, "identity", "", "open the keys with the identity in this `FILE` too (- for standard input)")
	_ = cmd.MarkFlagFilename("identity")
	complete(cmd, "recipient")
	return cmd
}

func (a *app) keyAdd(cmd *cobra.Command, req engine.KeyAddRequest) error {
	var out engine.KeyAddResult
	err := a.using(cmd.Context(), func(ops operations) (err error) {
		out, err = ops.AddKey(cmd.Context(), req, a.screen.Report)
		return err
	})
	return a.answer(something(out, len(out.Objects) > 0), err, func() error { return a.showKeyAdded(out) })
}

func newKeyRotate(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "rotate",
		Short: "Put a new key to use for what is written from now on",
		Long: `Rotate makes a new key, wrapped for this host and everybody in keys.recipients,
and seals with it what is written from now on, once min_sites sites have it. When
that fails the key before stays in use.

What was written before stays sealed with the key before, and is read with it:
who has that key reads it still. Names of chunks go on being made with the first
key. Nothing is written anew.`,
		Example: `  backupd key rotate`,
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var out engine.KeyRotateResult
			err := a.using(cmd.Context(), func(ops operations) (err error) {
				out, err = ops.RotateKey(cmd.Context(), a.screen.Report)
				return err
			})
			return a.answer(something(out, out.Key != ""), err, func() error { return a.showKeyRotated(out) })
		},
	}
}

func newEscrowTest(a *app) *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "escrow-test --identity FILE",
		Short: "Find out whether the escrow still opens everything",
		Long: `Escrow-test opens what each site holds with nothing but the identity in FILE:
every key, the newest recovery point, and a piece of what is sealed with each key.
The outcome is remembered; 'backupd status' says when the last test is 90 days
old. Carry the file here, test, and carry it away again.

Exit status 1 when the identity does not open everything at every site.`,
		Example: `  backupd key escrow-test --identity /media/usb/escrow.txt`,
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if file == "" {
				return usageError(cmd, errors.New("--identity names the file that is kept away from this host"))
			}
			text, err := a.readIdentity(file)
			if err != nil {
				return err
			}
			var out repository.EscrowTest
			err = a.using(cmd.Context(), func(ops operations) (err error) {
				out, err = ops.TestEscrow(cmd.Context(), engine.EscrowTestRequest{Identities: text}, a.screen.Report)
				return err
			})
			return a.answer(something(out, len(out.Sites) > 0), err, func() error { return a.showEscrowTest(out) })
		},
	}
	cmd.Flags().StringVar(&file, "identity", "", "the `FILE` with the escrow's identity (- for standard input)")
	_ = cmd.MarkFlagFilename("identity")
	return cmd
}

// something is a document, or nothing when there is nothing in it.
func something(document any, is bool) any {
	if !is {
		return nil
	}
	return document
}

// readIdentity returns the text of an identity file. An engine of our own is
// opened with it too: this host's identity may be what was lost.
func (a *app) readIdentity(path string) (text string, err error) {
	text, a.identities, err = a.identitiesOf(path)
	return text, err
}

// identitiesOf reads an identity file, "-" for standard input.
func (a *app) identitiesOf(path string) (string, []age.Identity, error) {
	const most = 64 << 10
	from := io.Reader(a.stdin)
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return "", nil, fmt.Errorf("%w: --identity: %w", engine.ErrUsage, err)
		}
		defer func() { _ = f.Close() }() // it was only read
		from = f
	}
	text, err := io.ReadAll(io.LimitReader(from, most))
	if err != nil {
		return "", nil, fmt.Errorf("--identity: %w", err)
	}
	identities, err := age.ParseIdentities(strings.NewReader(string(text)))
	if err != nil {
		// What it says may show a part of the secret.
		return "", nil, fmt.Errorf("%w: --identity: %s holds no age identity (AGE-SECRET-KEY-1...)", engine.ErrUsage, path)
	}
	return string(text), identities, nil
}
