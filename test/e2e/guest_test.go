package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/test/load"
)

// guest is a cluster of a fleet under test.
type guest struct {
	*suite
	ground          ground
	namespace, name string
	cell, id        string
}

// create makes a cluster and waits until it is ready. It is deleted after the test.
func (s *suite) create(t *testing.T, name string, flags ...string) *guest {
	t.Helper()
	return s.createIn(t, "default", name, flags...)
}

func (s *suite) createIn(t *testing.T, namespace, name string, flags ...string) *guest {
	t.Helper()
	s.run(t, append([]string{"-n", namespace, "cluster", "create", name, "--wait"}, flags...)...)
	t.Cleanup(func() { s.deleteCluster(t, namespace, name) })
	return s.guest(t, namespace, name)
}

// deleteCluster deletes a cluster, if there is one, and waits until it is gone.
func (s *suite) deleteCluster(t *testing.T, namespace, name string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), createBudget)
	defer cancel()
	err := s.hub.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &v1alpha1.Cluster{})
	if apierrors.IsNotFound(err) {
		return
	}
	if _, err := s.Run(ctx, "-n", namespace, "cluster", "delete", name); err != nil {
		t.Error(err)
	}
}

// guest finds out where a cluster is.
func (s *suite) guest(t *testing.T, namespace, name string) *guest {
	t.Helper()
	cluster := s.cluster(t, namespace, name)
	if cluster.Status.ID == "" || cluster.Status.Cell == "" {
		t.Fatalf("cluster %s has id %q and cell %q in its status, want both", name, cluster.Status.ID, cluster.Status.Cell)
	}
	cell := cluster.Status.Cell
	return &guest{suite: s, ground: s.groundOf(cell), namespace: namespace, name: name, cell: cell, id: cluster.Status.ID}
}

func (s *suite) cluster(t *testing.T, namespace, name string) *v1alpha1.Cluster {
	t.Helper()
	var cluster v1alpha1.Cluster
	if err := s.hub.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, &cluster); err != nil {
		t.Fatal(err)
	}
	return &cluster
}

// steady is a Zonal guest of the shared fleet for tests that leave it as they found it.
var steady struct {
	once sync.Once
	*guest
}

func steadyGuest(t *testing.T) *guest {
	t.Helper()
	s := sharedFleet(t)
	steady.once.Do(func() {
		key := client.ObjectKey{Namespace: "default", Name: "steady"}
		if err := s.hub.Get(t.Context(), key, &v1alpha1.Cluster{}); apierrors.IsNotFound(err) { // see MYRIAD_E2E_HOME
			s.run(t, "cluster", "create", "steady", "--region", "eu-frankfurt", "--availability", "zonal")
		}
		s.run(t, "cluster", "wait", "steady")
		steady.guest = s.guest(t, "default", "steady")
	})
	if steady.guest == nil {
		t.Fatal("the cluster steady could not be created")
	}
	steady.healthy(t, nil)
	return steady.guest
}

// running instances of the guest's components that do not hang, by component.
func (g *guest) running(t *testing.T) map[string]instance {
	t.Helper()
	// Clean-ups call this too, when the test's own context is over.
	running, err := g.ground.instances(context.WithoutCancel(t.Context()), g)
	if err != nil {
		t.Fatal(err)
	}
	return running
}

// instances is what tells the runs of the guest's components, that do not hang, from the next ones.
func (g *guest) instances(t *testing.T) map[string]string {
	t.Helper()
	ids := map[string]string{}
	for component, run := range g.running(t) {
		ids[component] = run.id
	}
	return ids
}

// sameInstances fails the test when a component of the guest has been restarted since.
func (g *guest) sameInstances(t *testing.T, before map[string]string, what string) {
	t.Helper()
	if diff := cmp.Diff(before, g.instances(t)); diff != "" {
		t.Errorf("%s: instances of cluster %s differ (-before +after):\n%s", what, g.name, diff)
	}
}

// killComponent ends a component of the guest with kill -9 and waits until another instance runs.
func (g *guest) killComponent(t *testing.T, component string) {
	t.Helper()
	old := g.killInstance(t, component)
	eventually(t, healBudget, "a new instance of "+component, func(context.Context) (string, bool) {
		now, found := g.running(t)[component]
		return now.id, found && now.id != old.id
	})
}

// killInstance ends a component of the guest with kill -9.
func (g *guest) killInstance(t *testing.T, component string) instance {
	t.Helper()
	old, found := g.running(t)[component]
	if !found {
		t.Fatalf("%s of cluster %s does not run: it cannot be killed", component, g.name)
	}
	if err := syscall.Kill(old.pid, syscall.SIGKILL); err != nil {
		t.Fatalf("kill -9 of %s, process %d: %v", component, old.pid, err)
	}
	return old
}

// destroy removes the data of a component from under it.
func (g *guest) destroy(t *testing.T, component string) {
	t.Helper()
	directory, err := g.ground.data(t.Context(), g, component)
	if err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(directory)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries { // the directory itself may be a mount
		if err := os.RemoveAll(filepath.Join(directory, entry.Name())); err != nil {
			t.Fatal(err)
		}
	}
}

// anyOf the guest's components of a kind that runs.
func (g *guest) anyOf(t *testing.T, kind string) string {
	t.Helper()
	for _, component := range slices.Sorted(maps.Keys(g.running(t))) {
		if strings.HasPrefix(component, kind+"-") {
			return component
		}
	}
	t.Fatalf("no %s of cluster %s runs", kind, g.name)
	return ""
}

// hold has everything of a zone fail, by "kill" or "hang"; an empty mode ends that.
func (g *guest) hold(t *testing.T, zone, mode string) {
	t.Helper()
	// Clean-ups call this too, when the test's own context is over.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), commandLimit)
	defer cancel()
	if err := g.ground.hold(ctx, g, zone, mode); err != nil {
		t.Fatal(err)
	}
}

// inZone lists the guest's components in a zone that run and do not hang.
func (g *guest) inZone(t *testing.T, zone string) []string {
	t.Helper()
	var components []string
	for component := range g.instances(t) {
		if strings.HasSuffix(component, "-"+zone) {
			components = append(components, component)
		}
	}
	slices.Sort(components)
	return components
}

func (g *guest) controlPlane(ctx context.Context) (*v1alpha1.ControlPlane, error) {
	var plane v1alpha1.ControlPlane
	key := client.ObjectKey{Namespace: v1alpha1.CellNamespace(g.cell), Name: g.id}
	return &plane, g.hub.Get(ctx, key, &plane)
}

// restarts of the guest's components so far, by name.
func (g *guest) restarts(t *testing.T) map[string]int32 {
	t.Helper()
	plane, err := g.controlPlane(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	restarts := map[string]int32{}
	for _, component := range plane.Status.Components {
		restarts[component.Name] = component.Restarts
	}
	return restarts
}

// healthy waits until all components are ready and have been restarted as often as said at least.
func (g *guest) healthy(t *testing.T, restarts map[string]int32) {
	t.Helper()
	eventually(t, healBudget, "every component of cluster "+g.name+" to be ready", func(ctx context.Context) (string, bool) {
		plane, err := g.controlPlane(ctx)
		if err != nil {
			return err.Error(), false
		}
		running, err := g.ground.instances(ctx, g) // what the order says is two seconds behind
		if err != nil {
			return err.Error(), false
		}
		var missing []string
		for _, component := range plane.Status.Components {
			if _, runs := running[component.Name]; !runs || !component.Ready || component.Restarts < restarts[component.Name] {
				missing = append(missing, fmt.Sprintf("%s (ready: %t, restarts: %d, last exit: %s)", component.Name, component.Ready, component.Restarts, component.LastExit))
			}
		}
		ready := meta.IsStatusConditionTrue(plane.Status.Conditions, v1alpha1.ConditionReady)
		return fmt.Sprintf("ready: %t, waiting for %s", ready, strings.Join(missing, ", ")), ready && len(missing) == 0
	})
}

// load puts a steady load on the guest, through its gateway, until the test ends or Stop.
func (g *guest) load(t *testing.T, seed uint64) *load.Run {
	t.Helper()
	options := g.usualLoad()
	options.Seed = seed
	return startLoad(t, g.access(t), options)
}

// patientLoad is load for tests in which no request may fail. There a request fails when its connection
// breaks or nothing answers, not when it waits for two busy cores: how long requests take is for benchmarks.
func (g *guest) patientLoad(t *testing.T, seed uint64) *load.Run {
	t.Helper()
	options := patient(g.usualLoad())
	options.Seed = seed
	return startLoad(t, g.access(t), options)
}

// usualLoad is, in the lab, a third of what it is elsewhere, and patient: three kubelets, three runtimes of
// containers and the cell's control plane share the cores with the guest.
func (g *guest) usualLoad() load.Options {
	if g.lab != nil {
		return patient(load.Options{Rate: 20})
	}
	return load.Options{}
}

func patient(options load.Options) load.Options {
	options.Timeout, options.Ping = 10*time.Second, 3*time.Second
	return options
}

// loadDirect is load without the gateway: on the API server of the guest's first zone.
func (g *guest) loadDirect(t *testing.T, seed uint64) *load.Run {
	t.Helper()
	plane, err := g.controlPlane(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	config, endpoint := g.access(t), plane.Status.Endpoints[0]
	config.Host = "https://" + net.JoinHostPort(endpoint.Address, strconv.Itoa(int(endpoint.Port)))
	return startLoad(t, config, patient(load.Options{Seed: seed}))
}

func (g *guest) access(t *testing.T) *rest.Config {
	t.Helper()
	config, err := g.Guest(t.Context(), g.name, "-n", g.namespace)
	if err != nil {
		t.Fatal(err)
	}
	return config
}

func startLoad(t *testing.T, config *rest.Config, options load.Options) *load.Run {
	t.Helper()
	run, err := load.Start(t.Context(), config, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { run.Stop() })
	return run
}

// quiet waits until the load has had no failed request for 2 s.
func quiet(t *testing.T, run *load.Run) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), healBudget)
	defer cancel()
	if err := run.Settle(ctx, 2*time.Second); err != nil {
		t.Error(err)
	}
}

// stop ends a load and logs what it saw.
func stop(t *testing.T, run *load.Run) load.Report {
	t.Helper()
	report := run.Stop()
	summary := report
	summary.Failures = summary.Failures[:min(10, len(summary.Failures))]
	text, err := json.Marshal(summary)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("load, with its first failures: %s", text)
	if report.Rate < report.Asked*0.4 {
		t.Errorf("only %.0f requests a second were sent; want %.0f, and 40 %% of it under faults: the load proves too little", report.Rate, report.Asked)
	}
	return report
}

// gone fails the test when anything of the guest is left: an order, instances, files. The agent may
// still be about to forget an order that its hub has let go.
func (g *guest) gone(t *testing.T) {
	t.Helper()
	if _, err := g.controlPlane(t.Context()); !apierrors.IsNotFound(err) {
		t.Errorf("the order of deleted cluster %s is left: %v", g.name, err)
	}
	eventually(t, goneBudget, "nothing to be left of deleted cluster "+g.name, func(ctx context.Context) (string, bool) {
		left, err := g.ground.left(ctx, g)
		return fmt.Sprintf("%s, error: %v", strings.Join(left, ", "), err), err == nil && len(left) == 0
	})
}
