package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// table is the name of the lab's table of nftables.
const table = "myriad-lab"

// direction of traffic as a policy sees it.
type direction struct {
	kind networkingv1.PolicyType
	// peer is the header field that holds the other side's address, and self the pod's own.
	peer, self string
	// prefix of the names of chains.
	prefix string
}

var (
	ingress = direction{kind: networkingv1.PolicyTypeIngress, peer: "ip saddr", self: "ip daddr", prefix: "ingress"}
	egress  = direction{kind: networkingv1.PolicyTypeEgress, peer: "ip daddr", self: "ip saddr", prefix: "egress"}
)

// rule is what ingress and egress rules have in common.
type rule struct {
	peers []networkingv1.NetworkPolicyPeer
	ports []networkingv1.NetworkPolicyPort
}

// group is the pods that the same policies select in one direction. They share a chain.
type group struct {
	policies []*networkingv1.NetworkPolicy
	members  []endpoint
}

// renderer renders one State.
type renderer struct {
	endpoints  []endpoint
	namespaces map[string]labels.Set
	text       strings.Builder
}

// Render returns the text that `nft -f` replaces the lab's table by, all at once. Connections that are
// established pass, whatever becomes of the policies; so does what the nodes themselves send to pods.
// The same state gives the same text.
func Render(state State) string {
	r := &renderer{endpoints: state.endpoints(), namespaces: state.namespaceLabels()}
	r.linef(0, "add table ip %s", table)
	r.linef(0, "delete table ip %s", table)
	r.linef(0, "table ip %s {", table)
	isolated := map[netip.Addr]bool{}
	for _, d := range []direction{ingress, egress} {
		groups := r.groups(state.policies(), d)
		var verdicts []string
		for i, g := range groups {
			chain := fmt.Sprintf("%s-%d", d.prefix, i)
			r.chain(chain, d, g)
			for _, member := range g.members {
				verdicts = append(verdicts, fmt.Sprintf("%s : jump %s", member.address, chain))
				isolated[member.address] = true
			}
		}
		r.elements("map "+d.prefix, "ipv4_addr : verdict", verdicts)
	}
	r.entries(isolated)
	r.linef(0, "}")
	return r.text.String()
}

func (r *renderer) linef(indent int, format string, arguments ...any) {
	fmt.Fprintf(&r.text, strings.Repeat("\t", indent)+format+"\n", arguments...)
}

// elements writes a map or a set.
func (r *renderer) elements(name, kind string, elements []string) {
	r.linef(1, "%s {", name)
	r.linef(2, "type %s", kind)
	if len(elements) > 0 {
		r.linef(2, "elements = { %s }", strings.Join(elements, ", "))
	}
	r.linef(1, "}")
}

// entries writes where packets enter the table: between pods and from elsewhere to pods they are
// forwarded, from pods to the nodes and to the cell's API server they are input.
func (r *renderer) entries(isolated map[netip.Addr]bool) {
	var selves []string
	for _, e := range r.endpoints {
		if isolated[e.address] {
			selves = append(selves, fmt.Sprintf("%s . %s", e.address, e.address))
		}
	}
	// A pod that reaches itself through a Service needs nobody's leave.
	r.elements("set selves", "ipv4_addr . ipv4_addr", selves)
	for _, hook := range []string{"forward", "input"} {
		r.linef(1, "chain %s {", hook)
		r.linef(2, "type filter hook %s priority filter; policy accept;", hook)
		r.linef(2, "ct state established,related accept")
		r.linef(2, "ip saddr . ip daddr @selves accept")
		r.linef(2, "ip saddr vmap @egress")
		if hook == "forward" {
			r.linef(2, "ip daddr vmap @ingress")
		}
		r.linef(1, "}")
	}
}

// groups of the pods that any policy selects in a direction, by what selects them.
func (r *renderer) groups(policies []*networkingv1.NetworkPolicy, d direction) []*group {
	var groups []*group
	byPolicies := map[string]*group{}
	for _, e := range r.endpoints {
		var selecting []*networkingv1.NetworkPolicy
		var names []string
		for _, policy := range policies {
			if policy.Namespace == e.pod.Namespace && slices.Contains(policy.Spec.PolicyTypes, d.kind) &&
				matches(&policy.Spec.PodSelector, e.pod.Labels) {
				selecting = append(selecting, policy)
				names = append(names, policy.Name)
			}
		}
		if len(selecting) == 0 {
			continue
		}
		key := e.pod.Namespace + "/" + strings.Join(names, " ")
		if byPolicies[key] == nil {
			byPolicies[key] = &group{policies: selecting}
			groups = append(groups, byPolicies[key])
		}
		byPolicies[key].members = append(byPolicies[key].members, e)
	}
	return groups
}

// chain of a group: what a rule allows returns, the rest is dropped.
func (r *renderer) chain(name string, d direction, g *group) {
	r.linef(1, "chain %s {", name)
	for _, policy := range g.policies {
		r.linef(2, "# %s/%s", policy.Namespace, policy.Name)
		for _, rule := range rules(policy, d) {
			r.rule(policy.Namespace, rule, d, g)
		}
	}
	r.linef(2, "counter drop")
	r.linef(1, "}")
}

func rules(policy *networkingv1.NetworkPolicy, d direction) []rule {
	var all []rule
	if d.kind == networkingv1.PolicyTypeIngress {
		for _, r := range policy.Spec.Ingress {
			all = append(all, rule{r.From, r.Ports})
		}
		return all
	}
	for _, r := range policy.Spec.Egress {
		all = append(all, rule{r.To, r.Ports})
	}
	return all
}

// rule writes one line for each kind of peer and protocol.
func (r *renderer) rule(namespace string, rule rule, d direction, g *group) {
	peers := r.peers(namespace, rule.peers, d)
	for _, peer := range peers {
		targets := g.members // of named ports
		if d.kind == networkingv1.PolicyTypeEgress {
			targets = peer.pods
		}
		for _, port := range portMatches(rule.ports, targets) {
			r.linef(2, "%s", strings.Join(slices.DeleteFunc([]string{peer.match, port, "return"}, isEmpty), " "))
		}
	}
}

func isEmpty(text string) bool { return text == "" }

// peer is one way to match the other side.
type peer struct {
	match string // empty: everyone
	// pods that it may be, for the ports that they name.
	pods []endpoint
}

// peers of a rule: one for all selected pods together, and one for each block of addresses.
func (r *renderer) peers(namespace string, wanted []networkingv1.NetworkPolicyPeer, d direction) []peer {
	if len(wanted) == 0 {
		return []peer{{pods: r.endpoints}}
	}
	var all []peer
	var selected []endpoint
	for _, e := range r.endpoints {
		if slices.ContainsFunc(wanted, func(p networkingv1.NetworkPolicyPeer) bool { return r.selects(namespace, p, e.pod) }) {
			selected = append(selected, e)
		}
	}
	if len(selected) > 0 {
		all = append(all, peer{match: fmt.Sprintf("%s { %s }", d.peer, addresses(selected)), pods: selected})
	}
	for _, p := range wanted {
		if p.IPBlock == nil {
			continue
		}
		if prefix, err := netip.ParsePrefix(p.IPBlock.CIDR); err == nil && prefix.Addr().Is4() {
			all = append(all, peer{match: block(prefix, p.IPBlock.Except, d), pods: r.endpoints})
		}
	}
	return all
}

// selects says whether a peer's selectors, if it has any, select a pod.
func (r *renderer) selects(namespace string, p networkingv1.NetworkPolicyPeer, pod *corev1.Pod) bool {
	switch {
	case p.IPBlock != nil || p.PodSelector == nil && p.NamespaceSelector == nil:
		return false
	case p.NamespaceSelector == nil:
		if pod.Namespace != namespace {
			return false
		}
	case !matches(p.NamespaceSelector, r.namespaces[pod.Namespace]):
		return false
	}
	return p.PodSelector == nil || matches(p.PodSelector, pod.Labels)
}

func addresses(of []endpoint) string {
	var all []string
	for _, e := range of {
		all = append(all, e.address.String())
	}
	return strings.Join(all, ", ")
}

func block(prefix netip.Prefix, except []string, d direction) string {
	match := d.peer + " " + prefix.Masked().String()
	if len(except) > 0 {
		match += fmt.Sprintf(" %s != { %s }", d.peer, strings.Join(except, ", "))
	}
	return match
}

// portMatches are the ways to match a rule's ports, one for each protocol; one empty match for all
// ports. Named ports are those of the targets.
func portMatches(ports []networkingv1.NetworkPolicyPort, targets []endpoint) []string {
	if len(ports) == 0 {
		return []string{""}
	}
	var matches []string
	for _, protocol := range []corev1.Protocol{corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP} {
		lower := strings.ToLower(string(protocol))
		var numbers, named []string
		for _, port := range ports {
			switch {
			case protocolOf(port.Protocol) != protocol:
			case port.Port == nil:
				matches = append(matches, "meta l4proto "+lower)
			case port.Port.Type == intstr.String:
				named = append(named, namedPorts(port.Port.StrVal, protocol, targets)...)
			case port.EndPort != nil:
				numbers = append(numbers, fmt.Sprintf("%d-%d", port.Port.IntVal, *port.EndPort))
			default:
				numbers = append(numbers, port.Port.String())
			}
		}
		if len(numbers) > 0 {
			matches = append(matches, fmt.Sprintf("%s dport { %s }", lower, strings.Join(numbers, ", ")))
		}
		if len(named) > 0 {
			matches = append(matches, fmt.Sprintf("ip daddr . %s dport { %s }", lower, strings.Join(named, ", ")))
		}
	}
	return matches
}

func protocolOf(protocol *corev1.Protocol) corev1.Protocol {
	if protocol == nil {
		return corev1.ProtocolTCP
	}
	return *protocol
}

// namedPorts are the pairs of address and port that the targets' containers give a name.
func namedPorts(name string, protocol corev1.Protocol, targets []endpoint) []string {
	var all []string
	for _, target := range targets {
		for _, container := range target.pod.Spec.Containers {
			for _, port := range container.Ports {
				if port.Name == name && (port.Protocol == protocol || port.Protocol == "" && protocol == corev1.ProtocolTCP) {
					all = append(all, fmt.Sprintf("%s . %d", target.address, port.ContainerPort))
				}
			}
		}
	}
	return all
}
