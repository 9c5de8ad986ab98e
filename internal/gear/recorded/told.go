package recorded

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/gear"
)

// toldEvery is the time between two told samples, that of the agent's status writes in steady state.
const toldEvery = 10 * time.Minute

// told guests: what each carries at an hour of the day. The numbers are our own choice.
var told = []struct {
	guest        string
	availability v1alpha1.Availability
	at           func(hour float64) (nodes, pods, writesPerSecond int64)
}{
	{"told-idle", v1alpha1.Single, func(float64) (int64, int64, int64) { return 0, 0, 1 }},
	{"told-office", v1alpha1.Zonal, func(hour float64) (int64, int64, int64) {
		if hour < 8 || hour >= 18 {
			return 4, 60, 3
		}
		return 12, 300, 12
	}},
	{"told-batch", v1alpha1.Zonal, func(hour float64) (int64, int64, int64) {
		if hour >= 1 && hour < 3 {
			return 50, 1500, 60
		}
		return 10, 100, 4
	}},
	{"told-growing", v1alpha1.Zonal, func(hour float64) (int64, int64, int64) {
		nodes := int64(40 + hour*4)
		return nodes, nodes * 25, nodes / 3
	}},
}

// Told is a day of each told guest.
func Told() []gear.Sample {
	midnight := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	var samples []gear.Sample
	for _, g := range told {
		for at := midnight; at.Before(midnight.Add(24 * time.Hour)); at = at.Add(toldEvery) {
			nodes, pods, writes := g.at(at.Sub(midnight).Hours())
			samples = append(samples, gear.Sample{
				Guest: g.guest, Availability: g.availability,
				Load: v1alpha1.Load{SampledAt: metav1.Time{Time: at}, Metrics: toldMetrics(nodes, pods, writes)},
			})
		}
	}
	return samples
}

// toldMetrics follow from a few numbers, in proportions that are ours.
func toldMetrics(nodes, pods, writes int64) []v1alpha1.LoadMetric {
	objects := 200 + 5*nodes + 3*pods
	var all []v1alpha1.LoadMetric
	for _, m := range []struct {
		name  v1alpha1.LoadMetricName
		value string
	}{
		{v1alpha1.LoadNodes, fmt.Sprint(nodes)},
		{v1alpha1.LoadPods, fmt.Sprint(pods)},
		{v1alpha1.LoadObjects, fmt.Sprint(objects)},
		{v1alpha1.LoadCustomResources, fmt.Sprint(pods / 10)},
		{v1alpha1.LoadWatches, fmt.Sprint(100 + 10*nodes)},
		{v1alpha1.LoadGetsPerSecond, fmt.Sprint(2 * writes)},
		{v1alpha1.LoadListsPerSecond, fmt.Sprintf("%dm", 100*writes)},
		{v1alpha1.LoadWritesPerSecond, fmt.Sprint(writes)},
		{v1alpha1.LoadExecutingSeats, fmt.Sprintf("%dm", 50*writes)},
		{v1alpha1.LoadQueuedSeats, "0"},
		{v1alpha1.LoadScheduledPodsPerSecond, fmt.Sprintf("%dm", pods)},
		{v1alpha1.LoadDatabaseBytes, fmt.Sprint(4<<20 + objects*8<<10)},
		{v1alpha1.LoadDatabaseInUseBytes, fmt.Sprint(1<<20 + objects*4<<10)},
	} {
		all = append(all, v1alpha1.LoadMetric{Name: m.name, Value: resource.MustParse(m.value)})
	}
	return all
}
