package local

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/gateway"
)

// Ids of the manifests that the platform's supervisor runs, beside hubID.
const controllersID = "controllers"

func cellID(cell string) string      { return "cell-" + cell }
func gatewayID(region string) string { return "gateway-" + region }

// daemonStopSeconds is how long a daemon may take to end: gateways let connections finish.
const daemonStopSeconds = 10

// daemon is one of Myriad's own processes. Its arguments are its whole configuration, so that a
// change of binary or argument restarts it and nothing else does.
func daemon(name, binary string, arguments ...string) controlplane.Component {
	return controlplane.Component{
		Name:        name,
		Kind:        controlplane.Kind(arguments[0]),
		Program:     binary,
		Args:        arguments,
		StopSeconds: daemonStopSeconds,
		Size:        v1alpha1.ComponentSize{CPU: resource.MustParse("20m"), Memory: resource.MustParse("64Mi")},
	}
}

// controllersManifest runs the hub's controllers.
func controllersManifest(home *Home, binary string) controlplane.Manifest {
	return controlplane.Manifest{ID: controllersID, Epoch: 1, Components: []controlplane.Component{
		daemon("hub", binary, "hub",
			"--kubeconfig", home.path("hub", "controllers", "kubeconfig"),
			"--metrics-address", netip.AddrPortFrom(hubHosts(home.Settings.Network).controllers, metricsPort).String(),
			"--agent-ca-certificate", home.path("hub", "identity", string(controlplane.ClusterCA)+".crt"),
			"--agent-ca-key", home.path("hub", "identity", string(controlplane.ClusterCA)+".key")),
	}}
}

// cellManifest runs a cell: the supervisor of its guests, and its agent.
func cellManifest(home *Home, binary string, index int, cell *v1alpha1.Cell) controlplane.Manifest {
	return controlplane.Manifest{ID: cellID(cell.Name), Epoch: 1, Components: []controlplane.Component{
		daemon("supervisor", binary, "supervisor",
			"--dir", home.RuntimeDir(cell.Name),
			"--distribution", home.DistributionDir(),
			"--network", cellNetwork(home.Settings.Network, index).String(),
			"--zones", strings.Join(cell.Spec.Zones, ","),
			"--slots-dir", home.path("slots"),
			"--slots", strconv.Itoa(startSlots())),
		daemon("agent", binary, append(agentArguments(home, cell.Name), "--runtime-dir", home.RuntimeDir(cell.Name))...),
	}}
}

// startSlots is how many guests may start at once on this machine: starting one is bound by CPU
// (about 2.5 CPU seconds for etcd and kube-apiserver), so more at once only makes each of them later.
func startSlots() int { return runtime.NumCPU() }

// gatewayManifest runs a region's gateways.
func gatewayManifest(home *Home, binary string, region *v1alpha1.Region) (controlplane.Manifest, error) {
	address, err := netip.ParseAddr(region.Spec.Gateway.Address)
	if err != nil {
		return controlplane.Manifest{}, fmt.Errorf("region %s: gateway: %w", region.Name, err)
	}
	listen := netip.AddrPortFrom(address, uint16(region.Spec.Gateway.Port))
	manifest := controlplane.Manifest{ID: gatewayID(region.Name), Epoch: 1}
	for instance := 1; instance <= gatewaysPerRegion; instance++ {
		directory := home.GatewayDir(region.Name, instance)
		component := daemon("gateway-"+strconv.Itoa(instance), binary, "gateway",
			"--region", region.Name,
			"--instance", strconv.Itoa(instance),
			"--listen", listen.String(),
			"--dir", directory)
		// It answers there once it listens: the second is replaced only when the first serves again.
		component.Probe = &controlplane.Probe{Socket: filepath.Join(directory, gateway.SocketName), Path: "/status"}
		manifest.Components = append(manifest.Components, component)
	}
	return manifest, nil
}
