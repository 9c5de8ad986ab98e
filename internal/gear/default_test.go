package gear

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// start of the tests' time, a Monday.
var start = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)

// load at a time with some metrics; all others are zero, and none is missing.
func load(at time.Time, values map[v1alpha1.LoadMetricName]string) *v1alpha1.Load {
	l := &v1alpha1.Load{SampledAt: metav1.Time{Time: at}}
	for _, name := range metrics {
		value := resource.MustParse("0")
		if v, ok := values[name]; ok {
			value = resource.MustParse(v)
		}
		l.Metrics = append(l.Metrics, v1alpha1.LoadMetric{Name: name, Value: value})
	}
	return l
}

// idle is what a guest carries that nobody uses: its own leader elections, watches and objects, taken higher
// than any that was seen.
func idle(at time.Time) *v1alpha1.Load {
	return load(at, map[v1alpha1.LoadMetricName]string{
		v1alpha1.LoadObjects: "250", v1alpha1.LoadWatches: "150", v1alpha1.LoadGetsPerSecond: "4",
		v1alpha1.LoadWritesPerSecond: "1500m", v1alpha1.LoadListsPerSecond: "100m", v1alpha1.LoadExecutingSeats: "500m",
		v1alpha1.LoadDatabaseBytes: "8Mi", v1alpha1.LoadDatabaseInUseBytes: "1Mi",
	})
}

func TestDefaultPassesCheck(t *testing.T) {
	if diff := cmp.Diff([]string(nil), Check(Default())); diff != "" {
		t.Error(diff)
	}
}

// An idle guest must not only stay in the smallest gear, but be able to come back to it.
func TestDefaultIdleGuestFitsNano(t *testing.T) {
	box := Default()
	for _, availability := range []v1alpha1.Availability{v1alpha1.Single, v1alpha1.Zonal} {
		demand := DemandOf(box, availability, idle(start))
		if lacks := lacking(box.Ladder[0], demand, idle(start), box.Shifting.LeavePercent); lacks != "" {
			t.Errorf("%s: %s; %+v", availability, lacks, demand)
		}
	}
}

// One idle Single guest and a Zonal guest in the fourth gear share a zone of the default local fleet on two
// cores and 24 GiB: 666 millicores and 8 GiB, of which 60 % may be used.
func TestDefaultLocalFleetHasThreeRungs(t *testing.T) {
	box := Default()
	sum := Capacity(box.Ladder[0]).Add(Capacity(box.Ladder[3]))
	if !sum.within(Amount{MilliCPU: 666, Memory: 8 << 30}, 60) {
		t.Errorf("they take %+v", sum)
	}
}

// Every gear carries as many nodes as it may, with 30 pods each and what they send.
func TestDefaultGearsCarryTheirNodes(t *testing.T) {
	box := Default()
	for _, gear := range box.Ladder[1:] {
		n := gear.Limits.Nodes
		whole := func(x int64) string { return resource.NewQuantity(x, resource.DecimalSI).String() }
		l := load(start, map[v1alpha1.LoadMetricName]string{
			v1alpha1.LoadNodes: whole(n), v1alpha1.LoadPods: whole(30 * n), v1alpha1.LoadObjects: whole(80*n + 250),
			v1alpha1.LoadWatches: whole(10*n + 100), v1alpha1.LoadWritesPerSecond: whole(n/8 + 2),
			v1alpha1.LoadGetsPerSecond: whole(n/8 + 2), v1alpha1.LoadDatabaseBytes: whole(min(n<<20, gear.Limits.DatabaseBytes.Value())),
		})
		demand := DemandOf(box, v1alpha1.Zonal, l)
		if lacks := lacking(gear, demand, l, box.Shifting.EnterPercent); lacks != "" {
			t.Errorf("%s: %s", gear.Name, lacks)
		}
		t.Logf("%s: %dm %s of %+v", gear.Name, demand.Total.MilliCPU, size(demand.Total.Memory), Capacity(gear))
	}
}
