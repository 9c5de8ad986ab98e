package byhand

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/pki"
	"github.com/myriad-fleet/myriad/internal/runtime/kubernetes/objects"
)

// fieldOwner of what is applied by hand.
const fieldOwner = client.FieldOwner("by-hand")

// PodOptions of a control plane that runs as pods.
type PodOptions struct {
	// Client of the Kubernetes cluster for its administrator, without a limit of its own.
	Client client.Client
	// Cell that the objects are made for. No agent serves a cell of that name: it would take them for
	// its own.
	Cell objects.Cell
	// Order that the manifest is rendered from: that of a guest of the fleet with another id.
	Order v1alpha1.ControlPlaneSpec
}

// Pods are the control plane of one cluster as a person with kubectl would run it in a Kubernetes
// cluster: the same objects as those of a guest of the fleet, applied all at once.
type Pods struct {
	PodOptions
	identity pki.Identity
}

// PreparePods makes the identity of a control plane.
func PreparePods(options PodOptions) (*Pods, error) {
	identity, err := pki.NewIdentity(options.Order.ID, time.Now())
	if err != nil {
		return nil, fmt.Errorf("control plane %s by hand: %w", options.Order.ID, err)
	}
	return &Pods{PodOptions: options, identity: identity}, nil
}

// Namespace that the control plane is in.
func (p *Pods) Namespace() string { return objects.NamespaceName(p.Order.ID) }

// Apply makes the namespace and the Services, renders the manifest with their addresses, and applies
// everything else without waiting for anything. It returns the access of an administrator who talks to
// the API server's Service directly.
func (p *Pods) Apply(ctx context.Context) (*rest.Config, error) {
	hosts, err := p.reserve(ctx)
	if err != nil {
		return nil, p.wrap(err)
	}
	guest, err := p.build(hosts)
	if err != nil {
		return nil, p.wrap(err)
	}
	for _, object := range everything(guest) {
		if err := p.Client.Apply(ctx, object, fieldOwner); err != nil {
			return nil, p.wrap(err)
		}
	}
	config, err := admin(p.identity, hosts[controlplane.InstanceName(controlplane.APIServer, p.Order.Zones[0])])
	if err != nil {
		return nil, p.wrap(err)
	}
	return config, nil
}

func (p *Pods) wrap(err error) error {
	return fmt.Errorf("control plane %s by hand: %w", p.Order.ID, err)
}

// reserve makes the namespace and the Services and returns the latters' addresses.
func (p *Pods) reserve(ctx context.Context) (map[string]string, error) {
	if err := p.Client.Apply(ctx, objects.Namespace(p.Cell, p.Order.ID), fieldOwner); err != nil {
		return nil, err
	}
	var names []string
	for _, instance := range controlplane.Instances(&p.Order, controlplane.Guest) {
		names = append(names, instance.Name)
	}
	services, err := objects.Services(p.Cell, p.Order.ID, names)
	if err != nil {
		return nil, err
	}
	hosts := map[string]string{}
	for _, service := range services {
		if err := p.Client.Apply(ctx, service, fieldOwner); err != nil {
			return nil, err
		}
		if service.Spec.ClusterIP == nil {
			return nil, errors.New("Service " + *service.Name + " has got no ClusterIP")
		}
		hosts[*service.Name] = *service.Spec.ClusterIP
	}
	return hosts, nil
}

// build renders the manifest and makes the objects.
func (p *Pods) build(hosts map[string]string) (objects.Guest, error) {
	manifest, err := controlplane.Render(controlplane.Input{
		Order: p.Order, Profile: controlplane.Guest, Hosts: hosts, AnyAddress: true,
	})
	if err != nil {
		return objects.Guest{}, err
	}
	if manifest, err = resolve(manifest, p.identity); err != nil {
		return objects.Guest{}, err
	}
	return objects.Build(p.Cell, manifest)
}

// everything of a guest besides its Services, in an order in which nothing misses what came before.
func everything(guest objects.Guest) []objects.Object {
	all := append([]objects.Object{}, guest.Shared...)
	for _, component := range guest.Components {
		all = append(all, component.Secret)
		if component.StatefulSet != nil {
			all = append(all, component.StatefulSet)
		} else {
			all = append(all, component.ReplicaSet)
		}
	}
	return all
}
