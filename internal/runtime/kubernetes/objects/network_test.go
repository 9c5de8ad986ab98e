package objects

import (
	"encoding/json"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/controlplane"
)

// TestPaths asks for every pair of a guest's components which ports are open. Both ends must say the
// same: each is the other's second lock.
func TestPaths(t *testing.T) {
	manifest := testManifest(t, v1alpha1.Zonal, nil)
	network := readPolicies(t, manifest)
	sends, receives := map[string][]int{}, map[string][]int{}
	for _, source := range manifest.Components {
		for _, target := range manifest.Components {
			key := source.Name + " > " + target.Name
			for _, p := range ports[target.Kind] {
				if network.sends(source.Name, peer{pod: network.pods[target.Name]}, p.number) {
					sends[key] = append(sends[key], int(p.number))
				}
				if network.receives(target.Name, peer{pod: network.pods[source.Name]}, p.number) {
					receives[key] = append(receives[key], int(p.number))
				}
			}
		}
	}
	want := map[string][]int{}
	for _, zone := range []string{"a", "b", "c"} {
		want["kube-apiserver-"+zone+" > etcd-"+zone] = []int{controlplane.EtcdClientPort}
		for _, other := range []string{"a", "b", "c"} {
			want["etcd-"+zone+" > etcd-"+other] = []int{controlplane.EtcdPeerPort}
		}
	}
	for _, zone := range []string{"a", "b"} {
		want["kube-controller-manager-"+zone+" > kube-apiserver-"+zone] = []int{controlplane.APIServerPort}
		want["kube-scheduler-"+zone+" > kube-apiserver-"+zone] = []int{controlplane.APIServerPort}
	}
	for end, got := range map[string]map[string][]int{"sends": sends, "receives": receives} {
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", end, diff)
		}
	}
}

func TestStrangers(t *testing.T) {
	network := readPolicies(t, testManifest(t, v1alpha1.Zonal, nil))
	for name, tc := range map[string]struct {
		reason, from, component string
		port                    int32
		open                    bool
	}{
		"agent, etcd":      {"it looks after members", "192.0.2.10", "etcd-b", controlplane.EtcdClientPort, true},
		"agent, metrics":   {"it measures them", "192.0.2.10", "etcd-b", controlplane.EtcdMetricsPort, true},
		"agent, peers":     {"it is none", "192.0.2.10", "etcd-b", controlplane.EtcdPeerPort, false},
		"agent, API":       {"it sets the guest up", "192.0.2.10", "kube-apiserver-c", controlplane.APIServerPort, true},
		"gateway, API":     {"people come through it", "192.0.2.21", "kube-apiserver-c", controlplane.APIServerPort, true},
		"gateway, etcd":    {"it has no business there", "192.0.2.21", "etcd-c", controlplane.EtcdClientPort, false},
		"other pod, etcd":  {"guests know nothing of each other", "10.1.2.3", "etcd-a", controlplane.EtcdClientPort, false},
		"other pod, API":   {"it may come through the gateways", "10.1.2.3", "kube-apiserver-a", controlplane.APIServerPort, false},
		"other pod, sched": {"only the kubelet asks", "10.1.2.3", "kube-scheduler-a", controlplane.SchedulerPort, false},
	} {
		t.Run(name, func(t *testing.T) {
			if open := network.receives(tc.component, address(tc.from), tc.port); open != tc.open {
				t.Errorf("%s: open is %t, want %t", tc.reason, open, tc.open)
			}
		})
	}
}

func TestWorld(t *testing.T) {
	network := readPolicies(t, testManifest(t, v1alpha1.Single, nil))
	for name, tc := range map[string]struct {
		reason, from, to string
		open             bool
	}{
		"Webhook":         {"a guest's users choose where it is", "kube-apiserver-a", "203.0.113.5", true},
		"IPv6":            {"likewise", "kube-apiserver-a", "2001:db8::1", true},
		"Cell":            {"its nodes and pods are nobody's business", "kube-apiserver-a", "10.0.0.7", false},
		"Cell over IPv6":  {"likewise", "kube-apiserver-a", "fd00::7", false},
		"Cloud":           {"it would hand out the node's credentials", "kube-apiserver-a", "169.254.169.254", false},
		"Another cloud":   {"likewise", "kube-apiserver-a", "100.100.100.200", false},
		"etcd":            {"it talks to its peers only", "etcd-a", "203.0.113.5", false},
		"Controllers":     {"they talk to their API server only", "kube-controller-manager-a", "203.0.113.5", false},
		"Resolver in DNS": {"nothing needs the cell's names", "kube-apiserver-a", "10.96.0.10", false},
	} {
		t.Run(name, func(t *testing.T) {
			if open := network.sends(tc.from, address(tc.to), 53); open != tc.open {
				t.Errorf("%s: open is %t, want %t", tc.reason, open, tc.open)
			}
		})
	}
}

func TestWorldWithout(t *testing.T) {
	for name, tc := range map[string]struct {
		reason  string
		private []netip.Prefix
		want    int
	}{
		"Nothing":        {"both families are the world", nil, 2},
		"All of IPv6":    {"an exception that leaves nothing is refused by the API", []netip.Prefix{netip.MustParsePrefix("::/0")}, 1},
		"All of it":      {"no rule is left", []netip.Prefix{netip.MustParsePrefix("::/0"), netip.MustParsePrefix("0.0.0.0/0")}, 0},
		"The same twice": {"once is enough", []netip.Prefix{netip.MustParsePrefix("127.0.0.1/8")}, 2},
	} {
		if got := len(world(tc.private)); got != tc.want {
			t.Errorf("%s: %s: got %d blocks, want %d", name, tc.reason, got, tc.want)
		}
	}
}

// network is a guest's NetworkPolicies and the labels of its pods.
type network struct {
	policies []networkingv1.NetworkPolicy
	pods     map[string]labels.Set
}

// peer is one end of a connection: a pod of the guest, or an address outside of it.
type peer struct {
	pod     labels.Set
	address netip.Addr
}

func address(text string) peer { return peer{address: netip.MustParseAddr(text)} }

func readPolicies(t *testing.T, manifest controlplane.Manifest) network {
	guest, err := Build(testCell(), manifest)
	if err != nil {
		t.Fatal(err)
	}
	n := network{pods: map[string]labels.Set{}}
	for i := range guest.Components {
		n.pods[guest.Components[i].Name] = guest.Components[i].template().Labels
	}
	for _, object := range guest.Shared {
		raw, err := json.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		var policy networkingv1.NetworkPolicy
		if err := json.Unmarshal(raw, &policy); err != nil {
			t.Fatal(err)
		}
		if policy.Kind == "NetworkPolicy" {
			n.policies = append(n.policies, policy)
		}
	}
	return n
}

func (n network) sends(from string, to peer, port int32) bool {
	for _, policy := range n.policies {
		if !selects(&policy.Spec.PodSelector, n.pods[from]) {
			continue
		}
		for _, rule := range policy.Spec.Egress {
			if hasPort(rule.Ports, port) && hasPeer(rule.To, to) {
				return true
			}
		}
	}
	return false
}

func (n network) receives(to string, from peer, port int32) bool {
	for _, policy := range n.policies {
		if !selects(&policy.Spec.PodSelector, n.pods[to]) {
			continue
		}
		for _, rule := range policy.Spec.Ingress {
			if hasPort(rule.Ports, port) && hasPeer(rule.From, from) {
				return true
			}
		}
	}
	return false
}

func selects(selector *metav1.LabelSelector, set labels.Set) bool {
	parsed, err := metav1.LabelSelectorAsSelector(selector)
	return err == nil && parsed.Matches(set)
}

func hasPort(rules []networkingv1.NetworkPolicyPort, port int32) bool {
	for _, rule := range rules {
		if rule.Port.IntVal == port {
			return true
		}
	}
	return len(rules) == 0
}

func hasPeer(rules []networkingv1.NetworkPolicyPeer, p peer) bool {
	for _, rule := range rules {
		if rule.IPBlock != nil && p.pod == nil && inBlock(rule.IPBlock, p.address) {
			return true
		}
		if rule.PodSelector != nil && p.pod != nil && selects(rule.PodSelector, p.pod) {
			return true
		}
	}
	return len(rules) == 0
}

func inBlock(block *networkingv1.IPBlock, address netip.Addr) bool {
	for _, except := range block.Except {
		if netip.MustParsePrefix(except).Contains(address) {
			return false
		}
	}
	return netip.MustParsePrefix(block.CIDR).Contains(address)
}
