package lab

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/controlplane"
)

const (
	controlPlaneID = "control-plane"
	// controlPlaneZone fails with none of the nodes' zones.
	controlPlaneZone = "system"
)

// programs of the lab, as absolute paths.
type programs struct {
	// self is this program: it puts the others into their cgroups, and runs the lab's controllers.
	self string
	// shim starts containerd-shim-runc-v2.
	shim string
	// paths of etcd, kube-apiserver, kube-controller-manager, kube-scheduler, kubelet, kube-proxy,
	// containerd and ctr, by name.
	paths map[string]string
	// directory of the distribution.
	directory string
	// kubernetes and etcd are the versions.
	kubernetes, etcd string
}

// confined has a component's program start in a cgroup of the lab, once somebody listens at the socket;
// empty for at once.
func (p *programs) confined(component controlplane.Component, cgroup, socket string) controlplane.Component {
	program := component.Program
	if path, known := p.paths[program]; known {
		program = path
	}
	component.Args = slices.Concat([]string{"join", "--cgroup=" + cgroup, "--socket=" + socket, "--", program}, component.Args, component.FirstArgs)
	component.Program, component.Version, component.FirstArgs = p.self, "", nil
	return component
}

func apiServerURL() string {
	return "https://" + net.JoinHostPort(apiServerAddress.String(), strconv.Itoa(controlplane.APIServerPort))
}

// order describes the cell's own control plane as one for a guest: it is rendered like any.
func (p *programs) order() v1alpha1.ControlPlaneSpec {
	return v1alpha1.ControlPlaneSpec{
		ID: "lab", Version: p.kubernetes, EtcdVersion: p.etcd, Availability: v1alpha1.Single,
		Zones:          []string{controlPlaneZone},
		Network:        v1alpha1.ClusterNetwork{PodCIDR: PodNetwork.String(), ServiceCIDR: ServiceNetwork.String()},
		RenderRevision: controlplane.LatestRevision(), Epoch: 1,
	}
}

// controlPlane is the manifest of the cell's etcd, API server, controller manager and scheduler.
func (p *programs) controlPlane() (controlplane.Manifest, error) {
	manifest, err := controlplane.Render(controlplane.Input{
		Order: p.order(), Profile: controlplane.Guest,
		Hosts: map[string]string{
			controlplane.InstanceName(controlplane.Etcd, controlPlaneZone):              etcdAddress.String(),
			controlplane.InstanceName(controlplane.APIServer, controlPlaneZone):         apiServerAddress.String(),
			controlplane.InstanceName(controlplane.ControllerManager, controlPlaneZone): controllerManagerAddress.String(),
			controlplane.InstanceName(controlplane.Scheduler, controlPlaneZone):         schedulerAddress.String(),
		},
	})
	if err != nil {
		return controlplane.Manifest{}, fmt.Errorf("render the cell's control plane: %w", err)
	}
	manifest.ID = controlPlaneID
	for i := range manifest.Components {
		component := &manifest.Components[i]
		for _, argument := range cellArguments()[component.Kind] {
			component.Args = setArgument(component.Args, argument)
		}
		manifest.Components[i] = p.confined(*component, name+"/"+systemCgroup, "")
	}
	return manifest, nil
}

// cellArguments are what a cell needs otherwise than a guest.
func cellArguments() map[controlplane.Kind][]string {
	return map[controlplane.Kind][]string{
		// The lab is thrown away after a crash of the machine, and its disk is the guests'.
		controlplane.Etcd: {"--unsafe-no-fsync=true"},
		controlplane.APIServer: {
			// Its pods reach it at its own address.
			"--endpoint-reconciler-type=lease",
			// Pods of a zone that failed stay where they are, with their volumes: it comes back.
			"--default-not-ready-toleration-seconds=86400",
			"--default-unreachable-toleration-seconds=86400",
		},
		controlplane.ControllerManager: {
			// Each node's pod network is fixed: a node that waits for one would be ready later.
			"--allocate-node-cidrs=false",
			// Kubelets renew their Leases every 2 s. This is how soon a lost one is noticed, and how
			// long one may be held up on a busy machine.
			"--node-monitor-period=1s",
			"--node-monitor-grace-period=10s",
		},
	}
}

// setArgument replaces the argument of the same flag, or adds it.
func setArgument(arguments []string, argument string) []string {
	flag, _, _ := strings.Cut(argument, "=")
	i := slices.IndexFunc(arguments, func(old string) bool { return strings.HasPrefix(old, flag+"=") })
	if i < 0 {
		return append(arguments, argument)
	}
	replaced := slices.Clone(arguments)
	replaced[i] = argument
	return replaced
}
