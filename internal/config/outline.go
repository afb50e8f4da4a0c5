package config

import (
	"os"
	"path/filepath"
)

// Outline is what a command needs of a configuration to find the running
// service and to talk about what is in it.
type Outline struct {
	// DataDir is the folder with the service's socket; empty when the file
	// does not say it clearly.
	DataDir string
	// SiteOrder and FunctionOrder hold the names in the order of the file.
	SiteOrder     []string
	FunctionOrder []string
}

// LoadOutline reads the file at path as far as it can be understood without
// its secrets: variables that are not set, and anything else that is wrong in
// it, matter only to who opens the sites. An error means that the file cannot
// be read at all.
func LoadOutline(path string) (Outline, error) {
	data, err := readFile(path)
	if err != nil {
		return Outline{}, err
	}
	d := newDecoder(path, os.LookupEnv)
	root, ok := d.document(data)
	if !ok {
		return Outline{}, d.problems.sorted()
	}
	var cfg Config
	d.decode(root, &cfg)
	out := Outline{SiteOrder: cfg.SiteOrder, FunctionOrder: cfg.FunctionOrder}
	if !d.bad["data_dir"] && filepath.IsAbs(cfg.DataDir) {
		out.DataDir = cfg.DataDir
	}
	return out, nil
}
