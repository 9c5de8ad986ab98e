package plan

import (
	"fmt"
	"slices"
)

// Kind of the objects of a mix, as its file names them.
type Kind string

// The kinds. NodeLeases are the Leases of fake nodes; a mix's file names neither them, nor nodes, CRDs
// and custom resources as objects.
const (
	Nodes           Kind = "nodes"
	NodeLeases      Kind = "nodeLeases"
	CRDs            Kind = "crds"
	CustomResources Kind = "customResources"
	ConfigMaps      Kind = "configmaps"
	Secrets         Kind = "secrets"
	Services        Kind = "services"
	Leases          Kind = "leases"
	Events          Kind = "events"
	Deployments     Kind = "deployments"
	Pods            Kind = "pods"
	NodePods        Kind = "nodePods"
)

// objectKinds are those that a mix's file names as objects, in the order in which they are made.
var objectKinds = []Kind{ConfigMaps, Secrets, Services, Leases, Events, Deployments, Pods, NodePods}

const (
	// Label marks everything that a mix makes. Its value is Scope.Name.
	Label = "test.myriad.dev/mix"
	// padding is the annotation that gives an object its size.
	padding = "test.myriad.dev/padding"
	// revision is the annotation that patches change.
	revision = "test.myriad.dev/revision"
	// fake is the taint of fake nodes, which only a mix's own pods tolerate.
	fake = "test.myriad.dev/fake"
	// NodeLeaseNamespace is where kubelets renew their Leases.
	NodeLeaseNamespace = "kube-node-lease"
)

// Population is all objects of one kind; for custom resources, those of one CRD.
type Population struct {
	Kind Kind
	// CRD is the number of the custom resources' CRD; 0 for other kinds.
	CRD int
}

// order in which populations are made; they are deleted in the opposite one, so that pods go before
// their nodes and custom resources before their kind.
func order() []Population {
	all := []Population{{Kind: Nodes}, {Kind: NodeLeases}, {Kind: CRDs}}
	for crd := range MaxCRDs {
		all = append(all, Population{Kind: CustomResources, CRD: crd})
	}
	for _, kind := range objectKinds {
		all = append(all, Population{Kind: kind})
	}
	return all
}

var (
	populationsInOrder    = order()
	populationsInReversed = func() []Population {
		reversed := slices.Clone(populationsInOrder)
		slices.Reverse(reversed)
		return reversed
	}()
)

// Object is one of a population.
type Object struct {
	Population
	Index int
}

// Scope is what keeps the objects of one run apart from those of others and of the guest.
type Scope struct{ Seed uint64 }

// Name of the run, the value of Label and the namespace of its objects.
func (s Scope) Name() string { return fmt.Sprintf("mix-%d", s.Seed) }

// Group of the run's custom resources.
func (s Scope) Group() string { return s.Name() + ".test.myriad.dev" }

// ObjectName of an object.
func (s Scope) ObjectName(object Object) string {
	switch object.Kind {
	case NodePods: // shares its paths with Pods
		return fmt.Sprintf("%s-bound-%d", s.Name(), object.Index)
	case CRDs:
		return fmt.Sprintf("things%d.%s", object.Index, s.Group())
	default:
		return fmt.Sprintf("%s-%d", s.Name(), object.Index)
	}
}

// Collection is the path of all objects of a population in the API.
func (s Scope) Collection(p Population) string {
	namespaced := "/namespaces/" + s.Name() + "/"
	switch p.Kind {
	case Nodes:
		return "/api/v1/nodes"
	case NodeLeases:
		return "/apis/coordination.k8s.io/v1/namespaces/" + NodeLeaseNamespace + "/leases"
	case CRDs:
		return "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
	case CustomResources:
		return fmt.Sprintf("/apis/%s/v1%sthings%d", s.Group(), namespaced, p.CRD)
	case Deployments:
		return "/apis/apps/v1" + namespaced + "deployments"
	case Leases:
		return "/apis/coordination.k8s.io/v1" + namespaced + "leases"
	case Pods, NodePods:
		return "/api/v1" + namespaced + "pods"
	default: // core kinds are written in files as in paths
		return "/api/v1" + namespaced + string(p.Kind)
	}
}

// Path of an object in the API.
func (s Scope) Path(object Object) string {
	return s.Collection(object.Population) + "/" + s.ObjectName(object)
}

// Everything is the paths of the kinds that a controller finds which lists all it can.
func Everything() []string {
	return []string{
		"/api/v1/pods", "/api/v1/configmaps", "/api/v1/secrets", "/api/v1/events", "/api/v1/nodes", "/api/v1/services",
		"/apis/apps/v1/deployments", "/apis/apps/v1/replicasets", "/apis/coordination.k8s.io/v1/leases",
	}
}
