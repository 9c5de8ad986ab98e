package objects

import (
	"os"
	"strings"
	"testing"
)

// TestSecurityDocument: docs/security.md lists every right of the agent in the cell, and why it has it.
func TestSecurityDocument(t *testing.T) {
	document, err := os.ReadFile("../../../../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range Rules() {
		row := "| `" + strings.Join(rule.Resources, "`, `") + "` | " + strings.Join(rule.Verbs, ", ") + " | " + rule.Why + " |"
		if !strings.Contains(string(document), row) {
			t.Errorf("docs/security.md lacks the row\n%s", row)
		}
	}
}
