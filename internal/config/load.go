package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// maxFile bounds the size of a configuration file in bytes, so that naming a
// database dump by mistake is an error and not an outage.
const maxFile = 256 << 10

// Load reads and checks the file at path with the environment of this process.
// What is wrong in the file comes back as [Problems]; a file that cannot be
// read as an error that matches its cause, such as [fs.ErrNotExist].
func Load(path string) (*Config, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	return Parse(path, data, os.LookupEnv)
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("configuration: %w; name the file with --config, or begin with configs/backupd.yaml", err)
	case err != nil:
		return nil, fmt.Errorf("configuration: %w", err)
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	return data, nil
}

// Parse checks data as the content of a file called name. Variables are asked
// from getenv; the files that the configuration takes secrets from are read.
// Everything that is wrong is reported together, as [Problems].
func Parse(name string, data []byte, getenv func(string) (string, bool)) (*Config, error) {
	d := newDecoder(name, getenv)
	root, ok := d.document(data)
	if !ok {
		return nil, d.problems.sorted()
	}
	cfg := &Config{}
	d.decode(root, cfg)
	if d.bad[""] {
		return nil, d.problems.sorted()
	}
	c := checker{decoder: d, cfg: cfg}
	c.check()
	if len(d.problems) > 0 {
		return nil, d.problems.sorted()
	}
	return cfg, nil
}
