package local

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/pki"
	"github.com/myriad-fleet/myriad/internal/runtime/process"
)

const (
	hubID   = "hub"
	hubZone = "hub"
	// hubDeadline bounds the hub's start: about 4 s on two idle cores, much more on busy ones.
	hubDeadline = 3 * time.Minute
	// serverLifetime of the hub's own leaf certificates, which every 'up' renews in time.
	serverLifetime = 365 * 24 * time.Hour
)

// hubOrder describes the hub as an order for a control plane: it is rendered like any guest.
func hubOrder(home *Home, kubernetes, etcd string) v1alpha1.ControlPlaneSpec {
	hosts := hubHosts(home.Settings.Network)
	size := v1alpha1.ComponentSize{CPU: resource.MustParse("100m"), Memory: resource.MustParse("256Mi")}
	return v1alpha1.ControlPlaneSpec{
		ID:           hubID,
		Version:      kubernetes,
		EtcdVersion:  etcd,
		Availability: v1alpha1.Single,
		Zones:        []string{hubZone},
		Network:      v1alpha1.ClusterNetwork{PodCIDR: "10.244.0.0/16", ServiceCIDR: "10.96.0.0/16"},
		Endpoint: v1alpha1.GuestEndpoint{
			ServerName: "hub.myriad.internal",
			Address:    hosts.apiServer.String(),
			Port:       hubPort,
			PlainPort:  hubPort,
		},
		Size:           v1alpha1.ControlPlaneSize{Etcd: size, APIServer: size, ControllerManager: size, Scheduler: size},
		Tuning:         hubTuning(runtime.NumCPU()),
		RenderRevision: home.Settings.HubRevision,
		Epoch:          1,
	}
}

// hubTuning lets in what the machine's threads can work on. What is let in beyond that waits for a thread in no
// order at all; what is queued waits in the order of the API priority levels, where agents that come back
// together do not hold up people. With 5 ms of CPU each, 75 reads and 25 writes a thread take half a second.
// From 20 threads on they are upstream's values for more than 500 nodes (controlplane.Render's without tuning).
func hubTuning(threads int) *v1alpha1.ControlPlaneTuning {
	n := int32(min(threads, 20))
	return &v1alpha1.ControlPlaneTuning{GearTuning: v1alpha1.GearTuning{
		MaxRequestsInFlight: 75 * n, MaxMutatingRequestsInFlight: 25 * n,
		ControllerRequestsPerSecond: 20, // as upstream's: only guests' controllers are tuned
	}}
}

// hubManifest is the hub's etcd, kube-apiserver and kube-controller-manager, with its certificates.
func hubManifest(home *Home, identity pki.Identity, kubernetes, etcd string) (controlplane.Manifest, error) {
	hosts := hubHosts(home.Settings.Network)
	manifest, err := controlplane.Render(controlplane.Input{
		Order:   hubOrder(home, kubernetes, etcd),
		Profile: controlplane.Hub,
		Hosts: map[string]string{
			controlplane.InstanceName(controlplane.Etcd, hubZone):              hosts.etcd.String(),
			controlplane.InstanceName(controlplane.APIServer, hubZone):         hosts.apiServer.String(),
			controlplane.InstanceName(controlplane.ControllerManager, hubZone): hosts.controllerManager.String(),
		},
	})
	if err != nil {
		return controlplane.Manifest{}, fmt.Errorf("render hub: %w", err)
	}
	return resolveHub(home, identity, manifest)
}

// startHub applies the hub's manifest and waits until its API server is ready.
func startHub(ctx context.Context, client *process.Client, manifest controlplane.Manifest) error {
	if err := client.Apply(ctx, manifest); err != nil {
		return fmt.Errorf("start hub: %w", err)
	}
	if err := waitReady(ctx, client, manifest.ID, hubDeadline); err != nil {
		return fmt.Errorf("start hub: %w", err)
	}
	return nil
}

// writeKubeconfig keeps the operator's access to the hub: a client certificate that every 'up'
// renews in time.
func writeKubeconfig(home *Home, identity pki.Identity) (*rest.Config, error) {
	err := home.keepClient(clientFiles{
		kubeconfig: home.Kubeconfig(),
		directory:  home.path("hub", "admin"),
		name:       "myriad-hub",
		leaf:       pki.Leaf{CommonName: "myriad:operator", Organizations: []string{"system:masters"}, Client: true, Lifetime: serverLifetime},
		inline:     true,
	}, identity)
	if err != nil {
		return nil, err
	}
	config, err := clientcmd.BuildConfigFromFlags("", home.Kubeconfig())
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", home.Kubeconfig(), err)
	}
	return config, nil
}
