package repository

// Through returns the same repository as it is read by other ways to its sites:
// the stores of those given take the place of its own. It is for reading alone;
// what waits for sites goes there by the ways that it always went.
func (r *Repository) Through(sites []Site) *Repository {
	return &Repository{
		catalog: r.catalog, sites: sites, spool: r.spool, clock: r.clock, log: r.log,
		id: r.id, keys: r.keys, idKey: r.idKey, config: r.config, writer: r.writer,
		identities: r.identities, features: r.features,
	}
}
