package lab

import (
	"bytes"
	"embed"
	"fmt"
	"path/filepath"
	"text/template"

	"github.com/myriad-fleet/myriad/test/lab/policy"
)

//go:embed configuration
var configuration embed.FS

const (
	pauseImage = "registry.k8s.io/pause:3.10"
	// cniPrograms is where Debian's package containernetworking-plugins puts them.
	cniPrograms = "/usr/lib/cni"
)

// node is the directory of one zone's node.
type node struct {
	dir, zone string
}

func newNode(dir, zone string) node { return node{dir: dir, zone: zone} }

func (n node) path(elements ...string) string {
	return filepath.Join(append([]string{n.dir}, elements...)...)
}

// containerdRoot is what the zone's containerd keeps: images above all.
func (n node) containerdRoot() string { return n.path("containerd", "root") }

// socket of the zone's containerd. The kernel allows 107 characters.
func (n node) socket() string { return n.path("containerd.sock") }

// kubelet keeps what it knows of its pods there.
func (n node) kubelet() string { return n.path("kubelet") }

// volumes holds a directory for each PersistentVolume of the zone.
func (n node) volumes() string { return n.path("volumes") }

func (n node) cniConfiguration() string { return n.path("cni") }

// directories that the node's programs expect.
func (n node) directories() []string {
	return []string{n.kubelet(), n.volumes(), n.cniConfiguration(), n.path("logs")}
}

// containerdConfiguration renders containerd's configuration file (TOML).
func (n node) containerdConfiguration(p *programs) ([]byte, error) {
	return render("containerd.toml", map[string]string{
		"Root":             n.containerdRoot(),
		"State":            n.path("containerd", "state"),
		"Socket":           n.socket(),
		"PauseImage":       pauseImage,
		"Shim":             p.shim,
		"Runc":             p.paths["runc"],
		"RuncRoot":         n.path("runc"),
		"CNIPrograms":      cniPrograms,
		"OwnCNIPrograms":   filepath.Dir(p.self),
		"CNIConfiguration": n.cniConfiguration(),
	})
}

// cniConfigurationFile renders the node's pod network: a link for each pod, so that all its traffic is
// routed and can be filtered.
//
// The lab's own plugin then waits for the pod's network policies, at the enforcer's socket.
func (n node) cniConfigurationFile(enforcer string) ([]byte, error) {
	return render("cni.conflist", map[string]string{
		"Name":   name,
		"Leases": n.path("leases"),
		"Subnet": podNetwork(n.zone).String(),
		"Plugin": policy.Plugin,
		"Socket": enforcer,
	})
}

// kubeletConfiguration renders a KubeletConfiguration (YAML).
func (n node) kubeletConfiguration() ([]byte, error) {
	return render("kubelet.yaml", map[string]string{
		"Address":    nodeAddress(n.zone).String(),
		"Socket":     n.socket(),
		"DNS":        dnsAddress.String(),
		"Logs":       n.path("logs"),
		"Plugins":    n.path("plugins"),
		"CgroupRoot": "/" + zoneCgroup(n.zone),
	})
}

// proxyConfiguration renders the KubeProxyConfiguration (YAML) of the one kube-proxy, which serves all
// nodes: they share a network namespace.
func proxyConfiguration() ([]byte, error) {
	return render("proxy.yaml", map[string]string{
		"Node":    NodeName(Zones()[0]),
		"Address": gatewayAddress.String(),
	})
}

func render(file string, values map[string]string) ([]byte, error) {
	parsed, err := template.New(file).Option("missingkey=error").ParseFS(configuration, "configuration/"+file)
	if err != nil {
		return nil, fmt.Errorf("render %s: %w", file, err)
	}
	var text bytes.Buffer
	if err := parsed.Execute(&text, values); err != nil {
		return nil, fmt.Errorf("render %s: %w", file, err)
	}
	return text.Bytes(), nil
}
