package local

import (
	"net/netip"
	"testing"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/gear"
)

// TestTopologyComputesGears: the Gearbox of the default fleet can be accepted, comes before the templates that
// need it, and their bounds are gears of it.
func TestTopologyComputesGears(t *testing.T) {
	var box *v1alpha1.Gearbox
	found := false
	for _, object := range topology(netip.MustParsePrefix("127.9.0.0/16"), nil, []string{"v1.36.3"}, "v3.6.16") {
		switch o := object.(type) {
		case *v1alpha1.Gearbox:
			box = o
		case *v1alpha1.ClusterTemplate:
			found = true
			if box == nil {
				t.Fatalf("template %s comes before the Gearbox", o.Name)
			}
			bounds, problem := gear.Merge(box.Spec, nil, o.Spec.Gears)
			if problem != "" {
				t.Errorf("template %s: %s", o.Name, problem)
			}
			if first, ok := gear.Initial(box.Spec, bounds); !ok || first.Name != o.Spec.Size.Gear {
				t.Errorf("template %s begins in %s, and has the size of %s where no gears are computed", o.Name, first.Name, o.Spec.Size.Gear)
			}
		}
	}
	if !found {
		t.Fatal("there is no template")
	}
	if problems := gear.Check(box.Spec); len(problems) > 0 {
		t.Errorf("the default Gearbox: %v", problems)
	}
}
