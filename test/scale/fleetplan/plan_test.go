package fleetplan

import (
	"reflect"
	"testing"

	"pgregory.net/rapid"
)

// TestTenThousand: the fleet of the budgets.
func TestTenThousand(t *testing.T) {
	fleet, err := New(Shape{Clusters: 10000, Cells: 40, Regions: 20, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	perRegion, perTenant := map[string]int{}, map[string]int{}
	for _, cluster := range fleet.Clusters {
		perRegion[cluster.Region]++
		perTenant[cluster.Namespace]++
	}
	if got := perRegion["region-01"] + perRegion[""]; got < 3000 {
		t.Errorf("the first region has %d clusters, those for anywhere included; want 3,000 or more", got)
	}
	if len(fleet.Cells) != 40 || len(fleet.Regions) != 20 || len(fleet.Tenants) != 500 {
		t.Errorf("%d cells, %d regions, %d tenants", len(fleet.Cells), len(fleet.Regions), len(fleet.Tenants))
	}
	if got := perTenant["tenant-0001"]; got < 2800 || got > 3200 {
		t.Errorf("the largest tenant has %d clusters, want 3,000 or so", got)
	}
	again, err := New(Shape{Clusters: 10000, Cells: 40, Regions: 20, Seed: 1})
	if err != nil || !reflect.DeepEqual(fleet, again) {
		t.Errorf("the same seed gives another fleet (%v)", err)
	}
}

// TestAnyShape: every fleet has what its shape says, and room for it.
func TestAnyShape(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		regions := rapid.IntRange(1, 30).Draw(t, "regions")
		cells := rapid.IntRange(regions, 80).Draw(t, "cells")
		shape := Shape{Regions: regions, Cells: cells, Clusters: rapid.IntRange(cells, 3000).Draw(t, "clusters"), Seed: rapid.Uint64().Draw(t, "seed")}
		fleet, err := New(shape)
		if err != nil {
			t.Fatal(err)
		}
		room, wanted := map[string]int{}, map[string]int{}
		for _, cell := range fleet.Cells {
			room[cell.Region] += cell.Guests
		}
		names := map[string]bool{}
		for _, cluster := range fleet.Clusters {
			wanted[cluster.Region]++
			names[cluster.Name] = true
		}
		if len(fleet.Clusters) != shape.Clusters || len(names) != shape.Clusters || len(fleet.Cells) != shape.Cells || len(room) != shape.Regions {
			t.Fatalf("%+v has %d clusters with %d names, %d cells in %d regions", shape, len(fleet.Clusters), len(names), len(fleet.Cells), len(room))
		}
		delete(wanted, "")
		for region, count := range wanted {
			if room[region] < count {
				t.Fatalf("%s has room for %d guests, and %d ask for it", region, room[region], count)
			}
		}
	})
}

func TestNonsense(t *testing.T) {
	for _, shape := range []Shape{{}, {Clusters: 10, Cells: 2, Regions: 3}, {Clusters: 1, Cells: 2, Regions: 1}} {
		if _, err := New(shape); err == nil {
			t.Errorf("%+v is a shape", shape)
		}
	}
}
