package evidence

import (
	"context"
	"fmt"
	"io"
	"slices"
)

// unreadable are the kinds of findings with which the records of a bundle are not
// read at all.
var unreadable = []FindingKind{FoundForm, FoundSignature, FoundKey, FoundRoot}

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
func ReadBundle(ctx context.Context, r io.ReaderAt, size int64, o VerifyOptions) (Opened, error) {
	v, earlier, err := check(ctx, r, size, o)
	if err != nil {
		return Opened{}, err
	}
	b, err := openBundle(r, size)
	if err != nil {
		return Opened{}, err
	}
	out := Opened{Verification: v, About: b.about, Earlier: earlier, Checkpoint: b.end}
	if i := slices.IndexFunc(v.Findings, func(f Finding) bool { return slices.Contains(unreadable, f.Kind) }); i >= 0 {
		// Nobody who has the key stands for them, and there may be more than fit.
		return out, fmt.Errorf("%w: %s", ErrBundle, v.Findings[i].Text)
	}
	for first := b.about.From; first < b.about.To; first += bundleLines {
		for line, err := range b.records(first, min(bundleLines, b.about.To-first)) {
			if err != nil {
				return Opened{}, err
			}
			record, err := decodeRecord(line)
			if err != nil {
				// The check has found it, too; there is nothing to be read of it.
				return out, fmt.Errorf("%w: record %d: %w", ErrBundle, b.about.From+uint64(len(out.Records)), err)
			}
			out.Records = append(out.Records, record)
		}
	}
	redate(out.Records)
	return out, nil
}
