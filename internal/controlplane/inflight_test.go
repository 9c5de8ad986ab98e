package controlplane

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// TestRenderHubInFlight: a hub lets in what its order says, or what a large cluster's API server does.
func TestRenderHubInFlight(t *testing.T) {
	tuned := input(v1alpha1.Single, Hub, TuningRevision)
	plain := input(v1alpha1.Single, Hub, TuningRevision)
	plain.Order.Tuning = nil
	early := input(v1alpha1.Single, Hub, TuningRevision-1)
	for name, tc := range map[string]struct {
		reason string
		in     Input
		want   []string
	}{
		"Tuned": {"its machine is smaller than that", tuned, []string{"--max-requests-inflight=150", "--max-mutating-requests-inflight=50"}},
		"Plain": {"nothing is known of its machine", plain, []string{"--max-requests-inflight=1500", "--max-mutating-requests-inflight=500"}},
		"Early": {"the revision knows no tuning", early, []string{"--max-requests-inflight=1500", "--max-mutating-requests-inflight=500"}},
	} {
		t.Run(name, func(t *testing.T) {
			manifest, err := Render(tc.in)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, component := range manifest.Components {
				for _, arg := range component.Args {
					if strings.Contains(arg, "-inflight=") {
						got = append(got, arg)
					}
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}
