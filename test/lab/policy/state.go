// Package policy enforces the NetworkPolicies of the lab's cell by a table of nftables. All pods of
// all nodes are routed through one network namespace, so one table does for all of them.
package policy

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// State is all that the rules depend on.
type State struct {
	Pods       []*corev1.Pod
	Namespaces []*corev1.Namespace
	Policies   []*networkingv1.NetworkPolicy
	// Addresses of pods, by namespace/name, that their status does not tell yet.
	Addresses map[string]netip.Addr
}

// endpoint is a pod that has an address of its own.
type endpoint struct {
	pod     *corev1.Pod
	address netip.Addr
}

// endpoints lists the pods that can send and receive, by address. Pods of the host's network are the
// node, and of pods that have ended the addresses may be others' by now.
func (s *State) endpoints() []endpoint {
	var all []endpoint
	for _, pod := range s.Pods {
		if pod.Spec.HostNetwork || pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
			continue
		}
		address, known := s.Addresses[pod.Namespace+"/"+pod.Name]
		if parsed, err := netip.ParseAddr(pod.Status.PodIP); !known && err == nil {
			address = parsed
		}
		if address.Is4() {
			all = append(all, endpoint{pod, address})
		}
	}
	slices.SortFunc(all, func(a, b endpoint) int { return a.address.Compare(b.address) })
	return all
}

// policies in a fixed order.
func (s *State) policies() []*networkingv1.NetworkPolicy {
	return slices.SortedFunc(slices.Values(s.Policies), func(a, b *networkingv1.NetworkPolicy) int {
		return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
	})
}

// namespaceLabels by name.
func (s *State) namespaceLabels() map[string]labels.Set {
	all := map[string]labels.Set{}
	for _, namespace := range s.Namespaces {
		all[namespace.Name] = namespace.Labels
	}
	return all
}

// matches says whether a selector selects the labels. A selector that does not parse, which the API
// refuses, selects nothing.
func matches(selector *metav1.LabelSelector, of labels.Set) bool {
	parsed, err := metav1.LabelSelectorAsSelector(selector)
	return err == nil && parsed.Matches(of)
}
