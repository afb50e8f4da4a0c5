package report

// Level is a proof level, and what holds when it is reached.
type Level struct {
	Level   string `json:"level"`
	Meaning string `json:"meaning"`
}

// Levels are all of them, the lowest first.
var Levels = []Level{
	{"L0", "every named object is present at this site in the right size"},
	{"L1", "the stored bytes have the right digests"},
	{"L2", "everything decrypts, decompresses and parses"},
	{"L3", "the engine loaded it without an error"},
	{"L4", "the structure is whole: tables, columns, indexes, constraints, sequences, owners, grants, extensions"},
	{"L5", "the content equals the source at the same snapshot: rows and digest of every table"},
	{"L6", "the function's own checks pass on the restored data"},
	{"L7", "all of this cold: an empty host, no catalog, the escrowed key, one site alone, inside the RTO"},
}

// meaning says what holds at a level; empty for what is none.
func meaning(level string) string {
	for _, l := range Levels {
		if l.Level == level {
			return l.Meaning
		}
	}
	return ""
}
