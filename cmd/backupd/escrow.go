package main

import (
	"errors"
	"fmt"
	"os"

	"filippo.io/age"

	"github.com/saypro/backupd/internal/engine"
)

// escrow is what "init --new-escrow" says.
type escrow struct {
	// Recipient is the public part, for keys.recipients.
	Recipient string `json:"recipient"`
	// IdentityFile holds the secret part.
	IdentityFile string `json:"identity_file"`
}

// makeEscrow makes an identity for the escrow in a new file, which nobody but
// its owner can read.
func (a *app) makeEscrow(path string) error {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		return fmt.Errorf("make an escrow identity: %w", err)
	}
	if err := writeIdentity(path, id); err != nil {
		return fmt.Errorf("make an escrow identity: %w", err)
	}
	e := escrow{Recipient: id.Recipient().String(), IdentityFile: path}
	return a.answer(e, nil, func() error {
		_, err := fmt.Fprintf(a.stdout, `The escrow's identity is in %s. Add its recipient to the configuration:

  keys:
    recipients:
      - %s

Then take the file away from this host, to at least two places that a fire
here does not reach, and run 'backupd init'. Whoever has the file can read
every backup; without it, the loss of this host is the loss of them all.
`, path, a.style.Bold(e.Recipient))
		return err
	})
}

func writeIdentity(path string, id *age.X25519Identity) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("%w: %s exists already; it may be the key to backups, so it is not touched", engine.ErrUsage, path)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "# escrow identity of backupd; who has it can read every backup\n# public key: %s\n%s\n", id.Recipient(), id)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}
