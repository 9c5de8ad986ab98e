package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"filippo.io/age"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/pki"
	"github.com/myriad-fleet/myriad/test/fleet"
	"github.com/myriad-fleet/myriad/test/scale/fleetplan"
	"github.com/myriad-fleet/myriad/test/scale/witness"
)

const (
	// upPatience is for a hub that comes up, patience for anything else that should take seconds.
	upPatience, patience = 5 * time.Minute, 3 * time.Minute
	// poll is the pause between two looks at something that is waited for.
	poll = 200 * time.Millisecond
	// zoneMilliCPU and zoneMemory of each zone of a cell: 600 cores and 2.4 TiB, nodes enough for some hundred guests.
	zoneMilliCPU, zoneMemory = 600_000, 2400 << 30
	// slots are the guests that a cell starts at the same time.
	slots = 20
	// firstPort and lastPort of a region's gateways: one for each guest.
	firstPort, lastPort = 20000, 29999
	// user who does what tenants do, through API priority and fairness like all of them.
	user = "scale:user"
	// ownAgents is how many guests the cell should have whose agent is measured alone.
	ownAgents = 250
)

var zones = []string{"a", "b", "c"}

// world is a fleet under measurement.
type world struct {
	options
	fleet   *fleet.Fleet
	plan    fleetplan.Fleet
	config  *rest.Config // as an operator
	hub     client.WithWatch
	scratch string // of the agents: each has a disk of its own in reality, so theirs is memory
	hosts   []*hostProcess
	alone   string // cell whose agent has a process of its own
	witness *witness.Witness
	meter   *meter
	users   *users
	figures *record
	stop    func() // of what runs beside the phases
}

// newWorld brings up the hub and the agents. The world that it returns must be closed, even with an error.
func newWorld(ctx context.Context, o options) (*world, error) {
	plan, err := fleetplan.New(fleetplan.Shape{Clusters: o.clusters, Cells: o.cells, Regions: o.regions, Seed: o.seed})
	if err != nil {
		return nil, err
	}
	w := &world{options: o, plan: plan, stop: func() {}, figures: newRecord(o)}
	if w.fleet, err = fleet.New(); err != nil {
		return nil, err
	}
	if w.scratch, err = os.MkdirTemp(memoryDir(), "myriad-scale-"); err != nil {
		return w, fmt.Errorf("make a directory: %w", err)
	}
	up, cancel := context.WithTimeout(ctx, upPatience)
	defer cancel()
	if _, err := w.fleet.Up(up, "--no-hello"); err != nil {
		return w, err
	}
	if w.config, err = w.fleet.HubConfig(); err != nil {
		return w, err
	}
	if w.hub, err = w.fleet.Hub(); err != nil {
		return w, err
	}
	for _, step := range []func(context.Context) error{w.cordonLocal, w.makeTopology, w.startAgents, w.startWatching} {
		if err := step(ctx); err != nil {
			return w, err
		}
	}
	return w, nil
}

// memoryDir is a directory in memory, if this machine has one.
func memoryDir() string {
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		return "/dev/shm"
	}
	return ""
}

// cordonLocal keeps guests out of the cells that 'myriad up' makes: they would be processes.
func (w *world) cordonLocal(ctx context.Context) error {
	var cells v1alpha1.CellList
	if err := w.hub.List(ctx, &cells); err != nil {
		return fmt.Errorf("list Cells: %w", err)
	}
	for i := range cells.Items {
		before := client.MergeFrom(cells.Items[i].DeepCopy())
		cells.Items[i].Spec.Cordoned = true
		if err := w.hub.Patch(ctx, &cells.Items[i], before); err != nil {
			return fmt.Errorf("cordon Cell %s: %w", cells.Items[i].Name, err)
		}
	}
	return nil
}

// makeTopology writes regions, templates, tenants, a user, and cells.
func (w *world) makeTopology(ctx context.Context) error {
	var standard v1alpha1.ClusterTemplate
	if err := w.hub.Get(ctx, client.ObjectKey{Name: "standard"}, &standard); err != nil {
		return fmt.Errorf("read ClusterTemplate standard: %w", err)
	}
	objects, err := w.regions()
	if err != nil {
		return err
	}
	for _, t := range w.plan.Templates {
		template := &v1alpha1.ClusterTemplate{ObjectMeta: metav1.ObjectMeta{Name: t.Name}, Spec: *standard.Spec.DeepCopy()}
		template.Spec.Kind = t.Kind
		objects = append(objects, template)
	}
	for _, tenant := range w.plan.Tenants {
		objects = append(objects, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: tenant}})
	}
	objects = append(objects, w.rights()...)
	for _, cell := range w.plan.Cells {
		objects = append(objects, &v1alpha1.Cell{ObjectMeta: metav1.ObjectMeta{Name: cell.Name}, Spec: v1alpha1.CellSpec{
			Region: cell.Region, Zones: zones, MaxGuests: int32(cell.Guests), CredentialGeneration: 1,
		}})
	}
	var all errgroup.Group
	all.SetLimit(8)
	for _, object := range objects {
		all.Go(func() error {
			if err := w.hub.Create(ctx, object); client.IgnoreAlreadyExists(err) != nil {
				return fmt.Errorf("create %T %s: %w", object, object.GetName(), err)
			}
			return nil
		})
	}
	return all.Wait()
}

func (w *world) regions() ([]client.Object, error) {
	recipients := map[string]string{} // by area: who could read two areas' escrow would be above both laws
	var objects []client.Object
	for i, region := range w.plan.Regions {
		if recipients[region.Area] == "" {
			key, err := age.GenerateX25519Identity()
			if err != nil {
				return nil, fmt.Errorf("make a recovery key for area %s: %w", region.Area, err)
			}
			recipients[region.Area] = key.Recipient().String()
		}
		objects = append(objects, &v1alpha1.Region{ObjectMeta: metav1.ObjectMeta{Name: region.Name}, Spec: v1alpha1.RegionSpec{
			Area: region.Area, Zones: zones, EscrowRecipient: recipients[region.Area],
			Gateway: v1alpha1.RegionGateway{
				Address: fmt.Sprintf("198.51.100.%d", i+1), Port: 6443, FirstPlainPort: firstPort, LastPlainPort: lastPort, Domain: region.Name + ".example.com",
			},
		}})
	}
	return objects, nil
}

// rights of the user: what a tenant may do with Clusters, in every namespace.
func (w *world) rights() []client.Object {
	name := metav1.ObjectMeta{Name: "scale-user"}
	return []client.Object{
		&rbacv1.ClusterRole{ObjectMeta: name, Rules: []rbacv1.PolicyRule{{
			APIGroups: []string{v1alpha1.GroupVersion.Group}, Resources: []string{"clusters"}, Verbs: []string{"get", "list", "watch", "create", "delete"},
		}}},
		&rbacv1.ClusterRoleBinding{
			ObjectMeta: name, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name.Name},
			Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}},
		},
	}
}

// authority that the hub believes client certificates of.
func (w *world) authority() (*pki.Authority, error) {
	base := filepath.Join(w.fleet.Home, "hub", "identity", "cluster-ca")
	certificate, err := os.ReadFile(base + ".crt")
	if err != nil {
		return nil, fmt.Errorf("read the hub's authority: %w", err)
	}
	key, err := os.ReadFile(base + ".key")
	if err != nil {
		return nil, fmt.Errorf("read the hub's authority: %w", err)
	}
	return pki.ParseAuthority(certificate, key)
}

// close ends the fleet, interrupted or not.
func (w *world) close() error {
	w.stop()
	var failures []error
	for _, host := range w.hosts {
		failures = append(failures, host.end())
	}
	ctx, cancel := context.WithTimeout(context.Background(), upPatience)
	defer cancel()
	failures = append(failures, w.fleet.Remove(ctx))
	if w.scratch != "" {
		failures = append(failures, os.RemoveAll(w.scratch))
	}
	return errors.Join(failures...)
}
