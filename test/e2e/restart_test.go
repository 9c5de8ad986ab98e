package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/internal/controlplane"
)

// rollBudget is for restarting three zones one after the other.
const rollBudget = 3 * time.Minute

const (
	// connections that the load has, each of which an API server may tell once to go elsewhere.
	connections = 15
	// cutBudget is how many requests of a roll may be in flight while etcd's leadership moves.
	cutBudget = 12
)

// TestDrainedRestart moves a Zonal guest from render revision to render revision under load. Each zone is
// drained before it restarts: through the gateways no request is lost. A request that reaches an API server
// at the very end of its drain is answered with Retry-After, which every client but the load obeys.
func TestDrainedRestart(t *testing.T) {
	g := steadyGuest(t)
	latest := controlplane.LatestRevision()
	t.Cleanup(func() { g.revise(t, latest) })
	steps := []struct {
		name     string
		revision int64
		restarts []string // kinds
	}{
		{"only the API servers change", 3, []string{"kube-apiserver"}},
		// An etcd member takes its zone's API server with it.
		{"only etcd changes", 2, []string{"etcd", "kube-apiserver"}},
		{"both change", latest, []string{"etcd", "kube-apiserver"}},
	}
	run := g.load(t, 401)
	quiet(t, run)
	for _, step := range steps {
		before, restarts := g.instances(t), g.restarts(t)
		run.Mark(step.name)
		started := time.Now()
		g.revise(t, step.revision)
		g.restarted(t, before, step.restarts)
		g.healthy(t, nil)
		t.Logf("%s: all zones restarted after %.1fs", step.name, time.Since(started).Seconds())
		for name, count := range g.restarts(t) {
			// A kubelet counts what gives its Lease up while its API server restarts.
			if count != restarts[name] && (g.lab == nil || isOneOf(name, []string{"etcd", "kube-apiserver"})) {
				t.Errorf("%s: %s has died %d times", step.name, name, count-restarts[name])
			}
		}
		quiet(t, run)
	}
	report := stop(t, run)
	if err := report.Consistent(); err != nil {
		t.Error(err)
	}
	var cut []string
	for _, failure := range report.Failures {
		if !strings.Contains(failure.Error, "shutting down") {
			cut = append(cut, fmt.Sprintf("%s at %.1fs after %.1fs: %s", failure.Verb, failure.AtSeconds, failure.TookSeconds, failure.Error))
		}
	}
	told := report.Failed - len(cut)
	t.Logf("of %d requests %d were told to go elsewhere, %d failed otherwise: %q", report.Requests, told, len(cut), cut)
	if drains := 3 * len(steps); told > connections*drains {
		t.Errorf("%d requests were told to go elsewhere by %d drained API servers, which is more than once for each connection", told, drains)
	}
	if len(cut) > cutBudget {
		t.Errorf("%d requests failed, want at most the %d that are in flight while leadership moves", len(cut), cutBudget)
	}
}

// revise pins the guest to a render revision, as an operator would.
func (g *guest) revise(t *testing.T, revision int64) {
	t.Helper()
	// Clean-ups call this too, when the test's own context is over.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), commandLimit)
	defer cancel()
	plane, err := g.controlPlane(ctx)
	if err != nil {
		t.Fatal(err)
	}
	before := client.MergeFrom(plane.DeepCopy())
	plane.Spec.RenderRevision = revision
	if err := g.hub.Patch(ctx, plane, before); err != nil {
		t.Fatal(err)
	}
}

// restarted waits until there are new instances of all components of some kinds. etcd is left alone if it
// is none of them; controller managers and schedulers may have had to give their Leases up.
func (g *guest) restarted(t *testing.T, before map[string]string, kinds []string) {
	t.Helper()
	eventually(t, rollBudget, fmt.Sprintf("new instances of all components of the kinds %v", kinds), func(context.Context) (string, bool) {
		now := g.instances(t)
		var old []string
		for component, instance := range before {
			if isOneOf(component, kinds) && (now[component] == "" || now[component] == instance) {
				old = append(old, component)
			}
		}
		return "still the old ones, or none: " + strings.Join(old, ", "), len(old) == 0
	})
	for component, instance := range g.instances(t) {
		if isOneOf(component, []string{"etcd"}) && !isOneOf(component, kinds) && instance != before[component] {
			t.Errorf("%s was restarted without a reason", component)
		}
	}
}

// isOneOf tells whether a component is of one of the kinds.
func isOneOf(component string, kinds []string) bool {
	return slices.ContainsFunc(kinds, func(kind string) bool { return strings.HasPrefix(component, kind+"-") })
}
