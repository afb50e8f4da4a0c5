package engine

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/saypro/backupd/internal/config"
	"github.com/saypro/backupd/internal/progress"
	"github.com/saypro/backupd/internal/verify"
)

// ColdStartCommand is the word with which the program is started as an empty
// host. What it is to do comes over its standard input, secrets included: they
// stand in no argument and no environment.
const ColdStartCommand = "cold-start"

// coldOrder is all that a cold start knows. When its standard input ends, so
// does the cold start: whoever asked for it is gone.
type coldOrder struct {
	DataDir  string          `json:"data_dir"` // empty
	Site     coldSite        `json:"site"`
	Name     string          `json:"name"` // of the function, which does not tell it
	Function config.Function `json:"function"`
	Scratch  string          `json:"scratch"` // kind
	// ScratchURL is of a server that is given, Identity the text of an age
	// identity file.
	ScratchURL string `json:"scratch_url"`
	Identity   string `json:"identity"`
}

// coldSite is what one needs to read a site. Unlike [config.Site] it does not
// hide its secret.
type coldSite struct {
	Name, Kind, Endpoint, Region, Bucket, Prefix, AccessKey, SecretKey, Path string
}

// newColdOrder leaves out whatever an empty host would not have, and all that
// could be written with.
func newColdOrder(cfg *config.Config, f config.Function, site, dir, identity string) coldOrder {
	s := cfg.Sites[site]
	return coldOrder{
		DataDir: dir, Name: f.Name, Function: f, Identity: identity,
		Site: coldSite{
			Name: site, Kind: s.Kind, Endpoint: s.Endpoint, Region: s.Region, Bucket: s.Bucket, Prefix: s.Prefix,
			AccessKey: s.AccessKey, SecretKey: s.SecretKey.Reveal(), Path: s.Path,
		},
		Scratch: cfg.Scratch.Kind, ScratchURL: cfg.Scratch.URL.Reveal(),
	}
}

// config is the configuration of the empty host.
func (o coldOrder) config() *config.Config {
	s := o.Site
	site := config.Site{
		Kind: s.Kind, Endpoint: s.Endpoint, Region: s.Region, Bucket: s.Bucket, Prefix: s.Prefix,
		AccessKey: s.AccessKey, SecretKey: config.Secret(s.SecretKey), Path: s.Path,
	}
	return &config.Config{
		Version: 1, DataDir: o.DataDir, MinSites: 1, ParallelSnapshots: 1,
		Scratch:  config.Scratch{Kind: o.Scratch, URL: config.Secret(o.ScratchURL)},
		Keys:     config.Keys{IdentityFile: filepath.Join(o.DataDir, "none")},
		Evidence: config.Evidence{KeyFile: filepath.Join(o.DataDir, "evidence.key")}, // of a log that ends with it
		Spool:    config.Spool{MaxBytes: config.DefaultSpoolBytes},
		Sites:    map[string]config.Site{s.Name: site}, SiteOrder: []string{s.Name},
		Functions: map[string]config.Function{o.Function.Name: o.Function}, FunctionOrder: []string{o.Function.Name},
		Sweep: config.Sweep{Grace: config.DefaultSweepGrace},
	}
}

// coldAnswer is a line that a cold start writes: how far it is, or at the end
// what came of it.
type coldAnswer struct {
	Event          *progress.Event `json:"event,omitempty"`
	Result         *verify.Result  `json:"result,omitempty"`
	RebuildSeconds float64         `json:"rebuild_seconds,omitempty"`
	Lost           []string        `json:"lost,omitempty"` // what the rebuild missed, a sentence each
	Error          string          `json:"error,omitempty"`
}

func readColdOrder(in *json.Decoder) (coldOrder, error) {
	var o coldOrder
	if err := in.Decode(&o); err != nil {
		return o, fmt.Errorf("read what the cold start is to do: %w", err)
	}
	o.Function.Name = o.Name
	if i := slices.IndexFunc(os.Environ(), unneeded); i >= 0 {
		name, _, _ := strings.Cut(os.Environ()[i], "=")
		return o, fmt.Errorf("a cold start begins with nothing of this host, and its environment has %s", name)
	}
	entries, err := os.ReadDir(o.DataDir)
	if err == nil && len(entries) > 0 {
		err = fmt.Errorf("%s is not empty", o.DataDir)
	}
	if err != nil {
		return o, fmt.Errorf("a cold start begins with an empty folder: %w", err)
	}
	return o, nil
}

// untilEnd reads until there is nothing more to come.
func untilEnd(in io.Reader) { _, _ = io.Copy(io.Discard, in) }
