package suggest_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/myriad-fleet/myriad/internal/suggest"
)

func TestNotFound(t *testing.T) {
	regions := []string{"eu-frankfurt", "cn-hangzhou"}
	cases := map[string]struct {
		reason   string
		name     string
		existing []string
		want     string
	}{
		"Typo": {
			reason: "one letter is missing: the closest name is offered", name: "cn-hangzou", existing: regions,
			want: "there is no region cn-hangzou; did you mean cn-hangzhou? (existing: cn-hangzhou, eu-frankfurt)",
		},
		"Part": {
			reason: "people leave prefixes out", name: "frankfurt", existing: regions,
			want: "there is no region frankfurt; did you mean eu-frankfurt? (existing: cn-hangzhou, eu-frankfurt)",
		},
		"Case": {
			reason: "capitals are a typo like any other", name: "CN-Hangzhou", existing: regions,
			want: "there is no region CN-Hangzhou; did you mean cn-hangzhou? (existing: cn-hangzhou, eu-frankfurt)",
		},
		"Far": {
			reason: "nothing is close: guessing would mislead", name: "mars", existing: regions,
			want: "there is no region mars (existing: cn-hangzhou, eu-frankfurt)",
		},
		"Short": {
			reason: "every letter of a short name differs: it is another name, not a typo", name: "b", existing: []string{"a", "c"},
			want: "there is no region b (existing: a, c)",
		},
		"None": {
			reason: "an empty fleet is said to be one", name: "mars",
			want: "there is no region mars, and no other either",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := suggest.NotFound("region", tc.name, tc.existing); got != tc.want {
				t.Errorf("%s\n got %q\nwant %q", tc.reason, got, tc.want)
			}
		})
	}
}

func TestAmongIsShort(t *testing.T) {
	many := make([]string, 0, 1000)
	for i := range 1000 {
		many = append(many, "cluster-"+strconv.Itoa(i))
	}
	hint := suggest.Among("zzz", many)
	if len(hint) > 300 || !strings.HasSuffix(hint, "and 988 more)") {
		t.Errorf("a fleet of 1000 clusters must not flood the message: %q", hint)
	}
}
