package nodes

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/runtime"
)

func anyInventory(t *rapid.T) Inventory {
	in := Inventory{Zones: []string{"a", "b", "c"}, VolumeDriver: driver}
	for i := range rapid.IntRange(0, 6).Draw(t, "nodes") {
		name := fmt.Sprintf("n%d", i)
		in.Nodes = append(in.Nodes, node(name, func(n *corev1.Node) { anyNode(t, n) }))
		if rapid.Bool().Draw(t, "csi") {
			limits := csi(new(rapid.Int32Range(0, 5).Draw(t, "volumes")))
			limits.Name = name
			in.CSINodes = append(in.CSINodes, limits)
		}
	}
	for range rapid.IntRange(0, 20).Draw(t, "pods") {
		in.Pods = append(in.Pods, anyPod(t))
	}
	return in
}

func anyNode(t *rapid.T, n *corev1.Node) {
	n.Labels[corev1.LabelTopologyZone] = rapid.SampledFrom([]string{"a", "b", "c", "z"}).Draw(t, "zone")
	n.Spec.Unschedulable = rapid.IntRange(0, 5).Draw(t, "cordoned") == 0
	n.Spec.PodCIDRs = rapid.SampledFrom([][]string{nil, {"10.0.0.0/24"}, {"10.0.0.0/30"}, {"fd00::/48"}, {"10.0.0.0/24", "fd00::/64"}, {"nonsense"}}).Draw(t, "networks")
	if rapid.IntRange(0, 5).Draw(t, "unready") == 0 {
		n.Status.Conditions[0].Status = corev1.ConditionFalse
	}
}

func anyPod(t *rapid.T) *corev1.Pod {
	amount := func(name string, most int64) corev1.ResourceList {
		return corev1.ResourceList{
			corev1.ResourceCPU:    *resource.NewMilliQuantity(rapid.Int64Range(0, most).Draw(t, name), resource.DecimalSI),
			corev1.ResourceMemory: *resource.NewQuantity(rapid.Int64Range(0, most<<20).Draw(t, name), resource.BinarySI),
		}
	}
	return pod(func(p *corev1.Pod) {
		p.Name = rapid.StringMatching(`[a-z]{6}`).Draw(t, "name")
		p.Spec.NodeName = fmt.Sprintf("n%d", rapid.IntRange(0, 7).Draw(t, "node"))
		p.Spec.Containers[0].Resources.Requests = amount("requests", 3000)
		p.Spec.HostNetwork = rapid.Bool().Draw(t, "host network")
		if rapid.Bool().Draw(t, "init") {
			p.Spec.InitContainers = []corev1.Container{{Name: "init", Resources: corev1.ResourceRequirements{Requests: amount("init", 3000)}}}
		}
		if rapid.Bool().Draw(t, "volume") {
			p.Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{Ephemeral: &corev1.EphemeralVolumeSource{}}}}
		}
		if rapid.IntRange(0, 3).Draw(t, "guest") == 0 {
			p.Namespace, p.Labels = "myriad-abcdefghij", map[string]string{v1alpha1.LabelID: "abcdefghij"}
		}
		p.Status.Phase = rapid.SampledFrom([]corev1.PodPhase{corev1.PodPending, corev1.PodRunning, corev1.PodSucceeded}).Draw(t, "phase")
	})
}

// TestCapacityInvariants: nothing is ever negative, another workload's pod never adds room and a
// guest's never changes any, a node never takes room away, and the order of what is listed is nothing.
func TestCapacityInvariants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := anyInventory(t)
		before := Capacity(in)
		for _, zone := range before {
			if zone.CPU.Sign() < 0 || zone.Memory.Sign() < 0 || below(zone.Pods) || below(zone.Addresses) || below(zone.Volumes) || below(zone.Nodes) {
				t.Fatalf("negative: %s", text(zone))
			}
		}
		more := in
		more.Pods = append(slices.Clip(in.Pods), anyPod(t))
		after := Capacity(more)
		notMore(t, "a pod", before, after)
		if isGuests(more.Pods[len(in.Pods)]) && !cmp.Equal(lines(before), lines(after)) {
			t.Fatal("a guest's pod changed what the cell can carry")
		}
		grown := in
		grown.Nodes = append(slices.Clip(in.Nodes), node("n9", func(n *corev1.Node) { anyNode(t, n) }))
		grown.CSINodes = append(slices.Clip(in.CSINodes), &storagev1.CSINode{
			ObjectMeta: metav1.ObjectMeta{Name: "n9"}, Spec: csi(new(int32(3))).Spec,
		})
		notMore(t, "one node less", Capacity(grown), before)

		shuffle(in.Pods)
		shuffle(in.Nodes)
		if diff := cmp.Diff(lines(before), lines(Capacity(in))); diff != "" {
			t.Fatalf("the order changed the result:\n%s", diff)
		}
	})
}

func below(n *int64) bool { return n != nil && *n < 0 }

// notMore of anything that is known of both.
func notMore(t *rapid.T, what string, before, after runtime.Capacity) {
	for i, zone := range after {
		was := before[i]
		if zone.CPU.Cmp(was.CPU) > 0 || zone.Memory.Cmp(was.Memory) > 0 || grew(was.Pods, zone.Pods) ||
			grew(was.Addresses, zone.Addresses) || grew(was.Volumes, zone.Volumes) {
			t.Fatalf("%s added room: %s, then %s", what, text(was), text(zone))
		}
	}
}

func grew(before, after *int64) bool { return before != nil && after != nil && *after > *before }

func shuffle[T any](list []T) {
	rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
}
