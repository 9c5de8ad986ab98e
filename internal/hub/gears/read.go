package gears

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/gear"
	"github.com/myriad-fleet/myriad/internal/hub/gearbox"
	"github.com/myriad-fleet/myriad/internal/hub/index"
	"github.com/myriad-fleet/myriad/internal/hub/ledger"
	"github.com/myriad-fleet/myriad/internal/hub/resolve"
)

// read the cell and its guests. What is read is shared with the cache: it is copied before it is written.
func (r *reconciler) read(ctx context.Context, name string, p *pass) error {
	var cell v1alpha1.Cell
	if err := r.client.Get(ctx, client.ObjectKey{Name: name}, &cell); apierrors.IsNotFound(err) {
		return nil
	} else if err != nil {
		return fmt.Errorf("read the Cell: %w", err)
	}
	box, err := gearbox.InForce(ctx, r.client, r.live)
	if err != nil {
		return err
	}
	p.cell, p.box = &cell, box
	if box == nil {
		return nil
	}
	templates, err := r.templates(ctx)
	if err != nil {
		return err
	}
	orders, clusters, err := r.inhabitants(ctx, name)
	if err != nil {
		return err
	}
	p.templates = map[string]*v1alpha1.ClusterTemplate{}
	for i := range templates {
		p.templates[templates[i].Name] = &templates[i]
	}
	p.guests = p.match(orders, clusters)
	for _, g := range p.guests {
		g.stale = r.written.Stale(g.cluster)
	}
	return nil
}

func (r *reconciler) templates(ctx context.Context) ([]v1alpha1.ClusterTemplate, error) {
	var templates v1alpha1.ClusterTemplateList
	if err := r.client.List(ctx, &templates, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("list ClusterTemplates: %w", err)
	}
	return templates.Items, nil
}

// inhabitants of a cell: its orders, and the Clusters that are bound to it.
func (r *reconciler) inhabitants(ctx context.Context, cell string) ([]v1alpha1.ControlPlane, []v1alpha1.Cluster, error) {
	var (
		orders   v1alpha1.ControlPlaneList
		clusters v1alpha1.ClusterList
	)
	if err := r.client.List(ctx, &orders, client.InNamespace(v1alpha1.CellNamespace(cell)), client.UnsafeDisableDeepCopy); err != nil {
		return nil, nil, fmt.Errorf("list orders: %w", err)
	}
	if err := r.client.List(ctx, &clusters, client.MatchingFields{index.Cell: cell}, client.UnsafeDisableDeepCopy); err != nil {
		return nil, nil, fmt.Errorf("list Clusters: %w", err)
	}
	return orders.Items, clusters.Items, nil
}

// match orders to their Clusters, and leave out what is not to be shifted, or whose template is gone: nobody
// knows what it would allow. Guests of render revisions from before there were gears keep what they have until
// a rollout moves them: new code alone changes nothing that runs.
func (p *pass) match(orders []v1alpha1.ControlPlane, clusters []v1alpha1.Cluster) []*guest {
	byName := map[types.NamespacedName]*v1alpha1.Cluster{}
	for i := range clusters {
		byName[client.ObjectKeyFromObject(&clusters[i])] = &clusters[i]
	}
	var guests []*guest
	for i := range orders {
		o := &orders[i]
		cluster := byName[types.NamespacedName{Namespace: o.Spec.Cluster.Namespace, Name: o.Spec.Cluster.Name}]
		if cluster == nil || p.templates[cluster.Spec.Template] == nil || !isLive(o) || o.Spec.RenderRevision < controlplane.TuningRevision || !cluster.DeletionTimestamp.IsZero() || cluster.Labels[v1alpha1.LabelID] != o.Name {
			continue
		}
		guests = append(guests, p.newGuest(o, cluster))
	}
	return guests
}

// isLive tells a guest's live copy from a frozen one, and from one that is being removed.
func isLive(order *v1alpha1.ControlPlane) bool {
	return order.Spec.Tombstone == nil && order.Spec.SupersededBy == 0 && order.DeletionTimestamp.IsZero()
}

// newGuest with its bounds. Bounds that name no gear change nothing: those that the Cluster had when its
// order was last written stay in force.
func (p *pass) newGuest(order *v1alpha1.ControlPlane, cluster *v1alpha1.Cluster) *guest {
	g := &guest{order: order, cluster: cluster, healthy: isHealthy(order)}
	template := p.templates[cluster.Spec.Template]
	if template.Spec.Gears == nil {
		return g
	}
	g.geared = true
	g.bounds, g.problem = gear.Merge(*p.box.Spec(), cluster.Spec.Gears, template.Spec.Gears)
	if g.problem != "" {
		g.bounds, _ = gear.Merge(*p.box.Spec(), order.Spec.Cluster.Spec.Gears, template.Spec.Gears)
	}
	return g
}

// count the room of the cell, and hold the bookings of its region until release.
func (r *reconciler) count(ctx context.Context, p *pass) (counted *ledger.Books, release func(), err error) {
	release = r.store.Lock(p.cell.Spec.Region)
	orders, clusters, err := r.inhabitants(ctx, p.cell.Name)
	if err != nil {
		return nil, release, err
	}
	catalogue, err := r.catalogue(ctx, p)
	if err != nil {
		return nil, release, err
	}
	cells := []v1alpha1.Cell{*p.cell}
	ledgers, err := r.store.Read(ctx, ledger.Names(nil, cells))
	if err != nil {
		return nil, release, err
	}
	return ledger.Count(ledger.Source{
		Now: p.now, Regions: regionsOf(catalogue, p.cell), Cells: cells, Orders: orders, Clusters: clusters, Catalogue: catalogue, Ledgers: ledgers, Bound: true,
	}), release, nil
}

// regionsOf a cell: its own, if it is still there.
func regionsOf(catalogue resolve.Catalogue, cell *v1alpha1.Cell) []v1alpha1.Region {
	for i := range catalogue.Regions {
		if catalogue.Regions[i].Name == cell.Spec.Region {
			return catalogue.Regions[i : i+1]
		}
	}
	return nil
}

// catalogue that a Cluster is resolved by whose order is not written yet.
func (r *reconciler) catalogue(ctx context.Context, p *pass) (resolve.Catalogue, error) {
	var (
		regions  v1alpha1.RegionList
		releases v1alpha1.ReleaseList
	)
	for _, list := range []client.ObjectList{&regions, &releases} {
		if err := r.client.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
			return resolve.Catalogue{}, fmt.Errorf("list %T: %w", list, err)
		}
	}
	templates, err := r.templates(ctx)
	return resolve.Catalogue{Regions: regions.Items, Templates: templates, Releases: releases.Items, Gearbox: p.box.Spec()}, err
}
