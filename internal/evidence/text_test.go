package evidence

import (
	"encoding/base64"
	"encoding/json"
)

func jsonOf(v any) ([]byte, error) { return json.Marshal(v) }
func base64Of(b []byte) string     { return base64.StdEncoding.EncodeToString(b) }
