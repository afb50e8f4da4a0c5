package server

import (
	"encoding/json"
	"io"
)

// chunkSize is how much of a document one message carries.
const chunkSize = 48 << 10

// chunks writes a document as messages, before the outcome of the operation.
type chunks struct{ out io.Writer }

func (c chunks) Write(p []byte) (int, error) {
	if err := json.NewEncoder(c.out).Encode(message{Data: p}); err != nil {
		return 0, err
	}
	return len(p), nil
}
