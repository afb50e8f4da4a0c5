package evidence

import "time"

// Store keeps a log. It trusts whoever calls it: what it holds is checked by
// signatures and hashes, not by the store.
type Store interface {
	// EvidenceHead returns the signed checkpoint that was stored last, nil when
	// the log is empty.
	EvidenceHead() ([]byte, error)
	// AppendEvidence stores entries and the checkpoint that covers them in one
	// transaction that is on disk when it returns. A nil head stores no
	// checkpoint: the log counts as empty until one is.
	AppendEvidence(head []byte, entries []Entry) error
	// EvidenceEnvelopes returns envelopes of the log from a sequence on, at
	// least one if it is there, and at most so many.
	EvidenceEnvelopes(from uint64, limit int) ([][]byte, error)
	// EvidenceHashes returns hashes of the tree by their index in tlog's order.
	EvidenceHashes(indexes []int64) ([]Hash, error)
	// FindEvidence returns the sequences, ascending, of the records of an act
	// that were written in from ≤ time < to. An empty function means all, a zero
	// time no bound.
	FindEvidence(act Act, function string, from, to time.Time) ([]uint64, error)
	// UnfinishedEvidence returns the sequences of the intents without a result.
	UnfinishedEvidence() ([]uint64, error)
	// ClearEvidence forgets a log that has no checkpoint.
	ClearEvidence() error
}

// Entry is one record on its way into a store.
type Entry struct {
	Sequence uint64
	Envelope []byte
	// Hashes are those that the record adds to the tree, the first of them at
	// index HashIndex in tlog's order.
	HashIndex int64
	Hashes    []Hash
	// What it is found by.
	Act      Act
	Function string
	Time     time.Time
	// SetsBack: what was stored before and is dated later is found by this time
	// from now on.
	SetsBack bool
	// Opens is set for an intent; Closes is the intent of a result.
	Opens  bool
	Closes *uint64
}
