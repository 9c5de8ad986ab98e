package nodes

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/runtime"
)

const driver = "local.csi.example.com"

// node in zone a that is ready, with 4 cores, 8 GiB, 110 pods and a /24 of addresses.
func node(name string, change ...func(*corev1.Node)) *corev1.Node {
	n := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{corev1.LabelTopologyZone: "a"}},
		Spec:       corev1.NodeSpec{PodCIDRs: []string{"10.1.0.0/24"}},
		Status: corev1.NodeStatus{
			Allocatable: resources("4", "8Gi"),
			Conditions:  []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}},
		},
	}
	n.Status.Allocatable[corev1.ResourcePods] = resource.MustParse("110")
	for _, apply := range change {
		apply(n)
	}
	return n
}

func resources(cpu, memory string) corev1.ResourceList {
	return corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory)}
}

// pod of another workload on node n, which asks for 1 core and 1 GiB.
func pod(change ...func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"},
		Spec:       corev1.PodSpec{NodeName: "n", Containers: []corev1.Container{{Name: "main", Resources: corev1.ResourceRequirements{Requests: resources("1", "1Gi")}}}},
		Status:     corev1.PodStatus{Phase: corev1.PodRunning},
	}
	for _, apply := range change {
		apply(p)
	}
	return p
}

func csi(count *int32) *storagev1.CSINode {
	return &storagev1.CSINode{
		ObjectMeta: metav1.ObjectMeta{Name: "n"},
		Spec:       storagev1.CSINodeSpec{Drivers: []storagev1.CSINodeDriver{{Name: driver, Allocatable: &storagev1.VolumeNodeResources{Count: count}}}},
	}
}

// zone as text: missing is "-".
func text(zone v1alpha1.ZoneCapacity) string {
	number := func(n *int64) string {
		if n == nil {
			return "-"
		}
		return fmt.Sprint(*n)
	}
	return fmt.Sprintf("%s: cpu %s memory %s pods %s addresses %s volumes %s nodes %s", zone.Name,
		zone.CPU.String(), zone.Memory.String(), number(zone.Pods), number(zone.Addresses), number(zone.Volumes), number(zone.Nodes))
}

const (
	whole  = "a: cpu 4 memory 8Gi pods 110 addresses 253 volumes - nodes 1"
	less   = "a: cpu 3 memory 7Gi pods 109 addresses 252 volumes - nodes 1"
	nobody = "a: cpu 0 memory 0 pods 0 addresses 0 volumes 0 nodes 0"
)

func TestNodes(t *testing.T) {
	taint := func(effect corev1.TaintEffect) func(*corev1.Node) {
		return func(n *corev1.Node) {
			n.Spec.Taints = []corev1.Taint{{Key: "gpu", Value: "yes", Effect: effect}}
		}
	}
	unready := func(n *corev1.Node) { n.Status.Conditions[0].Status = corev1.ConditionUnknown }
	cases := map[string]struct {
		reason string
		change func(*corev1.Node)
		want   string
	}{
		"Whole":       {"nothing else runs there", func(*corev1.Node) {}, whole},
		"Away":        {"its kubelet does not report", unready, nobody},
		"New":         {"it has said nothing yet", func(n *corev1.Node) { n.Status.Conditions = nil }, nobody},
		"Cordoned":    {"the scheduler puts nothing there", func(n *corev1.Node) { n.Spec.Unschedulable = true }, nobody},
		"NoSchedule":  {"guests' pods do not tolerate the taint", taint(corev1.TaintEffectNoSchedule), nobody},
		"NoExecute":   {"nor that they would be driven out", taint(corev1.TaintEffectNoExecute), nobody},
		"Preferred":   {"the scheduler uses it when others are full", taint(corev1.TaintEffectPreferNoSchedule), whole},
		"ControlZone": {"a zone that the Cell does not have", func(n *corev1.Node) { n.Labels[corev1.LabelTopologyZone] = "z" }, nobody},
		"NoZone":      {"nobody knows what it fails with", func(n *corev1.Node) { n.Labels = nil }, nobody},
		"OwnIPAM": {
			"the network plugin keeps addresses by itself", func(n *corev1.Node) { n.Spec.PodCIDRs = nil },
			"a: cpu 4 memory 8Gi pods 110 addresses - volumes - nodes 1",
		},
		"OldField": {
			"one network, in the older field", func(n *corev1.Node) { n.Spec.PodCIDRs, n.Spec.PodCIDR = nil, "10.1.0.0/25" },
			"a: cpu 4 memory 8Gi pods 110 addresses 125 volumes - nodes 1",
		},
		"DualStack": {"a pod needs one of each: the smaller decides", func(n *corev1.Node) { n.Spec.PodCIDRs = append(n.Spec.PodCIDRs, "fd00::/64") }, whole},
		"Tiny": {
			"less than is reserved is none, not a debt", func(n *corev1.Node) { n.Spec.PodCIDRs = []string{"10.1.0.0/31"} },
			"a: cpu 4 memory 8Gi pods 110 addresses 0 volumes - nodes 1",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got := Capacity(Inventory{Zones: []string{"a"}, Nodes: []*corev1.Node{node("n", c.change)}})
			if diff := cmp.Diff(c.want, text(got[0])); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

func TestPods(t *testing.T) {
	guest := func(p *corev1.Pod) {
		p.Namespace, p.Labels = "myriad-abcdefghij", map[string]string{v1alpha1.LabelID: "abcdefghij"}
	}
	cases := map[string]struct {
		reason string
		change func(*corev1.Pod)
		want   string
	}{
		"Other":    {"another workload's pod takes what it asks for", func(*corev1.Pod) {}, less},
		"Guest":    {"the hub has booked what guests take", guest, whole},
		"Disguise": {"a label alone makes no guest", func(p *corev1.Pod) { p.Labels = map[string]string{v1alpha1.LabelID: "abcdefghij"} }, less},
		"Own":      {"Myriad's own pods in the cell are not booked", func(p *corev1.Pod) { p.Namespace = "myriad-system" }, less},
		"Done":     {"a finished job gave everything back", func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded }, whole},
		"Failed":   {"and so did one that failed", func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed }, whole},
		"Waiting":  {"nobody knows where it will be", func(p *corev1.Pod) { p.Spec.NodeName = "" }, whole},
		"Ending":   {"it has what it has until it is gone", func(p *corev1.Pod) { p.DeletionTimestamp = new(metav1.Now()) }, less},
		"HostNetwork": {
			"it has the node's address", func(p *corev1.Pod) { p.Spec.HostNetwork = true },
			"a: cpu 3 memory 7Gi pods 109 addresses 253 volumes - nodes 1",
		},
		"Init": {"an init container needs more at the start", func(p *corev1.Pod) {
			p.Spec.InitContainers = []corev1.Container{{Name: "init", Resources: corev1.ResourceRequirements{Requests: resources("2", "512Mi")}}}
		}, "a: cpu 2 memory 7Gi pods 109 addresses 252 volumes - nodes 1"},
		"Sidecar": {"a sidecar runs beside the others", func(p *corev1.Pod) {
			p.Spec.InitContainers = []corev1.Container{{
				Name: "side", RestartPolicy: new(corev1.ContainerRestartPolicyAlways),
				Resources: corev1.ResourceRequirements{Requests: resources("500m", "1Gi")},
			}}
		}, "a: cpu 2500m memory 6Gi pods 109 addresses 252 volumes - nodes 1"},
		"Overhead": {
			"a sandbox of its own kernel costs", func(p *corev1.Pod) { p.Spec.Overhead = resources("250m", "128Mi") },
			"a: cpu 2750m memory 7040Mi pods 109 addresses 252 volumes - nodes 1",
		},
		"Growing": {"resized, and the kubelet has not done it yet", func(p *corev1.Pod) {
			p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "main", AllocatedResources: resources("1", "1Gi"), Resources: &corev1.ResourceRequirements{Requests: resources("1", "1Gi")}}}
			p.Spec.Containers[0].Resources.Requests = resources("2", "1Gi")
		}, "a: cpu 2 memory 7Gi pods 109 addresses 252 volumes - nodes 1"},
		"Shrinking": {"it keeps what it has until the kubelet takes it", func(p *corev1.Pod) {
			p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "main", AllocatedResources: resources("2", "1Gi"), Resources: &corev1.ResourceRequirements{Requests: resources("2", "1Gi")}}}
		}, "a: cpu 2 memory 7Gi pods 109 addresses 252 volumes - nodes 1"},
		"WholePod": {"requests of the pod stand for those of its containers", func(p *corev1.Pod) {
			p.Spec.Resources = &corev1.ResourceRequirements{Requests: resources("2", "2Gi")}
		}, "a: cpu 2 memory 6Gi pods 109 addresses 252 volumes - nodes 1"},
		"TooMuch": {
			"a critical pod may overdraw the node", func(p *corev1.Pod) { p.Spec.Containers[0].Resources.Requests = resources("9", "9Gi") },
			"a: cpu 0 memory 0 pods 109 addresses 252 volumes - nodes 1",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got := Capacity(Inventory{Zones: []string{"a"}, Nodes: []*corev1.Node{node("n")}, Pods: []*corev1.Pod{pod(c.change)}})
			if diff := cmp.Diff(c.want, text(got[0])); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

func TestVolumes(t *testing.T) {
	claims := func(p *corev1.Pod) {
		claim := corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data"}}
		p.Spec.Volumes = []corev1.Volume{
			{Name: "one", VolumeSource: claim},
			{Name: "same", VolumeSource: claim},
			{Name: "scratch", VolumeSource: corev1.VolumeSource{Ephemeral: &corev1.EphemeralVolumeSource{}}},
			{Name: "config", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{}}},
		}
	}
	cases := map[string]struct {
		reason string
		csi    []*storagev1.CSINode
		driver string
		pods   []*corev1.Pod
		want   *int64
	}{
		"Unread":    {reason: "the agent may not read CSINodes", driver: driver},
		"Unlimited": {reason: "the driver sets no limit", driver: driver, csi: []*storagev1.CSINode{csi(nil)}},
		"Elsewhere": {reason: "another driver's limit says nothing", driver: "other", csi: []*storagev1.CSINode{csi(new(int32(8)))}},
		"Limited":   {reason: "the driver attaches eight", driver: driver, csi: []*storagev1.CSINode{csi(new(int32(8)))}, want: new(int64(8))},
		"Used":      {reason: "a claim counts once, an ephemeral volume is a claim, too", driver: driver, csi: []*storagev1.CSINode{csi(new(int32(8)))}, pods: []*corev1.Pod{pod(claims)}, want: new(int64(6))},
		"Full":      {reason: "never less than none", driver: driver, csi: []*storagev1.CSINode{csi(new(int32(1)))}, pods: []*corev1.Pod{pod(claims)}, want: new(int64(0))},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got := Capacity(Inventory{Zones: []string{"a"}, Nodes: []*corev1.Node{node("n")}, Pods: c.pods, CSINodes: c.csi, VolumeDriver: c.driver})
			if diff := cmp.Diff(c.want, got[0].Volumes); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

// TestSums: nodes of a zone add up, zones keep the Cell's order, and what one node cannot tell is not
// known of its zone.
func TestSums(t *testing.T) {
	in := func(zone string) func(*corev1.Node) {
		return func(n *corev1.Node) { n.Labels[corev1.LabelTopologyZone] = zone }
	}
	ownAddresses := func(n *corev1.Node) { n.Status.Allocatable["example.com/addresses"] = resource.MustParse("30") }
	tolerated := func(n *corev1.Node) {
		n.Spec.Taints = []corev1.Taint{{Key: "myriad", Effect: corev1.TaintEffectNoSchedule}}
	}
	inventory := Inventory{
		Zones: []string{"b", "a", "c"},
		Nodes: []*corev1.Node{node("n", ownAddresses), node("m", ownAddresses, tolerated), node("k", in("c"), ownAddresses), node("l", in("c"))},
		// More than node n has: node m gives nothing of its own for that.
		Pods:            []*corev1.Pod{pod(func(p *corev1.Pod) { p.Spec.Containers[0].Resources.Requests = resources("6", "1Gi") })},
		AddressResource: "example.com/addresses",
		Tolerations:     []corev1.Toleration{{Key: "myriad", Operator: corev1.TolerationOpExists}},
	}
	want := []string{
		"b: cpu 0 memory 0 pods 0 addresses 0 volumes 0 nodes 0",
		"a: cpu 4 memory 15Gi pods 219 addresses 59 volumes - nodes 2",
		"c: cpu 8 memory 16Gi pods 220 addresses - volumes - nodes 2",
	}
	if diff := cmp.Diff(want, lines(Capacity(inventory))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func lines(capacity runtime.Capacity) []string {
	var all []string
	for zone := range slices.Values(capacity) {
		all = append(all, text(zone))
	}
	return all
}
