package lab

import (
	"fmt"
	"net"
	"strings"

	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/pki"
)

// servicesID is the manifest of what serves all nodes.
const servicesID = "services"

// nodeID is the manifest of a zone's node.
func nodeID(zone string) string { return "node-" + zone }

// Kinds of the lab's own components; each is also the name of its program.
const (
	containerd  controlplane.Kind = "containerd"
	kubelet     controlplane.Kind = "kubelet"
	kubeProxy   controlplane.Kind = "kube-proxy"
	controllers controlplane.Kind = "controllers"
)

// nodeManifest is the manifest of a zone's containerd and kubelet.
func (p *programs) nodeManifest(n node) (controlplane.Manifest, error) {
	configuration, err := n.containerdConfiguration(p)
	if err != nil {
		return controlplane.Manifest{}, err
	}
	runtime := controlplane.Component{
		Name: controlplane.InstanceName(containerd, n.zone), Kind: containerd, Zone: n.zone, Program: string(containerd),
		Args:  []string{"--config", controlplane.ConfigDir + "/config.toml"},
		Files: []controlplane.File{{Path: "config.toml", Content: configuration}},
		// Containers outlive it, as they should.
		StopSeconds: 10,
	}
	agent, err := kubeletComponent(n)
	if err != nil {
		return controlplane.Manifest{}, err
	}
	cgroup := zoneCgroup(n.zone) + "/" + daemonCgroup
	return controlplane.Manifest{
		ID: nodeID(n.zone), Epoch: 1,
		Components: []controlplane.Component{p.confined(runtime, cgroup, ""), p.confined(agent, cgroup, n.socket())},
	}, nil
}

func kubeletComponent(n node) (controlplane.Component, error) {
	configuration, err := n.kubeletConfiguration()
	if err != nil {
		return controlplane.Component{}, err
	}
	address := nodeAddress(n.zone).String()
	component := controlplane.Component{
		Name: controlplane.InstanceName(kubelet, n.zone), Kind: kubelet, Zone: n.zone, Program: string(kubelet), Host: address,
		Args: []string{
			"--config=" + controlplane.ConfigDir + "/kubelet.yaml",
			"--kubeconfig=" + controlplane.ConfigDir + "/kubeconfig",
			"--root-dir=" + n.kubelet(),
			"--cert-dir=" + controlplane.DataDir + "/pki",
			"--hostname-override=" + NodeName(n.zone),
			"--node-ip=" + address,
			"--node-labels=topology.kubernetes.io/zone=" + n.zone + ",topology.kubernetes.io/region=lab",
			// cAdvisor walks all cgroups of the machine each time.
			"--housekeeping-interval=60s",
			"--v=1",
		},
		Files: []controlplane.File{
			{Path: "kubelet.yaml", Content: configuration},
			// CoreDNS answers for the cluster; there is nobody to ask for more.
			{Path: "resolv.conf", Content: []byte("# The lab has no name servers of its own.\n")},
			{Path: "serving.crt", From: controlplane.CertificateFile("serving"), Live: true},
			{Path: "serving.key", From: controlplane.CertificateKey("serving"), Live: true},
		},
		Certificates: []controlplane.Certificate{{
			Name: "serving", Authority: controlplane.ClusterCA, Server: true,
			CommonName: "system:node:" + NodeName(n.zone), Names: []string{NodeName(n.zone), address},
		}},
		Probe:       &controlplane.Probe{Address: net.JoinHostPort(address, "10248"), Path: "/healthz", Plain: true},
		StopSeconds: 10,
	}
	return addClient(component, "system:node:"+NodeName(n.zone), "system:nodes")
}

// services is the manifest of kube-proxy and of the lab's own controllers: volumes and network policies.
func (l *Lab) services(p *programs) (controlplane.Manifest, error) {
	configuration, err := proxyConfiguration()
	if err != nil {
		return controlplane.Manifest{}, err
	}
	proxy, err := addClient(controlplane.Component{
		Name: string(kubeProxy), Kind: kubeProxy, Program: string(kubeProxy),
		Args:        []string{"--config=" + controlplane.ConfigDir + "/proxy.yaml"},
		Files:       []controlplane.File{{Path: "proxy.yaml", Content: configuration}},
		StopSeconds: 5,
	}, "system:kube-proxy")
	if err != nil {
		return controlplane.Manifest{}, err
	}
	own, err := addClient(controlplane.Component{
		Name: string(controllers), Kind: controllers, Program: p.self,
		Args:        []string{"controllers", "--dir", l.dir, "--kubeconfig", controlplane.ConfigDir + "/kubeconfig"},
		Env:         []string{"GOGC=50"},
		StopSeconds: 5,
	}, name+":controllers", "system:masters")
	if err != nil {
		return controlplane.Manifest{}, err
	}
	cgroup := name + "/" + systemCgroup
	return controlplane.Manifest{
		ID: servicesID, Epoch: 1,
		Components: []controlplane.Component{p.confined(proxy, cgroup, ""), p.confined(own, cgroup, "")},
	}, nil
}

// addClient gives a component a user and a kubeconfig for the cell's API server.
func addClient(component controlplane.Component, user string, groups ...string) (controlplane.Component, error) {
	authority := string(controlplane.ClusterCA) + ".crt"
	kubeconfig, err := pki.Kubeconfig{
		Name: strings.ReplaceAll(user, ":", "-"), Server: apiServerURL(),
		CAFile: authority, CertificateFile: "client.crt", KeyFile: "client.key",
	}.Marshal()
	if err != nil {
		return controlplane.Component{}, fmt.Errorf("%s: %w", component.Name, err)
	}
	component.Files = append(component.Files,
		controlplane.File{Path: "kubeconfig", Content: kubeconfig},
		controlplane.File{Path: authority, From: authority},
		controlplane.File{Path: "client.crt", From: controlplane.CertificateFile("client"), Live: true},
		controlplane.File{Path: "client.key", From: controlplane.CertificateKey("client"), Live: true})
	component.Certificates = append(component.Certificates, controlplane.Certificate{
		Name: "client", Authority: controlplane.ClusterCA, CommonName: user, Organizations: groups, Client: true,
	})
	return component, nil
}
