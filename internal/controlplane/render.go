package controlplane

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// Ports that components listen on, each on its own host.
const (
	EtcdClientPort        = 2379
	EtcdPeerPort          = 2380
	EtcdMetricsPort       = 2381 // health and metrics; wants a client certificate, too
	EtcdHealthPort        = 2382 // the same without TLS, for kubelets; only with Input.AnyAddress
	APIServerPort         = 6443
	ControllerManagerPort = 10257
	SchedulerPort         = 10259
)

// registry that upstream publishes images in.
const registry = "registry.k8s.io"

// Files that more than one component has.
const (
	clusterCAFile     = string(ClusterCA) + ".crt"
	clusterCAKeyFile  = string(ClusterCA) + ".key"
	kubeconfigFile    = "kubeconfig"
	serviceAccountKey = "service-account.key"
)

// Names of leaf certificates and of their files.
const (
	serving = "serving"
	client  = "client"
)

// Render returns the manifest that an order, its addresses and its revision give. The contents of
// files with From are left to Resolve.
func Render(in Input) (Manifest, error) {
	if err := in.validate(); err != nil {
		return Manifest{}, fmt.Errorf("render control plane %s: %w", in.Order.ID, err)
	}
	r := renderer{Input: in, defaults: revisions[in.Order.RenderRevision]}
	manifest := Manifest{ID: in.Order.ID, Epoch: in.Order.Epoch}
	for _, instance := range Instances(&in.Order, in.Profile) {
		component, err := r.component(instance)
		if err != nil {
			return Manifest{}, fmt.Errorf("render control plane %s: %s: %w", in.Order.ID, instance.Name, err)
		}
		manifest.Components = append(manifest.Components, component)
	}
	return manifest, nil
}

// renderer renders one valid Input.
type renderer struct {
	Input
	defaults defaults
}

func (r *renderer) component(instance Instance) (Component, error) {
	component := Component{
		Name:    instance.Name,
		Kind:    instance.Kind,
		Zone:    instance.Zone,
		Host:    r.Hosts[instance.Name],
		Program: string(instance.Kind),
		Image:   r.image(string(instance.Kind)),
	}
	if instance.Kind == Etcd {
		r.etcd(&component)
		return component, nil
	}
	component.Version, component.Stopped = r.Order.Version, r.Frozen
	var err error
	switch instance.Kind {
	case APIServer:
		err = r.apiServer(&component)
	case ControllerManager:
		err = r.controllerManager(&component)
	case Scheduler:
		err = r.scheduler(&component)
	default:
		err = fmt.Errorf("unknown kind %q", instance.Kind)
	}
	return component, err
}

// image of a program: as the order says, else where upstream publishes it.
func (r *renderer) image(program string) string {
	if image := r.Order.Images[program]; image != "" {
		return image
	}
	if program == string(Etcd) {
		return registry + "/etcd:" + strings.TrimPrefix(r.Order.EtcdVersion, "v") + "-0"
	}
	return registry + "/" + program + ":" + r.Order.Version
}

// tuning of the guest; nil: upstream's own flags.
func (r *renderer) tuning() *v1alpha1.ControlPlaneTuning {
	if !r.defaults.tunes || r.Profile != Guest {
		return nil
	}
	return r.Order.Tuning
}

// zonal says that components have twins in other zones.
func (r *renderer) zonal() bool { return r.Order.Availability == v1alpha1.Zonal }

// sibling is the host of the component of a kind in the same zone.
func (r *renderer) sibling(kind Kind, zone string) string { return r.Hosts[InstanceName(kind, zone)] }

// configPath is the path of a file that the runtime puts under ConfigDir.
func configPath(file string) string { return ConfigDir + "/" + file }

// identityFile is a file of the guest's identity under its own name.
func identityFile(name string, live bool) File { return File{Path: name, From: name, Live: live} }

// leafFiles are the certificate and the key of a leaf certificate. All programs read them again: they
// are renewed every few weeks.
func leafFiles(name string) []File {
	return []File{
		{Path: name + ".crt", From: CertificateFile(name), Live: true},
		{Path: name + ".key", From: CertificateKey(name), Live: true},
	}
}

// bindAddress is what to listen on for a host: itself, or every address where the host is a DNS name
// or only leads to the component.
func bindAddress(host string, anyAddress bool) string {
	if _, err := netip.ParseAddr(host); err != nil || anyAddress {
		return netip.IPv4Unspecified().String()
	}
	return host
}

func httpsURL(host string, port int) string { return "https://" + hostPort(host, port) }

func hostPort(host string, port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }
