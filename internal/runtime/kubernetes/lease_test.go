package kubernetes

import (
	"context"
	"testing"
)

// TestWriting: nothing is written without the right to write, not even by who had it a moment ago.
func TestWriting(t *testing.T) {
	lost, end := context.WithCancel(t.Context())
	end()
	cases := map[string]struct {
		reason string
		held   heldLease
		writes bool
	}{
		"Held": {"the right is there", heldLease{t.Context()}, true},
		"Lost": {"it has ended", heldLease{lost}, false},
		"None": {"another agent has it, or nobody knows yet who", heldLease{}, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			l := &lease{held: tc.held}
			if writes := l.writing(t.Context()).Err() == nil; writes != tc.writes {
				t.Fatalf("%s: the context lets it write: %t", tc.reason, writes)
			}
			ctx, stop := (&Runtime{lease: l}).bounded(t.Context(), deleteTime)
			defer stop()
			if !tc.writes {
				<-ctx.Done()
			} else if ctx.Err() != nil {
				t.Errorf("%s: a bounded call ends at once: %v", tc.reason, ctx.Err())
			}
		})
	}
}
