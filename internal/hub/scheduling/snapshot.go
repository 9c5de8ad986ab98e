package scheduling

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/hub/gearbox"
	"github.com/myriad-fleet/myriad/internal/hub/index"
	"github.com/myriad-fleet/myriad/internal/hub/ledger"
	"github.com/myriad-fleet/myriad/internal/hub/resolve"
)

// snapshot is a region as one pass sees it. Everything in it is shared with the cache: read only.
type snapshot struct {
	catalogue resolve.Catalogue
	cells     []v1alpha1.Cell
	orders    []v1alpha1.ControlPlane
	clusters  []v1alpha1.Cluster
	pending   map[types.UID]ledger.Bind
	ledger    *ledger.Ledger
}

func (r *reconciler) read(ctx context.Context, p *pass) error {
	var (
		regions   v1alpha1.RegionList
		templates v1alpha1.ClusterTemplateList
		releases  v1alpha1.ReleaseList
		cells     v1alpha1.CellList
		orders    v1alpha1.ControlPlaneList
		clusters  v1alpha1.ClusterList
	)
	here := client.MatchingFields{index.Region: p.region}
	for _, read := range []struct {
		list    client.ObjectList
		options []client.ListOption
	}{
		{list: &regions},
		{list: &templates},
		{list: &releases},
		{list: &cells, options: []client.ListOption{here}},
		{list: &orders, options: []client.ListOption{here}},
		{list: &clusters, options: []client.ListOption{here}},
	} {
		if err := r.client.List(ctx, read.list, append(read.options, client.UnsafeDisableDeepCopy)...); err != nil {
			return fmt.Errorf("list %T: %w", read.list, err)
		}
	}
	box, err := gearbox.InForce(ctx, r.client, r.live)
	if err != nil {
		return err
	}
	s := &snapshot{
		catalogue: resolve.Catalogue{Regions: regions.Items, Templates: templates.Items, Releases: releases.Items, Gearbox: box.Spec()},
		cells:     cells.Items,
		orders:    orders.Items,
		clusters:  clusters.Items,
	}
	waiting := map[types.UID]bool{}
	for _, cluster := range s.waiting() {
		waiting[cluster.UID] = true
	}
	s.pending = r.promises.Pending(p.region, func(uid types.UID) bool { return waiting[uid] })
	s.ledger = ledger.Count(p.region, ledger.Source{
		Catalogue: s.catalogue, Cells: s.cells, Orders: s.orders, Clusters: s.clusters, Promises: r.promises,
	})
	p.snapshot = s
	return nil
}

// waiting Clusters of the region.
func (s *snapshot) waiting() []*v1alpha1.Cluster {
	var waiting []*v1alpha1.Cluster
	for i := range s.clusters {
		if isWaiting(&s.clusters[i]) {
			waiting = append(waiting, &s.clusters[i])
		}
	}
	return waiting
}
