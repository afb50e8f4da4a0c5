// Package drills holds the scenarios that come with the program.
package drills

import "embed"

// Files are the scenarios, one a file, named as the scenario is.
//
//go:embed *.yaml
var Files embed.FS
