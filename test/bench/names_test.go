package main

import (
	"strings"
	"testing"
)

func TestNames(t *testing.T) {
	tests := []struct {
		reason string
		names  []string
		lab    bool
		words  string
	}{
		{"processes need no lab", []string{"create", "memory"}, false, ""},
		{"those of the lab do", []string{"lab-create", "lab-agent"}, true, ""},
		{"one fleet cannot serve both", []string{"create", "lab-create"}, false, "different fleets"},
		{"there is no such benchmark", []string{"lab-nothing"}, false, "no benchmark"},
	}
	for _, test := range tests {
		err := checkNames(test.names)
		if test.words != "" {
			if err == nil || !strings.Contains(err.Error(), test.words) {
				t.Errorf("%s: want an error that says %q, got %v", test.reason, test.words, err)
			}
			continue
		}
		if inLab, needErr := needLab(test.names); err != nil || needErr != nil || inLab != test.lab {
			t.Errorf("%s: want lab %t, got %t, %v, %v", test.reason, test.lab, inLab, err, needErr)
		}
	}
}
