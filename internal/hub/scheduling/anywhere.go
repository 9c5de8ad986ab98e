package scheduling

import (
	"context"
	"sync"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/myriad-fleet/myriad/internal/hub/index"
)

// planAnywhere chooses a region for each Cluster that leaves it to placement, and books it there.
//
// It chooses while others go on promising, and then books region by region like any other pass, each Cluster in the
// cell that was chosen for it: what has been taken meanwhile is chosen anew by the next pass. A pass that held all
// regions while it wrote kept every other Cluster of the fleet waiting for seconds (docs/scale.md).
func (r *reconciler) planAnywhere(ctx context.Context, p *pass) error {
	s, err := r.read(ctx, p, p.regions)
	if err != nil {
		return err
	}
	chosen := map[string][]decision{}
	for _, cluster := range r.waiting(p, s) {
		d := s.decide(cluster)
		if d.booking == nil {
			p.decisions = append(p.decisions, d)
			continue
		}
		chosen[d.booking.Region] = append(chosen[d.booking.Region], d)
	}
	for _, region := range s.unbooked { // in memory only: it is written there
		if _, known := chosen[region]; !known {
			chosen[region] = nil
		}
	}
	p.lookAgain(s.books.Next())
	var (
		mu  sync.Mutex // of p
		all errgroup.Group
	)
	for region, choices := range chosen {
		all.Go(func() error {
			booked, err := r.book(ctx, p, region, choices)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case apierrors.IsConflict(err): // the other regions' Clusters are bound all the same
				p.again = staleRetry
				return nil
			case err != nil:
				return err
			case len(booked) < len(choices):
				p.again = staleRetry
			}
			p.decisions = append(p.decisions, booked...)
			return nil
		})
	}
	return all.Wait()
}

// book in a region what was chosen there, and return what is booked.
func (r *reconciler) book(ctx context.Context, p *pass, region string, choices []decision) ([]decision, error) {
	defer r.store.Lock(region)()
	s, err := r.read(ctx, p, []string{region})
	if err != nil {
		return nil, err
	}
	s.dropUnfitOfAnywhere()
	var booked []decision
	for _, choice := range choices {
		if d := s.confirm(choice); d.booking != nil {
			booked = append(booked, d)
		}
	}
	return booked, r.store.Write(ctx, s.books)
}

// dropUnfitOfAnywhere drops what is booked in the regions of the snapshot for Clusters that leave the region to placement
// and may not have it any more. The pass that places them may not even look at these regions.
func (s *snapshot) dropUnfitOfAnywhere() {
	for _, cluster := range s.waiting(index.AnyRegion) {
		s.dropUnfit(cluster)
	}
}

// confirm a choice: the same again, on what is known of its region now. It has no booking when the cell that was
// chosen cannot take the Cluster any more.
func (s *snapshot) confirm(choice decision) decision {
	pinned := choice.cluster.DeepCopy()
	pinned.Spec.Region, pinned.Spec.Cell = choice.booking.Region, choice.booking.Cell
	d := s.decide(pinned)
	d.cluster, d.rejected = choice.cluster, choice.rejected
	if d.evidence != nil && choice.evidence != nil { // which has the cells of all regions
		evidence := *choice.evidence
		evidence.Zones = d.booking.Zones
		d.evidence = &evidence
	}
	return d
}
