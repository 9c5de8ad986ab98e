package gear

import (
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// request of one component: thousandths of a core and MiB.
type request struct{ milliCPU, mib int64 }

// rung of the default ladder.
type rung struct {
	name                                       string
	etcd, apiServer, controllers, scheduler    request
	nodes, databaseGiB                         int64
	reads, writes, controllerRequestsPerSecond int32
	source                                     string
}

// Sources of the default ladder's rungs.
const (
	sourceAROLadder = "nodes and in-flight limits: ARO-HCP ClusterSizingConfiguration (60/120/252/360/more nodes, 150/900/1200/2400/3000 reads, 50/300/400/600/1000 writes)"
	sourceUpstream  = "in-flight limits: upstream's defaults (400 reads, 200 writes), which are more than ARO-HCP gives below 60 nodes (150, 50)"
	sourceLarge     = "nodes: kubernetes.io, Considerations for large clusters (5,000 nodes, 110 pods per node, 150,000 pods); in-flight limits: ARO-HCP's largest"
	sourceIdle      = "requests: about twice an idle guest, " + sourceMeasured
	sourceLargest   = "10,000 nodes are twice what upstream supports: our own choice; API server memory: ARO-HCP's largest, 96 GiB; in-flight limits: EKS 4XL has 6,800 seats over its API servers"
	sourceRequests  = "; requests: demand of that many nodes with 30 pods each by the default factors, with room to spare"
)

// rungs of the default ladder. Requests of nano to small are a step of about 1.5 apart, so that small
// cells see fine steps; above, about 2. The database's limit is etcd's suggested maximum of 8 GiB from
// xlarge on (etcd.io, System limits) and etcd's own default of 2 GiB at mini and small.
//
// There is no cache size to tune: since v1.19 kube-apiserver sizes its watch caches by itself, and
// --watch-cache-sizes tells only zero from not zero.
var rungs = []rung{
	{"nano", request{16, 64}, request{48, 384}, request{18, 88}, request{8, 40}, 10, 1, 400, 200, 100, sourceIdle + "; " + sourceUpstream},
	{"micro", request{22, 96}, request{76, 512}, request{22, 112}, request{10, 48}, 30, 1, 400, 200, 100, "our own choice of a step; " + sourceUpstream},
	{"mini", request{32, 128}, request{116, 704}, request{28, 136}, request{14, 56}, 60, 2, 400, 200, 100, "nodes: ARO-HCP's smallest; " + sourceUpstream + sourceRequests},
	{"small", request{52, 192}, request{190, 1056}, request{41, 208}, request{22, 80}, 120, 2, 900, 300, 100, sourceAROLadder + sourceRequests},
	{"medium", request{100, 448}, request{380, 2048}, request{80, 416}, request{40, 160}, 252, 4, 1200, 400, 100, sourceAROLadder + sourceRequests},
	{"large", request{200, 768}, request{760, 3456}, request{160, 640}, request{80, 256}, 360, 6, 2400, 600, 100, sourceAROLadder + sourceRequests},
	{"xlarge", request{400, 1280}, request{1520, 5632}, request{320, 896}, request{160, 384}, 500, 8, 3000, 1000, 200, sourceAROLadder + sourceRequests},
	{"2xlarge", request{800, 2560}, request{3200, 11264}, request{680, 1792}, request{320, 768}, 1000, 8, 3000, 1000, 200, sourceAROLadder + sourceRequests},
	{"4xlarge", request{1600, 4096}, request{6400, 20480}, request{1360, 2816}, request{640, 1280}, 2000, 8, 3000, 1000, 200, sourceLarge + sourceRequests},
	{"8xlarge", request{2800, 6144}, request{11600, 36864}, request{2400, 4096}, request{1200, 2048}, 3500, 8, 3000, 1000, 300, sourceLarge + sourceRequests},
	{"16xlarge", request{4600, 8192}, request{19400, 57344}, request{4000, 5632}, request{2000, 2560}, 5000, 8, 3000, 1000, 400, sourceLarge + sourceRequests},
	{"32xlarge", request{8000, 16384}, request{37000, 98304}, request{7400, 11264}, request{3600, 5120}, 10000, 8, 4500, 1500, 500, sourceLargest + sourceRequests},
}

// Floors of the limits: what an idle control plane needs to start (2.5 CPU seconds for etcd and
// kube-apiserver, measured) and for a burst. They are those of a fleet's first template.
var (
	etcdFloor        = request{2000, 512}
	apiServerFloor   = request{4000, 1024}
	controllersFloor = request{2000, 512}
	schedulerFloor   = request{1000, 256}
)

// defaultLadder spells the rungs out.
func defaultLadder() []v1alpha1.Gear {
	ladder := make([]v1alpha1.Gear, 0, len(rungs))
	for _, r := range rungs {
		apiServer := r.apiServer.sized(apiServerFloor)
		ladder = append(ladder, v1alpha1.Gear{
			Name: r.name,
			Size: v1alpha1.GearSize{
				Etcd:              r.etcd.sized(etcdFloor),
				APIServer:         apiServer,
				ControllerManager: r.controllers.sized(controllersFloor),
				Scheduler:         r.scheduler.sized(schedulerFloor),
			},
			Tuning: v1alpha1.GearTuning{
				MaxRequestsInFlight: r.reads, MaxMutatingRequestsInFlight: r.writes,
				APIServerMemory:             softLimit(*apiServer.MemoryLimit),
				ControllerRequestsPerSecond: r.controllerRequestsPerSecond,
			},
			Limits: v1alpha1.GearLimits{Nodes: r.nodes, DatabaseBytes: mebibytes(r.databaseGiB << 10)},
			Source: r.source,
		})
	}
	return ladder
}

// sized adds limits: twice the CPU, because HyperShift saw spikes of about twice the mean, and half as
// much memory again (our own choice), both at least the floor.
func (r request) sized(floor request) v1alpha1.ComponentSize {
	return v1alpha1.ComponentSize{
		CPU: cores(r.milliCPU), Memory: mebibytes(r.mib),
		CPULimit:    new(cores(max(2*r.milliCPU, floor.milliCPU))),
		MemoryLimit: new(mebibytes(max(r.mib*3/2, floor.mib))),
	}
}

// softLimit is 90 % of a memory limit in whole MiB: the Go runtime collects harder before the kernel
// kills (go.dev, A Guide to the Go Garbage Collector, advises to leave 5 to 10 %).
func softLimit(limit resource.Quantity) *resource.Quantity {
	return new(mebibytes(limit.Value() * 9 / 10 >> 20))
}

// Find a gear by its name.
func Find(box v1alpha1.GearboxSpec, name string) (v1alpha1.Gear, bool) {
	if i := index(box, name); i >= 0 {
		return box.Ladder[i], true
	}
	return v1alpha1.Gear{}, false
}

// index of a gear on the ladder; -1: it is not on it.
func index(box v1alpha1.GearboxSpec, name string) int {
	for i := range box.Ladder {
		if box.Ladder[i].Name == name {
			return i
		}
	}
	return -1
}

// Size is what an order of that gear holds.
func Size(gear v1alpha1.Gear) v1alpha1.ControlPlaneSize {
	size := gear.DeepCopy().Size
	return v1alpha1.ControlPlaneSize{
		Gear: gear.Name,
		Etcd: size.Etcd, APIServer: size.APIServer, ControllerManager: size.ControllerManager, Scheduler: size.Scheduler,
	}
}

// Tuning is what an order of that gear holds.
func Tuning(gear v1alpha1.Gear) *v1alpha1.ControlPlaneTuning {
	return &v1alpha1.ControlPlaneTuning{Gear: gear.Name, GearTuning: gear.DeepCopy().Tuning}
}
