// Package suggest words "there is no such thing" so that a person sees the name that was probably meant.
package suggest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/agext/levenshtein"
)

const (
	// listed is how many existing names a message names: a fleet may have thousands.
	listed = 12
	// shortestPart of a name, in characters, that may stand for the whole of it.
	shortestPart = 3
)

// NotFound says that nothing of that noun has the name, which name may have been meant, and what
// exists: "there is no region cn-hangzou; did you mean cn-hangzhou? (existing: cn-hangzhou, eu-frankfurt)".
func NotFound(noun, name string, existing []string) string {
	return fmt.Sprintf("there is no %s %s%s", noun, name, Among(name, existing))
}

// Among is the second half of NotFound, for messages that say the first half in their own words.
func Among(name string, existing []string) string {
	if len(existing) == 0 {
		return ", and no other either"
	}
	names := slices.Sorted(slices.Values(existing))
	list := strings.Join(names[:min(listed, len(names))], ", ")
	if more := len(names) - listed; more > 0 {
		list += fmt.Sprintf(" and %d more", more)
	}
	if closest, ok := Closest(name, names); ok {
		return fmt.Sprintf("; did you mean %s? (existing: %s)", closest, list)
	}
	return fmt.Sprintf(" (existing: %s)", list)
}

// Closest returns the existing name that was probably meant: one that differs in at most a third of
// the letters (two in short names), or else one that contains the name. Equally close names are
// taken in alphabetical order.
func Closest(name string, existing []string) (string, bool) {
	wanted := strings.ToLower(name)
	best, distance := "", max(2, len(wanted)/3)+1
	part := ""
	for _, candidate := range slices.Sorted(slices.Values(existing)) {
		lower := strings.ToLower(candidate)
		if d := levenshtein.Distance(wanted, lower, nil); d < min(distance, len(lower)) {
			best, distance = candidate, d
		}
		if part == "" && len(wanted) >= shortestPart && strings.Contains(lower, wanted) {
			part = candidate
		}
	}
	if best == "" {
		best = part
	}
	return best, best != ""
}
