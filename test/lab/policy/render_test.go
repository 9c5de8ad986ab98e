package policy

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
)

func pod(namespace, name, address string, change ...func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{"app": name}},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{
			Ports: []corev1.ContainerPort{{Name: "web", ContainerPort: 8080}},
		}}},
		Status: corev1.PodStatus{PodIP: address, Phase: corev1.PodRunning},
	}
	for _, c := range change {
		c(p)
	}
	return p
}

func app(name string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{"app": name}}
}

func policy(spec networkingv1.NetworkPolicySpec) *networkingv1.NetworkPolicy {
	return &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "one", Name: "p"}, Spec: spec}
}

// onServer is a policy for the pod "server" of the namespace "one".
func onServer(kind networkingv1.PolicyType, rules ...rule) *networkingv1.NetworkPolicy {
	spec := networkingv1.NetworkPolicySpec{PodSelector: *app("server"), PolicyTypes: []networkingv1.PolicyType{kind}}
	for _, r := range rules {
		if kind == networkingv1.PolicyTypeIngress {
			spec.Ingress = append(spec.Ingress, networkingv1.NetworkPolicyIngressRule{From: r.peers, Ports: r.ports})
		} else {
			spec.Egress = append(spec.Egress, networkingv1.NetworkPolicyEgressRule{To: r.peers, Ports: r.ports})
		}
	}
	return policy(spec)
}

func namespaces() []*corev1.Namespace {
	return []*corev1.Namespace{
		{ObjectMeta: metav1.ObjectMeta{Name: "one", Labels: map[string]string{"team": "a"}}},
		{ObjectMeta: metav1.ObjectMeta{Name: "two", Labels: map[string]string{"team": "b"}}},
	}
}

// pods: server and friend in one, friend and stranger in two.
func pods() []*corev1.Pod {
	return []*corev1.Pod{
		pod("one", "server", "10.251.1.2"),
		pod("one", "friend", "10.251.1.3"),
		pod("two", "friend", "10.251.2.2"),
		pod("two", "stranger", "10.251.2.3"),
	}
}

func port(value intstr.IntOrString) networkingv1.NetworkPolicyPort {
	return networkingv1.NetworkPolicyPort{Port: &value}
}

// chainOf returns the lines of a chain, without comments.
func chainOf(text, chain string) []string {
	_, rest, found := strings.Cut(text, "\tchain "+chain+" {\n")
	if !found {
		return nil
	}
	body, _, _ := strings.Cut(rest, "\t}\n")
	var lines []string
	for line := range strings.Lines(body) {
		if line = strings.TrimSpace(line); !strings.HasPrefix(line, "#") {
			lines = append(lines, line)
		}
	}
	return lines
}

func TestChains(t *testing.T) {
	const in, out = networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress
	for _, test := range []struct {
		name, reason string
		policy       *networkingv1.NetworkPolicy
		chain        string
		want         []string
	}{
		{
			name: "nothing is allowed", reason: "a policy without rules isolates",
			policy: onServer(in), chain: "ingress-0", want: []string{"counter drop"},
		},
		{
			name: "an empty rule", reason: "it allows everything",
			policy: onServer(in, rule{}), chain: "ingress-0", want: []string{"return", "counter drop"},
		},
		{
			name: "pods of the same namespace", reason: "a peer without a namespace selector means the policy's own",
			policy: onServer(in, rule{peers: []networkingv1.NetworkPolicyPeer{{PodSelector: app("friend")}}}),
			chain:  "ingress-0", want: []string{"ip saddr { 10.251.1.3 } return", "counter drop"},
		},
		{
			name: "pods of another namespace", reason: "both selectors must select",
			policy: onServer(in, rule{peers: []networkingv1.NetworkPolicyPeer{{
				PodSelector:       app("friend"),
				NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"team": "b"}},
			}}}),
			chain: "ingress-0", want: []string{"ip saddr { 10.251.2.2 } return", "counter drop"},
		},
		{
			name: "a whole namespace", reason: "a peer without a pod selector means all of its pods",
			policy: onServer(in, rule{peers: []networkingv1.NetworkPolicyPeer{{
				NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"team": "b"}},
			}}}),
			chain: "ingress-0", want: []string{"ip saddr { 10.251.2.2, 10.251.2.3 } return", "counter drop"},
		},
		{
			name: "a peer that selects nothing", reason: "an empty set is no nft, and nobody is let in",
			policy: onServer(in, rule{peers: []networkingv1.NetworkPolicyPeer{{PodSelector: app("nobody")}}}),
			chain:  "ingress-0", want: []string{"counter drop"},
		},
		{
			name: "a block", reason: "exceptions are taken out of it",
			policy: onServer(out, rule{peers: []networkingv1.NetworkPolicyPeer{{
				IPBlock: &networkingv1.IPBlock{CIDR: "0.0.0.0/0", Except: []string{"10.250.0.0/16", "10.251.0.0/16"}},
			}}}),
			chain: "egress-0", want: []string{"ip daddr 0.0.0.0/0 ip daddr != { 10.250.0.0/16, 10.251.0.0/16 } return", "counter drop"},
		},
		{
			name: "a block of IPv6", reason: "the lab has no IPv6",
			policy: onServer(out, rule{peers: []networkingv1.NetworkPolicyPeer{{IPBlock: &networkingv1.IPBlock{CIDR: "::/0"}}}}),
			chain:  "egress-0", want: []string{"counter drop"},
		},
		{
			name: "ports", reason: "by protocol, ranges and single ones",
			policy: onServer(in, rule{ports: []networkingv1.NetworkPolicyPort{
				port(intstr.FromInt32(443)),
				{Port: new(intstr.FromInt32(1000)), EndPort: ptr.To[int32](2000)},
				{Protocol: ptr.To(corev1.ProtocolUDP), Port: new(intstr.FromInt32(53))},
				{Protocol: ptr.To(corev1.ProtocolSCTP)},
			}}),
			chain: "ingress-0", want: []string{
				"tcp dport { 443, 1000-2000 } return", "udp dport { 53 } return", "meta l4proto sctp return", "counter drop",
			},
		},
		{
			name: "a named port of the pod", reason: "ingress: the selected pod gives the name its number",
			policy: onServer(in, rule{ports: []networkingv1.NetworkPolicyPort{port(intstr.FromString("web"))}}),
			chain:  "ingress-0", want: []string{"ip daddr . tcp dport { 10.251.1.2 . 8080 } return", "counter drop"},
		},
		{
			name: "a named port of the peer", reason: "egress: the peer gives the name its number",
			policy: onServer(out, rule{
				peers: []networkingv1.NetworkPolicyPeer{{PodSelector: app("friend")}},
				ports: []networkingv1.NetworkPolicyPort{port(intstr.FromString("web"))},
			}),
			chain: "egress-0", want: []string{"ip daddr { 10.251.1.3 } ip daddr . tcp dport { 10.251.1.3 . 8080 } return", "counter drop"},
		},
		{
			name: "a name that nobody has", reason: "no port matches",
			policy: onServer(in, rule{ports: []networkingv1.NetworkPolicyPort{port(intstr.FromString("nothing"))}}),
			chain:  "ingress-0", want: []string{"counter drop"},
		},
		{
			name: "the other direction", reason: "a policy for egress leaves ingress as it is",
			policy: onServer(out), chain: "ingress-0", want: nil,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			text := Render(State{Pods: pods(), Namespaces: namespaces(), Policies: []*networkingv1.NetworkPolicy{test.policy}})
			if got := chainOf(text, test.chain); !slices.Equal(got, test.want) {
				t.Errorf("%s:\ngot  %q\nwant %q\n%s", test.reason, got, test.want, text)
			}
		})
	}
}

func TestEntries(t *testing.T) {
	text := Render(State{Pods: pods(), Namespaces: namespaces(), Policies: []*networkingv1.NetworkPolicy{
		onServer(networkingv1.PolicyTypeIngress), onServer(networkingv1.PolicyTypeEgress),
	}})
	for _, want := range []string{
		"elements = { 10.251.1.2 : jump ingress-0 }",
		"elements = { 10.251.1.2 : jump egress-0 }",
		"elements = { 10.251.1.2 . 10.251.1.2 }", // itself
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	input := chainOf(text, "input")
	if !slices.Contains(input, "ip saddr vmap @egress") || slices.Contains(input, "ip daddr vmap @ingress") {
		t.Errorf("to the nodes go only pods' packets, which egress is about: %q", input)
	}
}

func TestAddresses(t *testing.T) {
	hostNetwork := func(p *corev1.Pod) { p.Spec.HostNetwork = true }
	ended := func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded }
	for _, test := range []struct {
		name, reason string
		pod          *corev1.Pod
		known        map[string]netip.Addr
		want         string
	}{
		{"running", "its status tells", pod("one", "server", "10.251.1.2"), nil, "10.251.1.2"},
		{"starting", "its status tells nothing yet", pod("one", "server", ""), nil, ""},
		{
			"arriving", "the plugin told before the status does",
			pod("one", "server", ""),
			map[string]netip.Addr{"one/server": netip.MustParseAddr("10.251.1.9")},
			"10.251.1.9",
		},
		{
			"replaced", "its status tells of the sandbox before",
			pod("one", "server", "10.251.1.2"),
			map[string]netip.Addr{"one/server": netip.MustParseAddr("10.251.1.9")},
			"10.251.1.9",
		},
		{"of the host", "its address is the node's", pod("one", "server", "10.252.0.11", hostNetwork), nil, ""},
		{"ended", "its address may be another's", pod("one", "server", "10.251.1.2", ended), nil, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			text := Render(State{
				Pods: []*corev1.Pod{test.pod}, Namespaces: namespaces(), Addresses: test.known,
				Policies: []*networkingv1.NetworkPolicy{onServer(networkingv1.PolicyTypeIngress)},
			})
			_, rest, isolated := strings.Cut(text, "elements = { ")
			got, _, _ := strings.Cut(rest, " ")
			if isolated != (test.want != "") || got != test.want {
				t.Errorf("%s: isolated %q, want %q", test.reason, got, test.want)
			}
		})
	}
}

// TestOrder: informers list in no order, and another text would reload the table.
func TestOrder(t *testing.T) {
	policies := []*networkingv1.NetworkPolicy{
		onServer(networkingv1.PolicyTypeIngress), onServer(networkingv1.PolicyTypeEgress, rule{}),
	}
	policies[1].Name = "q"
	state := State{Pods: pods(), Namespaces: namespaces(), Policies: policies}
	want := Render(state)
	for range 20 {
		rand.Shuffle(len(state.Pods), func(i, j int) { state.Pods[i], state.Pods[j] = state.Pods[j], state.Pods[i] })
		rand.Shuffle(len(policies), func(i, j int) { policies[i], policies[j] = policies[j], policies[i] })
		if got := Render(state); got != want {
			t.Fatalf("order changed the rules:\n%s\n%s", got, want)
		}
	}
}
