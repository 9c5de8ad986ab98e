package e2e

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// TestHubRestoredFromSnapshot: the hub's database goes back to a time before half of the guests were
// made. No guest stops, those are reported as orphans, and one command adopts them. It runs by itself: beside
// another fleet under load a request took 2 s once in 3,226.
func TestHubRestoredFromSnapshot(t *testing.T) {
	s := ownFleet(t)
	s.mustUp(t, "--no-hello")
	half, regions := 5, []string{"eu-frankfurt", "cn-hangzhou"}
	if s.lab != nil {
		half, regions = 2, regions[:1]
	}
	known := s.createSome(t, "known", half, regions)
	database := s.hubDatabase(t)
	database.save(t)
	forgotten := s.createSome(t, "forgotten", half, regions)
	before := map[*guest]map[string]string{}
	for _, g := range append(known, forgotten...) {
		before[g] = g.instances(t)
	}
	run := forgotten[0].patientLoad(t, 401)
	quiet(t, run)

	run.Mark("restore")
	database.restore(t)
	s.mustUp(t, "--no-hello")
	eventually(t, healBudget, fmt.Sprintf("%d orphans", half), func(ctx context.Context) (string, bool) {
		orphans := s.orphans(ctx)
		return fmt.Sprint(orphans), len(orphans) == half
	})
	for _, g := range forgotten {
		if s.orphans(t.Context())[g.id] != g.cell {
			t.Errorf("guest %s of cell %s is no orphan of it: %v", g.id, g.cell, s.orphans(t.Context()))
		}
	}
	run.Mark("adopt")
	s.run(t, "cell", "adopt", "--all")
	for _, g := range append(known, forgotten...) {
		s.run(t, "cluster", "wait", g.name)
		if adopted := s.guest(t, "default", g.name); adopted.id != g.id || adopted.cell != g.cell {
			t.Errorf("cluster %s was guest %s in %s and is %s in %s now", g.name, g.id, g.cell, adopted.id, adopted.cell)
		}
	}
	if orphans := s.orphans(t.Context()); len(orphans) > 0 {
		eventually(t, healBudget, "no orphans", func(ctx context.Context) (string, bool) {
			return fmt.Sprint(s.orphans(ctx)), len(s.orphans(ctx)) == 0
		})
	}
	quiet(t, run)
	if err := stop(t, run).Flawless(); err != nil {
		t.Error(err)
	}
	for g, instances := range before {
		g.sameInstances(t, instances, "the restore of the hub")
	}

	// What was adopted is the hub's again: it can be deleted.
	s.run(t, "cluster", "delete", forgotten[0].name)
	forgotten[0].gone(t)
}

func (s *suite) createSome(t *testing.T, prefix string, count int, regions []string) []*guest {
	t.Helper()
	var names []string
	for i := range count {
		names = append(names, fmt.Sprintf("%s-%d", prefix, i))
		s.run(t, "cluster", "create", names[i], "--region", regions[i%len(regions)])
	}
	s.run(t, append([]string{"cluster", "wait"}, names...)...)
	var guests []*guest
	for _, name := range names {
		guests = append(guests, s.guest(t, "default", name))
	}
	return guests
}

// orphans by id, with the cell that reports them.
func (s *suite) orphans(ctx context.Context) map[string]string {
	var cells v1alpha1.CellList
	if err := s.hub.List(ctx, &cells, &client.ListOptions{}); err != nil {
		return map[string]string{"error": err.Error()}
	}
	orphans := map[string]string{}
	for _, cell := range cells.Items {
		for _, orphan := range cell.Status.Orphans {
			orphans[orphan.ID] = cell.Name
		}
	}
	return orphans
}

// database is the hub's etcd.
type database struct {
	*suite
	directory, host, snapshot string
}

func (s *suite) hubDatabase(t *testing.T) *database {
	t.Helper()
	network := s.network(t).Addr().As4()
	network[3] = 2 // the address of the hub's etcd
	return &database{
		suite:     s,
		directory: filepath.Join(s.Home, "platform", "guests", "hub", "etcd-hub"),
		host:      netip.AddrFrom4(network).String(),
		snapshot:  filepath.Join(t.TempDir(), "hub.db"),
	}
}

// save takes a snapshot, as a nightly backup would.
func (d *database) save(t *testing.T) {
	t.Helper()
	config := filepath.Join(d.directory, "config")
	d.tool(t, "etcdctl", "snapshot", "save", d.snapshot, "--endpoints", "https://"+d.host+":2379",
		"--cacert", config+"/etcd-ca.crt", "--cert", config+"/probe.crt", "--key", config+"/probe.key")
}

// restore stops the hub, and nothing else, and puts the snapshot in the place of its database.
func (d *database) restore(t *testing.T) {
	t.Helper()
	supervisor, err := d.Supervisor()
	if err != nil {
		t.Fatal(err)
	}
	if err := supervisor.Kill(); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"platform/controllers/", "platform/hub/"} {
		for instance := range d.pids(t, part) {
			d.killOnly(t, instance)
		}
	}
	eventually(t, healBudget, "the hub to be down", func(context.Context) (string, bool) {
		left := d.pids(t, "platform/hub/")
		return fmt.Sprint(left), len(left) == 0
	})
	data := filepath.Join(d.directory, "data", "etcd")
	if err := os.RemoveAll(data); err != nil {
		t.Fatal(err)
	}
	peer := "https://" + d.host + ":2380"
	d.tool(t, "etcdutl", "snapshot", "restore", d.snapshot, "--data-dir", data, "--name", "etcd-hub",
		"--initial-cluster", "etcd-hub="+peer, "--initial-advertise-peer-urls", peer, "--initial-cluster-token", "hub",
		"--bump-revision", "1000000000", "--mark-compacted")
}

func (d *database) tool(t *testing.T, program string, arguments ...string) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(d.Home, "distro", "etcd", "*", program))
	if err != nil || len(found) == 0 {
		t.Fatalf("find %s below %s: %v", program, d.Home, err)
	}
	if output, err := exec.CommandContext(t.Context(), found[0], arguments...).CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s", program, arguments, err, output)
	}
}
