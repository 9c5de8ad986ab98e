package local

import "testing"

// TestHubInFlight: the hub's API server lets in what its machine can work on.
func TestHubInFlight(t *testing.T) {
	for _, test := range []struct {
		name          string
		threads       int
		reads, writes int32
	}{
		{"one thread", 1, 75, 25},
		{"the machine of FACTS", 2, 150, 50},
		{"upstream's values for a large cluster", 20, 1500, 500},
		{"no more than those", 128, 1500, 500},
	} {
		t.Run(test.name, func(t *testing.T) {
			tuning := hubTuning(test.threads)
			if tuning.MaxRequestsInFlight != test.reads || tuning.MaxMutatingRequestsInFlight != test.writes {
				t.Errorf("%d reads and %d writes in flight; want %d and %d",
					tuning.MaxRequestsInFlight, tuning.MaxMutatingRequestsInFlight, test.reads, test.writes)
			}
		})
	}
}
