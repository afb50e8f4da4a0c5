package engine

import "context"

// expectLeft expects evidence of sites, as after a rebuild, when this host's log is
// empty and a site keeps one, or cannot be asked: whoever gives the service a new
// data_dir and rebuilds nothing must not begin a second log under the name of the
// first.
func (e *Engine) expectLeft(ctx context.Context) error {
	if e.evidence.Size() > 0 {
		return nil
	}
	if waits, err := e.awaitsEvidence(); err != nil || waits {
		return err
	}
	from := ""
	for _, site := range e.cfg.SiteOrder {
		asking, cancel := context.WithTimeout(ctx, elsewherePatience)
		kept, err := e.repository.EvidenceAt(asking, site, "", 0)
		cancel()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if len(kept) > 0 {
			from = site
			break
		}
		if err != nil && from == "" {
			from = site
		}
	}
	if from == "" {
		return nil
	}
	e.log.Warn("this host's evidence log is empty, as with a new data_dir: what sites keep of one is taken over before anything is recorded", "site", from)
	return e.expectEvidence(untaken{Site: from})
}
