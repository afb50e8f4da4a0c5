package evidence

import (
	"fmt"
	"io"
)

// Opened is a bundle that was checked, with its records.
type Opened struct {
	// Verification says what was found; whoever uses the records looks at it
	// first.
	Verification *Verification
	About        About
	// Earlier are single records from before the period, Records those of it.
	Earlier []Record
	Records Sheaf
	// Checkpoint is that over the records.
	Checkpoint []byte
}

// ReadBundle checks a bundle as [Verify] does and returns its records, with the
// times that count when the clock was set back. With an error there may be a
// verification, of records that cannot be read.
func ReadBundle(r io.ReaderAt, size int64, o VerifyOptions) (Opened, error) {
	v, earlier, err := check(r, size, o)
	if err != nil {
		return Opened{}, err
	}
	b, err := openBundle(r, size)
	if err != nil {
		return Opened{}, err
	}
	out := Opened{Verification: v, About: b.about, Earlier: earlier, Records: make(Sheaf, 0, b.about.To-b.about.From), Checkpoint: b.end}
	for first := b.about.From; first < b.about.To; first += bundleLines {
		sealed, err := b.records(first, min(bundleLines, b.about.To-first))
		if err != nil {
			return Opened{}, err
		}
		for _, line := range sealed {
			record, err := decodeRecord(line)
			if err != nil {
				// The check has found it, too; there is nothing to be read of it.
				return out, fmt.Errorf("%w: record %d: %w", ErrBundle, first, err)
			}
			out.Records = append(out.Records, record)
		}
	}
	redate(out.Records)
	return out, nil
}
