package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"filippo.io/age"

	"github.com/saypro/backupd/internal/evidence"
	"github.com/saypro/backupd/internal/progress"
	"github.com/saypro/backupd/internal/repository"
)

// Keys says who can open the repository. It reads the catalog and waits for no
// site.
func (e *Engine) Keys(context.Context) (KeyList, error) {
	out := KeyList{
		Repository: e.repository.ID(), IdentityFile: e.cfg.Keys.IdentityFile, Daemon: []string{},
		Escrow: e.cfg.Keys.Recipients, EscrowTests: []repository.EscrowTest{}, IfLost: ifLost(e.cfg.Keys.IdentityFile),
	}
	// Without the file there is a warning and no error: somebody asks perhaps
	// because it is lost.
	own, ownErr := ownRecipients(e.cfg.Keys.IdentityFile)
	for _, r := range own {
		out.Daemon = append(out.Daemon, r.String())
	}
	var err error
	if out.Keys, err = e.repository.Keys(); err != nil {
		return out, err
	}
	tests, err := e.repository.EscrowTests()
	if err != nil {
		return out, err
	}
	out.EscrowTests = append(out.EscrowTests, tests...)
	if ownErr != nil {
		out.Warnings = append(out.Warnings, ownErr.Error())
	}
	out.Warnings = append(out.Warnings, keyWarnings(out.Keys, distinct(out.Daemon, out.Escrow))...)
	out.Warnings = append(out.Warnings, escrowWarnings(tests, e.clock.Now())...)
	return out, nil
}

// AddKey wraps every key of the repository for more recipients. The error
// matches [ErrDegraded] when not every site has the new objects, or a key could
// not be opened.
func (e *Engine) AddKey(ctx context.Context, req KeyAddRequest, report progress.Reporter) (out KeyAddResult, err error) {
	err = e.keyWork(ctx, "add", func() (evidence.Key, error) {
		out, err = e.addKey(ctx, req, report)
		return evidence.Key{Recipients: out.Recipients}, err
	})
	return out, err
}

func (e *Engine) addKey(ctx context.Context, req KeyAddRequest, report progress.Reporter) (KeyAddResult, error) {
	out := KeyAddResult{Recipients: []string{}, Objects: []string{}}
	recipients, err := e.newRecipients(req)
	if err != nil {
		return out, err
	}
	with, err := identitiesIn(req.Identities)
	if err != nil {
		return out, err
	}
	var wrapFor []age.Recipient
	for _, r := range recipients {
		out.Recipients, wrapFor = append(out.Recipients, r.String()), append(wrapFor, r)
	}
	e.startUploads(ctx)
	report.Report(progress.Event{Phase: "send", Message: "wrapping the keys and sending them to every site"})
	added, err := e.repository.AddRecipients(ctx, wrapFor, with, e.patience)
	out.Closed, out.Sites = added.Closed, pointsAtSites(added.Sites)
	out.Objects = append(out.Objects, added.Objects...)
	if err != nil {
		return out, err
	}
	for _, r := range recipients {
		if !slices.Contains(e.cfg.Keys.Recipients, r.String()) && !req.Daemon {
			out.Notes = append(out.Notes, fmt.Sprintf("add %s to keys.recipients too, so that later keys are wrapped for it", r))
		}
	}
	if len(out.Closed) > 0 {
		return out, fmt.Errorf("%w: no identity opens %s %s: the new recipients cannot read what is sealed with it",
			ErrDegraded, plural(len(out.Closed), "key"), strings.Join(out.Closed, ", "))
	}
	return out, behind(out.Sites, "the wrapped keys")
}

// notARecipient says what is wrong with a recipient without repeating it: it may
// be a secret that was taken for one.
func notARecipient(text string) error {
	if strings.HasPrefix(strings.ToUpper(text), "AGE-SECRET-KEY") {
		return fmt.Errorf("%w: this is a secret identity, not a recipient; name the public age1… that belongs to it, and count the identity as disclosed", ErrUsage)
	}
	return fmt.Errorf("%w: not an age recipient: one is a public key, age1 and what follows, as age-keygen prints it", ErrUsage)
}

// newRecipients returns those that a request names.
func (e *Engine) newRecipients(req KeyAddRequest) ([]*age.X25519Recipient, error) {
	var out []*age.X25519Recipient
	for _, text := range req.Recipients {
		r, err := age.ParseX25519Recipient(text)
		if err != nil {
			return nil, notARecipient(text)
		}
		out = append(out, r)
	}
	if req.Daemon {
		own, err := ownRecipients(e.cfg.Keys.IdentityFile)
		if err != nil {
			return nil, err
		}
		out = append(out, own...)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%w: nobody is named to wrap the keys for", ErrUsage)
	}
	return out, nil
}

// identitiesIn reads the text of an identity file. What it holds is not shown.
func identitiesIn(text string) ([]age.Identity, error) {
	if text == "" {
		return nil, nil
	}
	ids, err := age.ParseIdentities(strings.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("%w: the file given holds no age identity (AGE-SECRET-KEY-1…)", ErrUsage)
	}
	return ids, nil
}

// RotateKey puts a new key to use, wrapped for the daemon and everybody in
// keys.recipients.
func (e *Engine) RotateKey(ctx context.Context, report progress.Reporter) (out KeyRotateResult, err error) {
	err = e.keyWork(ctx, "rotate", func() (evidence.Key, error) {
		out, err = e.rotateKey(ctx, report)
		return evidence.Key{Key: out.Key, Recipients: out.Recipients}, err
	})
	return out, err
}

func (e *Engine) rotateKey(ctx context.Context, report progress.Reporter) (KeyRotateResult, error) {
	out := KeyRotateResult{Recipients: []string{}}
	own, err := ownRecipients(e.cfg.Keys.IdentityFile)
	if err != nil {
		return out, err
	}
	recipients, err := allRecipients(own, e.cfg.Keys.Recipients)
	if err != nil {
		return out, err
	}
	for _, r := range recipients {
		out.Recipients = append(out.Recipients, fmt.Sprint(r))
	}
	before, err := e.repository.Keys()
	if err != nil {
		return out, err
	}
	e.startUploads(ctx)
	report.Report(progress.Event{Phase: "send", Message: "sending the new key to every site"})
	turned, err := e.repository.RotateKey(ctx, recipients, e.cfg.MinSites, e.patience)
	out.Before, out.Key, out.Sites = turned.Before, turned.Key, pointsAtSites(turned.Sites)
	if err != nil {
		return out, err
	}
	for _, k := range before {
		if k.Current && k.Recipients() > len(recipients) {
			out.Notes = append(out.Notes, fmt.Sprintf("the key before is wrapped for %d recipients, the new one for %d: "+
				"whoever is not in keys.recipients cannot read what is written from now on", k.Recipients(), len(recipients)))
		}
	}
	out.Notes = append(out.Notes, "what was written before stays sealed with the key before; whoever has that one reads it still")
	return out, behind(out.Sites, "the new key")
}

// behind returns an error that matches [ErrDegraded] when a site lacks what was
// sent to it.
func behind(sites map[string]PointAtSite, what string) error {
	var lack []string
	for name, s := range sites {
		if s.State != repository.StateDurable {
			lack = append(lack, fmt.Sprintf("site %s: %s", name, s.Error))
		}
	}
	if len(lack) == 0 {
		return nil
	}
	slices.Sort(lack)
	return fmt.Errorf("%w: %s: it is sent %s when it takes them: %s", ErrDegraded, plural(len(lack), "site"), what, strings.Join(lack, "; "))
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func pointsAtSites(sites map[string]repository.SiteState) map[string]PointAtSite {
	out := map[string]PointAtSite{}
	for name, s := range sites {
		out[name] = PointAtSite{State: s.State, DurableAt: s.Durable, Error: s.Error}
	}
	return out
}

// TestEscrow finds out whether identities that are kept elsewhere still open
// everything, from each site alone, and remembers the outcome. This host's own
// are refused: they prove nothing of those that are needed when it is gone.
func (e *Engine) TestEscrow(ctx context.Context, req EscrowTestRequest, report progress.Reporter) (out repository.EscrowTest, err error) {
	err = e.keyWork(ctx, "escrow-test", func() (evidence.Key, error) {
		out, err = e.testEscrow(ctx, req, report)
		return evidence.Key{Recipients: out.Recipients}, err
	})
	return out, err
}

func (e *Engine) testEscrow(ctx context.Context, req EscrowTestRequest, report progress.Reporter, only ...string) (repository.EscrowTest, error) {
	ids, err := identitiesIn(req.Identities)
	if err == nil && len(ids) == 0 {
		err = fmt.Errorf("%w: no identity is given", ErrUsage)
	}
	if err != nil {
		return repository.EscrowTest{}, err
	}
	own, err := ownRecipients(e.cfg.Keys.IdentityFile)
	if err != nil && !errors.Is(err, ErrNotInitialized) {
		return repository.EscrowTest{}, err
	}
	for _, id := range ids {
		for _, r := range own {
			if repository.Recipient(id) == r.String() {
				return repository.EscrowTest{}, fmt.Errorf("%w: %s is this host's own identity; "+
					"the escrow is the one that is left when the host is gone", ErrUsage, r)
			}
		}
	}
	report.Report(progress.Event{Phase: "read", Message: "opening what every site holds with this identity alone"})
	out, err := e.repository.TestEscrow(ctx, ids, only...)
	if err != nil || out.Passed {
		return out, err
	}
	var failed []string
	for name, s := range out.Sites {
		if !s.Passed && (len(only) == 0 || slices.Contains(only, name)) {
			failed = append(failed, fmt.Sprintf("from site %s: %s", name, s.Error))
		}
	}
	if len(failed) == 0 {
		return out, nil
	}
	slices.Sort(failed)
	return out, fmt.Errorf("this identity does not open everything: %s", strings.Join(failed, "; "))
}

// distinct counts whoever is named in any of the lists.
func distinct(lists ...[]string) int {
	all := slices.Concat(lists...)
	slices.Sort(all)
	return len(slices.Compact(all))
}
