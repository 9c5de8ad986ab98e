package cli

import (
	"fmt"
	"strconv"
	"strings"
)

// othersShown of a VPC in the explanation of one cluster.
const othersShown = 12

// vpc writes all of a VPC as text.
func (d *description) vpc(x *vpcExplanation) {
	tenants := "all"
	if len(x.Tenants) > 0 {
		tenants = strings.Join(x.Tenants, ", ")
	}
	d.fields([][2]string{
		{"Region", x.Region},
		{"VPC", x.VPC},
		{"Tenants", tenants},
		{"Guests", strconv.Itoa(x.Guests)},
		{"Fits", fmt.Sprintf("%d more that ask for nothing special", x.Fits)},
	})
	for _, text := range append(x.Problems, x.Warnings...) {
		d.fields([][2]string{{"Warning", text}})
	}
	var kinds, free [][]string
	for _, kind := range x.Kinds {
		may := kind.Total - kind.Reserved
		kinds = append(kinds, []string{
			string(kind.Kind), strings.Join(kind.Pools, ","), strconv.FormatInt(kind.Total, 10), strconv.FormatInt(kind.Reserved, 10),
			fmt.Sprintf("%d (%s)", kind.Taken, percentText(float64(kind.Taken), float64(may))), strconv.FormatInt(kind.Free, 10), strconv.FormatInt(kind.Fits, 10),
		})
		for _, block := range kind.FreeBlocks {
			free = append(free, []string{string(kind.Kind), block})
		}
	}
	d.section("Pools", []string{"KIND", "POOLS", "ADDRESSES", "CELLS' OWN", "TAKEN", "FREE", "FITS ALONE"}, kinds)
	d.section("Ranges", []string{"RANGE", "KIND", "ADDRESSES", "CLUSTER", "ID"}, rangeRows(x.Ranges))
	d.section("Free blocks", []string{"KIND", "BLOCK"}, free)
}

func rangeRows(ranges []networkRange) [][]string {
	var rows [][]string
	for _, r := range ranges {
		rows = append(rows, []string{r.CIDR, string(r.Kind), strconv.FormatInt(r.Addresses, 10), r.Cluster, r.ID})
	}
	return rows
}

// clusterNetwork writes why a cluster has its ranges as text.
func (d *description) clusterNetwork(x *clusterNetwork) {
	fields := [][2]string{{"Cluster", x.Cluster}, {"ID", x.ID}, {"Region", x.Region}, {"Cell", x.Cell}}
	if x.VPC != "" {
		fields = append(fields, [2]string{"VPC", fmt.Sprintf("%s, with %d guests", x.VPC, x.Guests)},
			[2]string{"Asked for", fmt.Sprintf("%d nodes, %d pods per node, %d Services", x.Nodes, x.PodsPerNode, x.Services)})
	}
	d.fields(fields)
	for _, note := range x.Notes {
		d.fields([][2]string{{"Note", note}})
	}
	var rows, zones [][]string
	for _, r := range x.Ranges {
		how := "planned"
		if r.Written {
			how = "written"
		}
		rows = append(rows, []string{string(r.Kind), r.CIDR, strconv.FormatInt(r.Addresses, 10), how, r.Because})
	}
	d.section("Ranges", []string{"KIND", "RANGE", "ADDRESSES", "HOW", "ASKED FOR"}, rows)
	for _, zone := range x.Interfaces {
		budget := "not counted"
		if zone.Budget > 0 {
			budget = strconv.FormatInt(zone.Budget, 10)
		}
		zones = append(zones, []string{
			zone.Zone, strconv.FormatInt(zone.Guests, 10), strconv.FormatInt(zone.VPC, 10), strconv.FormatInt(zone.All, 10), budget,
		})
	}
	d.section("Interfaces of the cell's zones", []string{"ZONE", "GUESTS OF THE VPC", "INTERFACES", "OF ALL VPCS", "OF AT MOST"}, zones)
	d.section("Others in the VPC", []string{"RANGE", "KIND", "ADDRESSES", "CLUSTER", "ID"}, rangeRows(x.Others[:min(len(x.Others), othersShown)]))
	if more := len(x.Others) - othersShown; more > 0 && d.err == nil {
		_, d.err = fmt.Fprintf(d.out, "  and %d more: myriad network explain %s/%s\n", more, x.Region, x.VPC)
	}
}
