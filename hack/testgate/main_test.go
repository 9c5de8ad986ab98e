package main

import (
	"strings"
	"testing"
)

func TestCheck(t *testing.T) {
	const pass = `{"Action":"pass","Package":"p","Test":"TestA"}` + "\n"
	tests := []struct {
		name, reason string
		events       string
		allowed      map[string]bool
		want         string // part of the error; empty: none
	}{{
		name:   "passes",
		reason: "tests that pass, and packages without tests, are fine",
		events: pass + `{"Action":"skip","Package":"q"}`,
	}, {
		name:   "skips",
		reason: "a skip is named, for nobody reads the output of a run that passed",
		events: pass + `{"Action":"skip","Package":"p","Test":"TestB/case"}`,
		want:   "p TestB/case",
	}, {
		name:    "skips as expected",
		reason:  "the list is what makes a skip acceptable",
		events:  pass + `{"Action":"skip","Package":"p","Test":"TestB"}`,
		allowed: map[string]bool{"p TestB": true},
	}, {
		name:   "runs nothing",
		reason: "a suite whose packages were renamed must not pass for ever",
		events: `{"Action":"pass","Package":"p"}`,
		want:   "no test passed",
	}, {
		name:   "is cut off",
		reason: "half a stream means that the run did not end as it should",
		events: pass + `{"Action":`,
		want:   "read test events",
	}}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := check(strings.NewReader(test.events), test.allowed)
			switch {
			case test.want == "" && err != nil:
				t.Errorf("%s: unexpected error: %v", test.reason, err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("%s: got error %v, want one with %q", test.reason, err, test.want)
			}
		})
	}
}

func TestParseExpected(t *testing.T) {
	allowed, err := parseExpected(strings.NewReader("# comment\n\np TestA needs a printer\n"))
	if err != nil || !allowed["p TestA"] || len(allowed) != 1 {
		t.Errorf("parsed %v, %v; want only p TestA", allowed, err)
	}
	if _, err := parseExpected(strings.NewReader("p TestA\n")); err == nil {
		t.Error("a line without a reason was accepted")
	}
}
