package report

import (
	"encoding/json"
	"fmt"
	"io"
)

// JSON writes all of the report, in the shape that its field schema names.
func (p *Period) JSON(w io.Writer) error { return writeJSON(w, p) }

// JSON writes all of the report, in the shape that its field schema names.
func (p *Proof) JSON(w io.Writer) error { return writeJSON(w, p) }

func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("write the report as JSON: %w", err)
	}
	return nil
}
