// Package sampling is a cell of many guests of which nothing is real but what an agent reads of their load:
// recorded pages of real control planes, served by one process on the addresses of all guests' components,
// and sampled by another with the agent's own Sampler.
package sampling

import (
	"fmt"
	"path/filepath"
	"strconv"

	"k8s.io/utils/clock"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/agent/identity"
	"github.com/myriad-fleet/myriad/internal/agent/orders"
	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/runtime"
)

// Guests of the cell, each with three API servers and three members of etcd. Their components have the
// addresses 127.88.<n>.1 to .10.
const Guests = 100

// cell is what both processes know of it, from a directory.
type cell struct {
	*identity.Store
	dir string
}

// Make writes a cell into a directory: the identities of its guests.
func Make(dir string) error {
	c := open(dir)
	for _, id := range c.IDs() {
		if _, err := c.Create(id); err != nil {
			return fmt.Errorf("make a cell in %s: %w", dir, err)
		}
	}
	return nil
}

func open(dir string) *cell {
	return &cell{Store: identity.NewStore(filepath.Join(dir, "identities"), clock.RealClock{}), dir: dir}
}

// IDs of the guests.
func (c *cell) IDs() []string {
	var ids []string
	for n := range Guests {
		ids = append(ids, fmt.Sprintf("guest%05d", n))
	}
	return ids
}

// Get the order of a guest.
func (c *cell) Get(id string) orders.Order {
	return orders.Order{Spec: &v1alpha1.ControlPlaneSpec{
		ID: id, Epoch: 1, Availability: v1alpha1.Zonal, Zones: []string{"a", "b", "c"},
	}}
}

// ControlPlane of a hub that knows of no load.
func (c *cell) ControlPlane(string) (*v1alpha1.ControlPlane, bool) { return nil, true }

// hosts are the addresses of a guest's components.
func (c *cell) hosts(id string) map[string]string {
	n, err := strconv.Atoi(id[len("guest"):])
	if err != nil {
		return nil
	}
	hosts := map[string]string{}
	for i, instance := range controlplane.Instances(c.Get(id).Spec, controlplane.Guest) {
		hosts[instance.Name] = fmt.Sprintf("127.88.%d.%d", n, i+1)
	}
	return hosts
}

// observation of a guest, all of whose components run as a process.
func (c *cell) observation(id string, pid int) runtime.Observation {
	seen := runtime.Observation{Exists: true}
	for _, instance := range controlplane.Instances(c.Get(id).Spec, controlplane.Guest) {
		seen.Components = append(seen.Components, runtime.Component{Name: instance.Name, State: runtime.Running, Ready: true, PID: pid})
	}
	return seen
}

// pages are what is served for a kind of component, and on which port.
var pages = map[controlplane.Kind]struct {
	authority controlplane.Authority
	port      int
	files     []string // the first answer, and all others
}{
	controlplane.APIServer: {controlplane.ClusterCA, controlplane.APIServerPort, []string{"kube-apiserver-v1.36.3-1", "kube-apiserver-v1.36.3-2"}},
	controlplane.Etcd:      {controlplane.EtcdCA, controlplane.EtcdMetricsPort, []string{"etcd-v3.6.16-1"}},
}
