package lab

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// TestLab makes a lab, tries everything that it promises and removes it.
func TestLab(t *testing.T) {
	l := openLab(t)
	ctx := t.Context()
	// A lab that is there has changed the machine's settings.
	if err := l.Down(ctx); err != nil {
		t.Fatal(err)
	}
	before := machineSettings(t)
	if err := l.Up(ctx); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Down(context.WithoutCancel(ctx)); err != nil {
			t.Error(err)
		}
	})
	f := newFixture(ctx, t, l)
	for _, test := range []struct {
		name string
		run  func(*fixture, *testing.T)
	}{
		{"Nodes", testNodes},
		{"Services", testServices},
		{"Policies", testPolicies},
		{"Volumes", testVolumes},
		{"Resize", testResize},
		{"Signal", testSignal},
		{"Kill", func(f *fixture, t *testing.T) { testFail(f, t, Kill) }},
		{"Hang", func(f *fixture, t *testing.T) { testFail(f, t, Hang) }},
		{"UpAgain", testUpAgain},
		{"Usage", testUsage},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(f, t) })
	}
	testDown(t, l, before)
}

func testNodes(f *fixture, t *testing.T) {
	for _, zone := range Zones() {
		f.nodeIs(t.Context(), t, zone, true)
		node, err := f.client.CoreV1().Nodes().Get(t.Context(), NodeName(zone), metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if got := node.Labels["topology.kubernetes.io/zone"]; got != zone {
			t.Errorf("node %s is in zone %q, want %s", node.Name, got, zone)
		}
		if got := node.Spec.PodCIDR; got != podNetwork(zone).String() {
			t.Errorf("node %s has pods in %q, want %s", node.Name, got, podNetwork(zone))
		}
	}
}

// testServices: pods are reached from the host by their Services, and see who calls.
func testServices(f *fixture, t *testing.T) {
	ctx := t.Context()
	for _, zone := range Zones() {
		pod := f.run(ctx, t, f.pod("service-"+zone, zone, nil))
		if !inNetwork(podNetwork(zone), pod.Status.PodIP) {
			t.Errorf("pod of zone %s has address %s, want one in %s", zone, pod.Status.PodIP, podNetwork(zone))
		}
		address := f.service(ctx, t, pod.Name)
		f.eventually(ctx, t, "zone "+zone+" by its Service", func(ctx context.Context) error {
			caller, err := get(ctx, address, "/caller")
			if err == nil && caller != HostAddress.String() {
				t.Errorf("a pod of zone %s is called by %s, want the host's %s", zone, caller, HostAddress)
			}
			return err
		})
	}
	pod := f.running(ctx, t, "service-a")
	if err := reaches(ctx, pod, "kubernetes.default.svc.cluster.local", 443); err != nil {
		t.Errorf("a pod does not reach the API server by its name: %v", err)
	}
	if err := reaches(ctx, pod, "service-b.lab-test.svc.cluster.local", 8080); err != nil {
		t.Errorf("a pod does not reach another zone's by its Service's name: %v", err)
	}
}

// testPolicies: what is forbidden cannot be reached, what is allowed can.
func testPolicies(f *fixture, t *testing.T) {
	ctx := t.Context()
	server := f.run(ctx, t, f.pod("policy-server", "a", nil))
	friend := f.run(ctx, t, f.pod("policy-friend", "b", nil))
	address := f.service(ctx, t, server.Name)
	if err := reaches(ctx, friend, server.Status.PodIP, 8080); err != nil {
		t.Fatalf("without a policy: %v", err)
	}
	port := intstr.FromString("http")
	f.policy(ctx, t, "server", networkingv1.NetworkPolicySpec{
		PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{"app": server.Name}},
		Ingress: []networkingv1.NetworkPolicyIngressRule{{
			From: []networkingv1.NetworkPolicyPeer{
				{PodSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": friend.Name}}},
			},
			Ports: []networkingv1.NetworkPolicyPort{{Port: &port}},
		}},
	})
	f.eventually(ctx, t, "the host is kept out", func(ctx context.Context) error {
		if _, err := get(ctx, server.Status.PodIP, "/caller"); err == nil {
			return fmt.Errorf("it is still let in")
		}
		return nil
	})
	// The rules know a pod from its start on: a stranger never gets in, a friend at once.
	stranger := f.run(ctx, t, f.pod("policy-stranger", "b", nil))
	second := f.run(ctx, t, f.pod("policy-second", "c", func(pod *corev1.Pod) { pod.Labels["app"] = friend.Name }))
	for _, to := range []string{server.Status.PodIP, address} {
		if err := reaches(ctx, stranger, to, 8080); err == nil {
			t.Errorf("a stranger reaches %s", to)
		}
		for _, pod := range []*corev1.Pod{friend, second} {
			if err := reaches(ctx, pod, to, 8080); err != nil {
				t.Errorf("%s does not reach %s: %v", pod.Name, to, err)
			}
		}
	}
	testEgress(f, t, friend, server)
}

// testEgress: a pod that may go to one address only does not get to the API server, which is no pod.
func testEgress(f *fixture, t *testing.T, from, to *corev1.Pod) {
	t.Helper()
	ctx := t.Context()
	f.policy(ctx, t, "friend", networkingv1.NetworkPolicySpec{
		PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{"app": from.Name}},
		PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeEgress},
		Egress: []networkingv1.NetworkPolicyEgressRule{{
			To: []networkingv1.NetworkPolicyPeer{{IPBlock: &networkingv1.IPBlock{CIDR: to.Status.PodIP + "/32"}}},
		}},
	})
	f.eventually(ctx, t, "the API server is out of reach", func(ctx context.Context) error {
		if err := reaches(ctx, from, apiServerAddress.String(), 6443); err == nil {
			return fmt.Errorf("it is still reached")
		}
		return nil
	})
	if err := reaches(ctx, from, to.Status.PodIP, 8080); err != nil {
		t.Errorf("what the policy allows is not reached: %v", err)
	}
}

func (f *fixture) policy(ctx context.Context, t *testing.T, name string, spec networkingv1.NetworkPolicySpec) {
	t.Helper()
	policy := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: spec}
	if _, err := f.client.NetworkingV1().NetworkPolicies(f.namespace).Create(ctx, policy, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// withVolume has a pod keep its file on a volume of the default class.
func (f *fixture) withVolume(ctx context.Context, t *testing.T, claim string) func(*corev1.Pod) {
	t.Helper()
	_, err := f.client.CoreV1().PersistentVolumeClaims(f.namespace).Create(ctx, &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: claim},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return func(pod *corev1.Pod) {
		container := &pod.Spec.Containers[0]
		container.Env = append(container.Env, corev1.EnvVar{Name: "DATA", Value: "/data"})
		container.VolumeMounts = append(container.VolumeMounts, corev1.VolumeMount{Name: "data", MountPath: "/data"})
		pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: "data", VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim},
		}})
	}
}

// testVolumes: a volume outlives its pods and goes with its claim.
func testVolumes(f *fixture, t *testing.T) {
	ctx := t.Context()
	mount := f.withVolume(ctx, t, "kept")
	pod := f.run(ctx, t, f.pod("volume", "b", mount))
	if _, err := request(ctx, http.MethodPut, pod.Status.PodIP, "/note", "remember"); err != nil {
		t.Fatal(err)
	}
	f.remove(ctx, t, pod.Name)
	pod = f.run(ctx, t, f.pod("volume", "b", mount))
	if note, err := get(ctx, pod.Status.PodIP, "/note"); err != nil || note != "remember" {
		t.Errorf("the volume holds %q (%v) after its pod was replaced", note, err)
	}
	directories, err := filepath.Glob(f.node("b").volumes() + "/*")
	if err != nil || len(directories) != 1 {
		t.Fatalf("zone b has the volumes %v (%v), want one", directories, err)
	}
	f.remove(ctx, t, pod.Name)
	if err := f.client.CoreV1().PersistentVolumeClaims(f.namespace).Delete(ctx, "kept", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	f.eventually(ctx, t, "the volume's directory goes with its claim", func(context.Context) error {
		_, err := os.Stat(directories[0])
		if err == nil {
			return fmt.Errorf("%s is still there", directories[0])
		}
		return ignoreGone(err)
	})
}

// testResize: limits change in the cgroup of a running container.
func testResize(f *fixture, t *testing.T) {
	ctx := t.Context()
	pod := f.run(ctx, t, f.pod("resize", "c", nil))
	if got, err := f.Limits(pod, "probe"); err != nil || got != (Limits{MilliCPU: 100, Memory: 64 << 20}) {
		t.Fatalf("limits are %+v (%v)", got, err)
	}
	patch := `{"spec":{"containers":[{"name":"probe","resources":{"requests":{"cpu":"200m","memory":"96Mi"},"limits":{"cpu":"200m","memory":"96Mi"}}}]}}`
	_, err := f.client.CoreV1().Pods(f.namespace).Patch(ctx, pod.Name, types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{}, "resize")
	if err != nil {
		t.Fatal(err)
	}
	f.eventually(ctx, t, "limits are changed in place", func(context.Context) error {
		got, err := f.Limits(pod, "probe")
		if err == nil && got != (Limits{MilliCPU: 200, Memory: 96 << 20}) {
			return fmt.Errorf("they are %+v", got)
		}
		return err
	})
	if pod = f.running(ctx, t, pod.Name); pod.Status.ContainerStatuses[0].RestartCount != 0 {
		t.Error("the container was restarted")
	}
}

// testSignal: a kubelet and a containerd that die come back, and their containers live on.
func testSignal(f *fixture, t *testing.T) {
	ctx := t.Context()
	pod := f.run(ctx, t, f.pod("signal", "a", nil))
	for _, program := range []string{"kubelet", "containerd"} {
		before := f.pid(ctx, t, "a", program)
		if err := f.Signal(ctx, "a", program, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		f.eventually(ctx, t, program+" is back", func(ctx context.Context) error {
			if now := f.pid(ctx, t, "a", program); now == 0 || now == before {
				return fmt.Errorf("its process is %d, and was %d", now, before)
			}
			return nil
		})
	}
	// What runs anew is made by the kubelet and the containerd that are there now.
	f.run(ctx, t, f.pod("signal-after", "a", nil))
	after := f.running(ctx, t, pod.Name)
	if before := pod.Status.ContainerStatuses[0]; after.Status.ContainerStatuses[0].ContainerID != before.ContainerID {
		t.Errorf("the container was replaced: %+v", after.Status.ContainerStatuses[0])
	}
}
