package scheduling

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/hub/gearbox"
	"github.com/myriad-fleet/myriad/internal/hub/index"
	"github.com/myriad-fleet/myriad/internal/hub/ledger"
	"github.com/myriad-fleet/myriad/internal/hub/order"
	"github.com/myriad-fleet/myriad/internal/hub/resolve"
	"github.com/myriad-fleet/myriad/internal/residency"
)

// snapshot is what one pass sees. Everything in it but the books is shared with the cache: read only.
type snapshot struct {
	catalogue resolve.Catalogue
	fleet     residency.Fleet // without its cells
	cells     []v1alpha1.Cell
	orders    []v1alpha1.ControlPlane
	clusters  []v1alpha1.Cluster
	books     *ledger.Books
	unbooked  []string // regions in which what was booked for a Cluster was dropped
}

// scope of the pass: the region that it is for; or, if it is for Clusters that leave the region to placement, those
// that the residency of any of them allows.
func (r *reconciler) scope(ctx context.Context, p *pass) error {
	catalogue, err := r.readCatalogue(ctx)
	if err != nil {
		return err
	}
	p.catalogue = catalogue
	var anywhere v1alpha1.ClusterList
	if err := r.client.List(ctx, &anywhere, client.MatchingFields{index.Region: index.AnyRegion}, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("list Clusters that leave the region open: %w", err)
	}
	p.anywhere = anywhere.Items
	if p.name != index.AnyRegion {
		p.regions = []string{p.name}
		return nil
	}
	for i := range catalogue.Regions {
		place := residency.PlaceOf(&catalogue.Regions[i])
		if slices.ContainsFunc(p.anywhere, func(c v1alpha1.Cluster) bool {
			return isWaiting(&c) && residency.Violation(c.Spec.Residency, place) == ""
		}) {
			p.regions = append(p.regions, place.Region)
		}
	}
	return nil
}

// read what there is in regions of the pass, and who waits.
func (r *reconciler) read(ctx context.Context, p *pass, regions []string) (*snapshot, error) {
	s := &snapshot{catalogue: p.catalogue, fleet: residency.NewFleet(p.catalogue.Regions, nil), clusters: slices.Clone(p.anywhere)}
	var scope []v1alpha1.Region
	for _, region := range p.catalogue.Regions {
		if slices.Contains(regions, region.Name) {
			scope = append(scope, region)
		}
	}
	for _, region := range regions {
		if err := r.readRegion(ctx, region, s); err != nil {
			return nil, err
		}
	}
	ledgers, err := r.store.Read(ctx, ledger.Names(scope, s.cells))
	if err != nil {
		return nil, err
	}
	s.books = ledger.Count(ledger.Source{
		Now: r.clock.Now(), Regions: scope, Cells: s.cells, Orders: s.orders, Clusters: s.clusters, Catalogue: s.catalogue, Ledgers: ledgers, Stood: r.store.Stood,
	})
	return s, nil
}

func (r *reconciler) readRegion(ctx context.Context, region string, s *snapshot) error {
	var (
		cells    v1alpha1.CellList
		orders   v1alpha1.ControlPlaneList
		clusters v1alpha1.ClusterList
	)
	for _, list := range []client.ObjectList{&cells, &orders, &clusters} {
		if err := r.client.List(ctx, list, client.MatchingFields{index.Region: region}, client.UnsafeDisableDeepCopy); err != nil {
			return fmt.Errorf("list %T of region %s: %w", list, region, err)
		}
	}
	s.cells, s.orders, s.clusters = append(s.cells, cells.Items...), append(s.orders, orders.Items...), append(s.clusters, clusters.Items...)
	return nil
}

// readCatalogue of what the fleet offers.
func (r *reconciler) readCatalogue(ctx context.Context) (resolve.Catalogue, error) {
	var (
		regions   v1alpha1.RegionList
		templates v1alpha1.ClusterTemplateList
		releases  v1alpha1.ReleaseList
	)
	for _, list := range []client.ObjectList{&regions, &templates, &releases} {
		if err := r.client.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
			return resolve.Catalogue{}, fmt.Errorf("list %T: %w", list, err)
		}
	}
	box, err := gearbox.InForce(ctx, r.client, r.live)
	if err != nil {
		return resolve.Catalogue{}, err
	}
	return resolve.Catalogue{Regions: regions.Items, Templates: templates.Items, Releases: releases.Items, Gearbox: box.Spec()}, nil
}

// waiting Clusters of the pass: those that ask for its region; or, if it is for any region, those that ask for
// none.
func (s *snapshot) waiting(name string) []*v1alpha1.Cluster {
	var waiting []*v1alpha1.Cluster
	for i := range s.clusters {
		if cluster := &s.clusters[i]; isWaiting(cluster) && cmp.Or(order.RegionOf(cluster), index.AnyRegion) == name {
			waiting = append(waiting, cluster)
		}
	}
	return waiting
}
