package gear

import (
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// Default is the Gearbox of a new fleet. Its numbers are a start: each says where it comes from.
func Default() v1alpha1.GearboxSpec {
	return v1alpha1.GearboxSpec{
		Base:     v1alpha1.Resources{CPU: cores(baseMilliCPU), Memory: mebibytes(baseMiB)},
		Factors:  defaultFactors(),
		Ladder:   defaultLadder(),
		Shifting: defaultShifting(),
	}
}

// An idle guest of v1.36.3 was measured on two cores on 2026-11-22: 34 millicores; kube-apiserver 197 to 207 MiB,
// kube-controller-manager 47 to 52, etcd 23, scheduler 22 to 25. Its own leader elections send a few requests
// per second, which the factors count apart: about 14 of the millicores and 7 of the mebibytes.
const (
	baseMilliCPU = 20
	baseMiB      = 300
)

// Sources that are cited more than once.
const (
	sourceHyperShift = "HyperShift HA sizing guidance: 9.0 vCPU and 2.5 GiB more per 1,000 requests/s, as the mean of a mix of mostly creates and deletes"
	sourceWatch      = "kubernetes issue 117777: 50 to 100 KiB per watch by a crude estimate; 64 KiB is our choice within it"
	sourceDecoded    = "kubernetes issue 142062: an object of an unstructured kind takes 5.2 times its serialized size in the API server's cache"
	sourceOwn        = "our own choice, to be refitted to what the fleet measures"
	sourceMeasured   = "measured idle on two cores, v1.36.3, 2026-11-22"
)

// defaultFactors per unit and zone. HyperShift publishes one factor for all requests; a read costs less
// than its mean and a list more, and the split is ours.
func defaultFactors() []v1alpha1.GearFactor {
	factor := func(metric v1alpha1.LoadMetricName, cpu, memory, source string) v1alpha1.GearFactor {
		return v1alpha1.GearFactor{Metric: metric, CPU: resource.MustParse(cpu), Memory: resource.MustParse(memory), Source: source}
	}
	return []v1alpha1.GearFactor{
		factor(v1alpha1.LoadNodes, "1m", "2Mi",
			"the node's object, connections and caches: "+sourceOwn+"; its leases and status count as writes"),
		factor(v1alpha1.LoadPods, "0", "48Ki",
			"a pod of some 5 KiB decoded in three caches (API server, controller manager, scheduler), beside what every object takes: "+sourceOwn),
		factor(v1alpha1.LoadObjects, "0", "12Ki", "an object of some 2 KiB; "+sourceDecoded),
		factor(v1alpha1.LoadCustomResources, "0", "24Ki",
			"beside what every object takes: they are cached unstructured, in the garbage collector's way also by the controller manager; "+sourceDecoded),
		factor(v1alpha1.LoadWatches, "0", "64Ki", sourceWatch),
		factor(v1alpha1.LoadGetsPerSecond, "3m", "1Mi", "a third of the mean of "+sourceHyperShift+"; the third is our choice"),
		factor(v1alpha1.LoadListsPerSecond, "18m", "5Mi", "twice the mean of "+sourceHyperShift+"; the two is our choice"),
		factor(v1alpha1.LoadWritesPerSecond, "9m", "2560Ki", sourceHyperShift),
		factor(v1alpha1.LoadExecutingSeats, "5m", "2Mi",
			"an input of ACK's and EKS's tiers, which publish no factor (EKS: 1,700, 3,400 and 6,800 seats): "+sourceOwn),
		factor(v1alpha1.LoadQueuedSeats, "20m", "1Mi", "requests that wait have too few seats or cores, so that they weigh more than those that run: "+sourceOwn),
		factor(v1alpha1.LoadScheduledPodsPerSecond, "8m", "0", "an input of ACK's and EKS's tiers, which publish no factor: "+sourceOwn),
		factor(v1alpha1.LoadDatabaseBytes, "0", "1", "bbolt maps its file into memory, and a member that was read through has all of it resident"),
	}
}

// defaultShifting: anti-flap figures of HyperShift (30 s up, 5 moves in 10 min) and ARO-HCP (grow at once,
// shrink after 20 min). The bands are our own: a fifth of a gear is left for what grows within upDelay,
// and two fifths of the lower one before a guest comes down. Tuning waits for an hour, because it restarts.
func defaultShifting() v1alpha1.GearShifting {
	return v1alpha1.GearShifting{
		EnterPercent: 80, LeavePercent: 60,
		UpDelaySeconds: new(int32(30)), DownDelaySeconds: new(int32(1200)),
		Moves: 5, WindowSeconds: 600,
		TuningDownDelaySeconds: new(int32(3600)),
		StaleSeconds:           900,
		HealthSeconds:          600,
	}
}

func cores(milli int64) resource.Quantity {
	return *resource.NewMilliQuantity(milli, resource.DecimalSI)
}

func mebibytes(n int64) resource.Quantity { return *resource.NewQuantity(n<<20, resource.BinarySI) }
