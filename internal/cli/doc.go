// Package cli is the myriad command: it turns what a person types into objects in the hub, and what
// the hub says into tables, progress and exit codes.
package cli
