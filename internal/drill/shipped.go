package drill

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/saypro/backupd/configs/drills"
)

// ErrUnknown marks a scenario that does not come with the program.
var ErrUnknown = errors.New("no such scenario")

// Shipped returns the scenarios that come with the program: those that touch
// systems first, then the others by name.
func Shipped() ([]*Scenario, error) {
	names, err := fs.Glob(drills.Files, "*.yaml")
	if err != nil {
		return nil, err
	}
	var systems, tables []*Scenario
	for _, name := range names {
		raw, err := ShippedFile(strings.TrimSuffix(name, ".yaml"))
		if err != nil {
			return nil, err
		}
		s, err := Parse(raw)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if s.Kind == Tabletop {
			tables = append(tables, s)
		} else {
			systems = append(systems, s)
		}
	}
	return append(systems, tables...), nil
}

// ShippedFile returns the file of a scenario that comes with the program. Its
// error matches [ErrUnknown] when there is none of that name.
func ShippedFile(name string) ([]byte, error) {
	if !nameForm.MatchString(name) {
		return nil, fmt.Errorf("%w: %q", ErrUnknown, name)
	}
	raw, err := drills.Files.ReadFile(name + ".yaml")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %q", ErrUnknown, name)
	}
	return raw, err
}
