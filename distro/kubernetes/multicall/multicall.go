// Package multicall lets one binary be several programs, so that they share what is linked into
// them, on disk and while building.
package multicall

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Run calls the program that the binary's own file name (a symbolic link), or else its first
// argument, names, and ends the process with the exit code it returns.
func Run(programs map[string]func() int) {
	name := filepath.Base(os.Args[0])
	binary := name
	if _, found := programs[name]; !found && len(os.Args) > 1 {
		name, os.Args = os.Args[1], os.Args[1:]
	}
	program, found := programs[name]
	if !found {
		fmt.Fprintf(os.Stderr, "%s: %q is no component; call it by a link or a first argument named one of: %s\n",
			binary, name, strings.Join(slices.Sorted(maps.Keys(programs)), ", "))
		os.Exit(2)
	}
	os.Exit(program())
}
