package network

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// TestWorkedExample: what docs/network.md shows is what is planned.
func TestWorkedExample(t *testing.T) {
	text, err := os.ReadFile("../../docs/network.md")
	if err != nil {
		t.Fatal(err)
	}
	v := vpcOf(t, []string{"10.0.0.0/20"}, []string{"10.64.0.0/12"}, []string{"10.128.0.0/14"}, "10.64.0.0/16")
	for i, ask := range []v1alpha1.ClusterNetwork{
		{}, {Nodes: 60, PodsPerNode: 30}, {Nodes: 200}, {Nodes: 3, Services: 200}, {Nodes: 60, ServiceCIDR: "10.128.64.0/18"},
	} {
		ranges, problem := v.Plan(ask)
		if problem != nil {
			t.Fatal(problem)
		}
		if err := v.Take(fmt.Sprint(i), ranges); err != nil {
			t.Fatal(err)
		}
		if row := fmt.Sprintf("| %s | %s | %s |", ranges.Nodes, ranges.Pods, ranges.Services); !strings.Contains(string(text), row) {
			t.Errorf("docs/network.md does not show %s", row)
		}
	}
	if says := fmt.Sprintf("%d more clusters that ask for nothing special", v.Fits(v1alpha1.ClusterNetwork{}, 1000)); !strings.Contains(string(text), says) {
		t.Errorf("docs/network.md does not say %q", says)
	}
	if _, problem := v.Plan(v1alpha1.ClusterNetwork{Nodes: 3000, PodsPerNode: 8}); problem == nil || !strings.Contains(strings.Join(strings.Fields(string(text)), " "), problem.Message) {
		t.Errorf("docs/network.md does not show %+v", problem)
	}
}
