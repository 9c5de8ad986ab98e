package gear

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// lacking says what a gear has too little of for a demand at a share of its capacity; empty: nothing.
func lacking(gear v1alpha1.Gear, demand Demand, load *v1alpha1.Load, percent int32) string {
	var all []string
	capacity := Capacity(gear)
	if !fits(demand.Total.MilliCPU, capacity.MilliCPU, percent) {
		all = append(all, fmt.Sprintf("CPU demand of %dm is more than %d %% of the %dm of %s", demand.Total.MilliCPU, percent, capacity.MilliCPU, gear.Name))
	}
	if !fits(demand.Total.Memory, capacity.Memory, percent) {
		all = append(all, fmt.Sprintf("memory demand of %s is more than %d %% of the %s of %s", size(demand.Total.Memory), percent, size(capacity.Memory), gear.Name))
	}
	if nodes, _ := metric(load, v1alpha1.LoadNodes); nodes > float64(gear.Limits.Nodes) {
		all = append(all, fmt.Sprintf("%s nodes are more than the %d of %s", number(nodes), gear.Limits.Nodes, gear.Name))
	}
	limit := gear.Limits.DatabaseBytes.Value()
	if database, _ := metric(load, v1alpha1.LoadDatabaseBytes); database > float64(limit) {
		all = append(all, fmt.Sprintf("a database of %s is more than the %s of %s", size(bytes(database)), size(limit), gear.Name))
	}
	return strings.Join(all, ", ")
}

// because says what the demand is, and the largest terms of it.
func (q *question) because() string {
	terms := slices.Clone(q.demand.Terms)
	weight := func(t Term) float64 {
		total := q.demand.Total
		return float64(t.Amount.MilliCPU)/float64(max(1, total.MilliCPU)) + float64(t.Amount.Memory)/float64(max(1, total.Memory))
	}
	slices.SortStableFunc(terms, func(a, b Term) int {
		switch x, y := weight(a), weight(b); {
		case x > y:
			return -1
		case x < y:
			return 1
		}
		return 0
	})
	var largest []string
	for _, t := range terms[:min(3, len(terms))] {
		if t.Amount != (Amount{}) {
			largest = append(largest, fmt.Sprintf("%s %s", number(t.Value), t.Metric))
		}
	}
	message := fmt.Sprintf("demand %dm, %s", q.demand.Total.MilliCPU, size(q.demand.Total.Memory))
	if len(largest) > 0 {
		message += " (" + strings.Join(largest, ", ") + ")"
	}
	return message
}

// number with at most two decimals.
func number(x float64) string {
	return strings.TrimSuffix(strings.TrimRight(strconv.FormatFloat(x, 'f', 2, 64), "0"), ".")
}

// size of memory for people.
func size(n int64) string {
	if n >= 10<<30 {
		return strconv.FormatFloat(float64(n)/(1<<30), 'f', 1, 64) + "Gi"
	}
	return strconv.FormatInt((n+1<<20-1)>>20, 10) + "Mi"
}

func clock(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func lower(kind v1alpha1.GearMoveKind) string { return strings.ToLower(string(kind)) }

func orNone(gear string) string { return or(gear, "none") }

func list(metrics []v1alpha1.LoadMetricName) string {
	all := make([]string, len(metrics))
	for i, m := range metrics {
		all[i] = string(m)
	}
	return strings.Join(all, ", ")
}
