package crash

import "slices"

// Name names a point: a moment between two steps that change something on the
// disk, at a site or in a database.
type Name string

// Where a program can be made to end. Each name says what has just happened.
const (
	// A snapshot of a function, from the record of its run to the record of its
	// end.
	SnapshotRecorded  Name = "snapshot-recorded"  // the run is in the catalog
	SnapshotLocked    Name = "snapshot-locked"    // the source has given a view
	SnapshotPart      Name = "snapshot-part"      // the rows of one part of a table are read
	SnapshotRead      Name = "snapshot-read"      // everything is read, the source still held
	SnapshotReleased  Name = "snapshot-released"  // the source is let go of
	SnapshotCommitted Name = "snapshot-committed" // the recovery point exists here
	SnapshotAwaited   Name = "snapshot-awaited"   // the sites have it, or were waited for
	SnapshotEnded     Name = "snapshot-ended"     // the end of the run is in the catalog

	// Packs and commits on their way into the spool and the catalog.
	PackBegun      Name = "pack-begun"      // a pack has its header
	PackSealed     Name = "pack-sealed"     // a pack has one chunk more
	PackClosed     Name = "pack-closed"     // a pack has its footer
	PackKept       Name = "pack-kept"       // a pack is in the spool, the catalog knows nothing of it
	PackQueued     Name = "pack-queued"     // a pack is in the outboxes
	CommitReady    Name = "commit-ready"    // all packs are in the outboxes, there is no commit
	CommitNumbered Name = "commit-numbered" // the number of the commit is taken
	CommitKept     Name = "commit-kept"     // a commit is in the spool, the catalog knows nothing of it
	CommitQueued   Name = "commit-queued"   // a commit is in the outboxes

	// Files of the spool, of packs and commits alike.
	SpoolCreated Name = "spool-created" // a file without content, under a temporary name
	SpoolWritten Name = "spool-written" // its content is whole, not yet safe from a loss of power
	SpoolSynced  Name = "spool-synced"  // its content is safe, the name temporary
	SpoolRenamed Name = "spool-renamed" // it has its name, which is not yet safe
	SpoolSwept   Name = "spool-swept"   // a start has removed something that nothing waits for
	SpoolFreed   Name = "spool-freed"   // a file is removed that nobody waits for any more
	SpoolEvicted Name = "spool-evicted" // a file is removed that a site waits for and another one has

	// Objects on their way to a site.
	UploadBegun        Name = "upload-begun"        // an object is about to be sent
	UploadPut          Name = "upload-put"          // a site has said that it took it
	UploadSent         Name = "upload-sent"         // it was seen there, with all that went along
	UploadAcknowledged Name = "upload-acknowledged" // it has left the outbox
	MendDeleted        Name = "mend-deleted"        // a damaged object is deleted at a site, there is none of that name
	MendPut            Name = "mend-put"            // a good one is there, still waiting in the outbox
	CompareListed      Name = "compare-listed"      // what a site holds is compared, what was not known not taken in
	CompareDoubted     Name = "compare-doubted"     // an object that a site lacks waits for it again
	CompareAdopted     Name = "compare-adopted"     // a snapshot that only a site knew is in the catalog

	// Marks, by which sites learn what was decided.
	MarkKept   Name = "mark-kept"   // a mark is in the spool, nothing of what it says is done
	MarkQueued Name = "mark-queued" // it is in the outboxes, and what it says is done

	// A new repository key, which a mark puts to use.
	KeyQueued Name = "key-queued" // the wrapped key is in the outboxes
	KeyTaken  Name = "key-taken"  // enough sites have it, nothing is sealed with it

	// A scrub.
	ScrubDoubted Name = "scrub-doubted" // an object that was found to be wrong waits for its site again
	ScrubNoted   Name = "scrub-noted"   // what was read is on record

	// A repository made at a site.
	InitReset  Name = "init-reset"  // everything is queued for the site
	InitKey    Name = "init-key"    // it has the key
	InitConfig Name = "init-config" // it has repo.json, the catalog does not know that

	// A sweep.
	SweepCommitsDoomed Name = "sweep-commits-doomed" // snapshots are no longer listed, their commits are at every site
	SweepDeleted       Name = "sweep-deleted"        // one object more is deleted at one site
	SweepCommitsGone   Name = "sweep-commits-gone"   // the commits are deleted at every site, the catalog knows them
	SweepPacksDoomed   Name = "sweep-packs-doomed"   // packs may not be referred to any more, and are at every site
	SweepPacksGone     Name = "sweep-packs-gone"     // the packs are deleted at every site, the catalog knows them
	SweepSwitched      Name = "sweep-switched"       // commits that were written anew count
	SweepMarked        Name = "sweep-marked"         // a mark is in the spool, the catalog knows nothing of it
	SweepMoved         Name = "sweep-moved"          // what is needed of some packs is in new ones
	SweepStaged        Name = "sweep-staged"         // one commit more names the new packs

	// The catalog made anew from a site.
	RebuildPack   Name = "rebuild-pack"   // one pack is in the catalog
	RebuildPacks  Name = "rebuild-packs"  // all packs are, no snapshot
	RebuildCommit Name = "rebuild-commit" // the snapshots of one commit are
	RebuildQueued Name = "rebuild-queued" // everything is queued for one other site
	RebuildKnown  Name = "rebuild-known"  // the catalog is whole, and the evidence not yet taken over
	RebuildTaken  Name = "rebuild-taken"  // the evidence is, and that is not noted yet

	// A restore.
	RestoreRecorded  Name = "restore-recorded"  // the run is in the catalog
	RestoreFetched   Name = "restore-fetched"   // the schema is in a file
	RestoreProvided  Name = "restore-provided"  // there is a database to fill
	RestoreMarked    Name = "restore-marked"    // it has the mark of an unfinished restore
	RestorePreData   Name = "restore-pre-data"  // it has its empty tables
	RestoreStretch   Name = "restore-stretch"   // it has some rows more
	RestoreRows      Name = "restore-rows"      // it has all rows
	RestoreSequences Name = "restore-sequences" // its sequences are set
	RestoreIndexed   Name = "restore-indexed"   // it has its indexes and constraints
	RestoreChecked   Name = "restore-checked"   // it was compared with the snapshot
	RestoreUnmarked  Name = "restore-unmarked"  // the mark is taken away
	RestoreRenaming  Name = "restore-renaming"  // one of the renames that put it in its place is not committed
	RestorePlaced    Name = "restore-placed"    // it has the name of the target
	RestoreEnded     Name = "restore-ended"     // the end of the run is in the catalog

	// A proof, which loads as a restore does.
	ProofIntended    Name = "proof-intended"    // the intent is in the catalog
	ProofPlaced      Name = "proof-placed"      // there is a working folder
	ProofProvisioned Name = "proof-provisioned" // there is a scratch database
	ProofCleared     Name = "proof-cleared"     // there is nothing of it any more, and no result
)

var points = []Name{
	SnapshotRecorded, SnapshotLocked, SnapshotPart, SnapshotRead, SnapshotReleased, SnapshotCommitted, SnapshotAwaited, SnapshotEnded,
	PackBegun, PackSealed, PackClosed, PackKept, PackQueued, CommitReady, CommitNumbered, CommitKept, CommitQueued,
	SpoolCreated, SpoolWritten, SpoolSynced, SpoolRenamed, SpoolSwept, SpoolFreed, SpoolEvicted,
	UploadBegun, UploadPut, UploadSent, UploadAcknowledged, MendDeleted, MendPut, CompareListed, CompareDoubted, CompareAdopted,
	MarkKept, MarkQueued, KeyQueued, KeyTaken, ScrubDoubted, ScrubNoted, InitReset, InitKey, InitConfig,
	SweepCommitsDoomed, SweepDeleted, SweepCommitsGone, SweepPacksDoomed, SweepPacksGone, SweepSwitched, SweepMarked, SweepMoved, SweepStaged,
	RebuildPack, RebuildPacks, RebuildCommit, RebuildQueued, RebuildKnown, RebuildTaken,
	RestoreRecorded, RestoreFetched, RestoreProvided, RestoreMarked, RestorePreData, RestoreStretch, RestoreRows, RestoreSequences,
	RestoreIndexed, RestoreChecked, RestoreUnmarked, RestoreRenaming, RestorePlaced, RestoreEnded,
	ProofIntended, ProofPlaced, ProofProvisioned, ProofCleared,
}

// Points returns every name.
func Points() []Name { return slices.Clone(points) }
