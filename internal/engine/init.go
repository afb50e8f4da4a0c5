package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"filippo.io/age"

	"github.com/saypro/backupd/internal/clock"
	"github.com/saypro/backupd/internal/config"
	"github.com/saypro/backupd/internal/evidence"
	"github.com/saypro/backupd/internal/repository"
	"github.com/saypro/backupd/internal/storage"
)

// Init makes the daemon's identity, unless its file exists, and the repository
// on every site that has none. It may be run again at any time: what is there
// stays as it is.
func Init(ctx context.Context, cfg *config.Config, o Options) (report InitReport, err error) {
	report = InitReport{IdentityFile: cfg.Keys.IdentityFile, Escrow: cfg.Keys.Recipients, Sites: map[string]InitSite{}, IfLost: ifLost(cfg.Keys.IdentityFile)}
	cat, err := openCatalog(cfg)
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, cat.Close()) }()
	report.IdentityCreated, err = makeIdentity(cfg.Keys.IdentityFile)
	if err != nil {
		return report, err
	}
	_, keyErr := os.Stat(cfg.Evidence.KeyFile)
	log, err := evidence.OpenWithKeyFile(evidenceOptions(cat, o), cfg.Evidence.KeyFile)
	if err != nil {
		return report, explainKeyFile(err)
	}
	report.EvidenceKey, report.EvidenceKeyCreated = evidenceKey(cfg, log), os.IsNotExist(keyErr)
	own, err := ownRecipients(cfg.Keys.IdentityFile)
	if err != nil {
		return report, err
	}
	report.Recipient = own[0].String()
	recipients, err := allRecipients(own, cfg.Keys.Recipients)
	if err != nil {
		return report, err
	}
	traffic := newTraffic(cfg)
	count := newMeter(cat, traffic, o.Clock, o.Log)
	defer func() { err = errors.Join(err, count.write()) }()
	options, err := repositoryOptions(cfg, cat, nil, o.Clock, o.Log, traffic, nil)
	if err != nil {
		return report, err
	}
	// A site that fails must not keep the others from being made.
	var errs []error
	for _, site := range options.Sites {
		notes, err := probeSite(ctx, site.Name, cfg.Sites[site.Name], o.Clock, traffic[site.Name])
		report.Sites[site.Name] = InitSite{State: InitPresent, Notes: notes}
		if err != nil {
			report.Sites[site.Name] = InitSite{State: InitFailed, Error: err.Error(), Notes: notes}
			errs = append(errs, err)
		}
	}
	if len(errs) > 0 {
		for name, s := range report.Sites {
			if s.State == InitPresent {
				s.State, s.Error = InitFailed, "not made: every site must answer first, so that all get the same repository; run 'backupd init' again then"
				report.Sites[name] = s
			}
		}
		return report, errors.Join(errs...)
	}
	made, err := initOnRecord(ctx, log, options, recipients, o.By)
	if made != nil {
		report.Repository = made.Repository
		for name, what := range made.Sites {
			report.Sites[name] = initSite(report.Sites[name], what)
		}
	}
	if err != nil {
		return report, err
	}
	report.Closed, err = opens(ctx, cfg.Keys.IdentityFile, options.Sites[0])
	if report.Closed != "" {
		err = fmt.Errorf("%w: %s", ErrDegraded, report.Closed)
	}
	return report, err
}

// opens returns why the daemon's identity does not open the repository at a
// site; empty when it does. It was there before the identity, then.
func opens(ctx context.Context, identityFile string, site repository.Site) (closed string, err error) {
	ids, err := readIdentities(identityFile)
	if err != nil {
		return "", err
	}
	_, err = repository.Look(ctx, site, ids)
	if errors.Is(err, repository.ErrWrongKey) {
		return fmt.Sprintf("the repository was there already, and the identity in %s does not open it; "+
			"'backupd key add --identity FILE' with the escrow's lets it in", identityFile), nil
	}
	return "", err
}

func initSite(s InitSite, what string) InitSite {
	switch what {
	case repository.InitThere:
		s.State = InitPresent
	case repository.InitMade:
		s.State = InitCreated
	case repository.InitMadeAgain:
		s.State = InitCreated
		s.Notes = append(s.Notes, "the site had lost its copy; everything is queued for it again")
	default:
		s.State, s.Error = InitFailed, what
	}
	return s
}

// probeSite refuses a site that would overwrite objects: nothing there would be
// safe from a mistake or an attack.
func probeSite(ctx context.Context, name string, s config.Site, c clock.Clock, traffic *storage.Traffic) ([]string, error) {
	can, err := probe(ctx, name, s, c, traffic)
	if err != nil {
		return nil, err
	}
	if err := can.Suffices(); err != nil {
		return can.Notes, fmt.Errorf("site %s cannot hold a repository: %w", name, err)
	}
	return can.Notes, nil
}

// makeIdentity writes a new age identity unless the file exists.
func makeIdentity(path string) (made bool, err error) {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		return false, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return false, fmt.Errorf("keys.identity_file: %w", err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if os.IsExist(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("keys.identity_file: %w", err)
	}
	_, err = fmt.Fprintf(f, "# identity of backupd; who has it can read every backup\n# public key: %s\n%s\n", id.Recipient(), id)
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return false, fmt.Errorf("keys.identity_file %s: %w", path, errors.Join(err, os.Remove(path)))
	}
	return true, nil
}

// ownRecipients returns the public parts of the daemon's identities.
func ownRecipients(path string) ([]*age.X25519Recipient, error) {
	ids, err := readIdentities(path)
	if err != nil {
		return nil, err
	}
	var out []*age.X25519Recipient
	for _, id := range ids {
		if x, ok := id.(*age.X25519Identity); ok {
			out = append(out, x.Recipient())
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%w: keys.identity_file %s holds no X25519 identity (AGE-SECRET-KEY-1…)", ErrConfig, path)
	}
	return out, nil
}

// allRecipients returns everybody that the repository key is wrapped for: the
// daemon and at least one other.
func allRecipients(own []*age.X25519Recipient, configured []string) ([]age.Recipient, error) {
	seen := map[string]bool{}
	var out []age.Recipient
	for _, r := range own {
		seen[r.String()] = true
		out = append(out, r)
	}
	others := 0
	for _, text := range configured {
		if seen[text] {
			continue
		}
		seen[text] = true
		r, err := age.ParseX25519Recipient(text)
		if err != nil {
			return nil, fmt.Errorf("%w: keys.recipients: %s: %w", ErrConfig, text, err)
		}
		out = append(out, r)
		others++
	}
	if others == 0 {
		return nil, fmt.Errorf("%w: keys.recipients names nobody but this daemon: with the loss of %s every backup would be lost; "+
			"make an escrow identity with 'backupd init --new-escrow FILE' and add its recipient", ErrConfig, "its identity file")
	}
	return out, nil
}
