package evidence

import (
	"fmt"
	"io"
)

// ReadBundle checks a bundle as [Verify] does and returns its records, with the
// checkpoint over them, with the times that count when the clock was set back. Whoever uses the records looks at what was found first.
func ReadBundle(r io.ReaderAt, size int64, o VerifyOptions) (*Verification, Sheaf, []byte, error) {
	v, err := Verify(r, size, o)
	if err != nil {
		return nil, nil, nil, err
	}
	b, err := openBundle(r, size)
	if err != nil {
		return nil, nil, nil, err
	}
	records := make(Sheaf, 0, b.about.To-b.about.From)
	for first := b.about.From; first < b.about.To; first += bundleLines {
		sealed, err := b.records(first, min(bundleLines, b.about.To-first))
		if err != nil {
			return nil, nil, nil, err
		}
		for _, line := range sealed {
			record, err := decodeRecord(line)
			if err != nil {
				// The check has found it, too; there is nothing to be read of it.
				return v, nil, b.end, fmt.Errorf("%w: record %d: %w", ErrBundle, first, err)
			}
			records = append(records, record)
		}
	}
	redate(records)
	return v, records, b.end, nil
}
