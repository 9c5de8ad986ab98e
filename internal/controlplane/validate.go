package controlplane

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// zonesOfZonal is how many zones a Zonal control plane spreads over: with three, etcd has a quorum
// when any one is gone.
const zonesOfZonal = 3

// versionForm of programs: the runtime makes a path of it.
var versionForm = regexp.MustCompile(`^v(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)$`)

// validate reports everything that is wrong. The API refuses most of it before; orders also come from
// files and from older hubs.
func (in *Input) validate() error {
	order := &in.Order
	problems := []error{
		checkLabel("id", order.ID),
		checkProfile(in.Profile),
		checkRevision(order.RenderRevision),
		checkVersion("version", order.Version),
		checkVersion("etcdVersion", order.EtcdVersion),
		checkNetwork(order.Network, in.Profile),
		checkTuning(order.Tuning),
	}
	if order.EtcdQuotaBytes < 0 {
		problems = append(problems, fmt.Errorf("etcdQuotaBytes %d: want a number of bytes, or 0 for %d", order.EtcdQuotaBytes, largestEtcdQuota))
	}
	if err := checkZones(order); err != nil {
		return errors.Join(append(problems, err)...)
	}
	for _, instance := range Instances(order, in.Profile) {
		problems = append(problems, checkHost(instance.Name, in.Hosts[instance.Name]))
	}
	return errors.Join(problems...)
}

func checkLabel(field, value string) error {
	if problems := validation.IsDNS1123Label(value); len(problems) > 0 {
		return fmt.Errorf("%s %q: %s", field, value, strings.Join(problems, "; "))
	}
	return nil
}

func checkProfile(profile Profile) error {
	if profile != Guest && profile != Hub {
		return fmt.Errorf("profile %q: use %s or %s", profile, Guest, Hub)
	}
	return nil
}

func checkRevision(revision int64) error {
	if _, known := revisions[revision]; !known {
		return fmt.Errorf("renderRevision %d: this build renders %v only: use a build that knows it, or roll the guest to one of these", revision, Revisions())
	}
	return nil
}

func checkVersion(field, version string) error {
	if !versionForm.MatchString(version) {
		return fmt.Errorf("%s %q: want the form v1.2.3", field, version)
	}
	return nil
}

func checkZones(order *v1alpha1.ControlPlaneSpec) error {
	var problems []error
	switch order.Availability {
	case v1alpha1.Single:
		if len(order.Zones) == 0 {
			problems = append(problems, errors.New("zones: a Single control plane needs one, none is given"))
		}
	case v1alpha1.Zonal:
		if len(order.Zones) != zonesOfZonal {
			problems = append(problems, fmt.Errorf("zones %q: a Zonal control plane needs exactly %d", order.Zones, zonesOfZonal))
		}
	default:
		problems = append(problems, fmt.Errorf("availability %q: use %s or %s", order.Availability, v1alpha1.Single, v1alpha1.Zonal))
	}
	for i, zone := range order.Zones {
		problems = append(problems, checkLabel(fmt.Sprintf("zones[%d]", i), zone))
		if slices.Contains(order.Zones[:i], zone) {
			problems = append(problems, fmt.Errorf("zones[%d] %q is named twice", i, zone))
		}
	}
	return errors.Join(problems...)
}

// checkTuning: a limit of 0 would be no limit to kube-apiserver, and GOMEMLIMIT=0 a collection without end.
func checkTuning(tuning *v1alpha1.ControlPlaneTuning) error {
	if tuning == nil {
		return nil
	}
	var problems []error
	for _, limit := range []struct {
		field string
		value int32
	}{
		{"maxRequestsInFlight", tuning.MaxRequestsInFlight},
		{"maxMutatingRequestsInFlight", tuning.MaxMutatingRequestsInFlight},
		{"controllerRequestsPerSecond", tuning.ControllerRequestsPerSecond},
	} {
		if limit.value < 1 {
			problems = append(problems, fmt.Errorf("tuning.%s %d: want at least 1", limit.field, limit.value))
		}
	}
	if memory := tuning.APIServerMemory; memory != nil && memory.Sign() <= 0 {
		problems = append(problems, fmt.Errorf("tuning.apiServerMemory %s: want more than nothing, or leave it out", memory))
	}
	return errors.Join(problems...)
}

func checkHost(instance, host string) error {
	if host == "" {
		return fmt.Errorf("hosts: no address for %s: reserve addresses for all instances first", instance)
	}
	if _, err := netip.ParseAddr(host); err == nil || len(validation.IsDNS1123Subdomain(host)) == 0 {
		return nil
	}
	return fmt.Errorf("hosts: %s has address %q: want an IP address or a DNS name", instance, host)
}

// checkNetwork: the limits are those of the API (Cluster.spec.network). The hub has no pods.
func checkNetwork(network v1alpha1.ClusterNetwork, profile Profile) error {
	services, err := parseNetwork("network.serviceCIDR", network.ServiceCIDR, 12)
	if err != nil || profile == Hub {
		return err
	}
	pods, err := parseNetwork("network.podCIDR", network.PodCIDR, 8)
	if err != nil {
		return err
	}
	if pods.Overlaps(services) {
		return fmt.Errorf("network: podCIDR %s and serviceCIDR %s overlap: choose two ranges that share no address", pods, services)
	}
	return nil
}

func parseNetwork(field, value string, shortest int) (netip.Prefix, error) {
	prefix, err := netip.ParsePrefix(value)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%s: %w: want an IPv4 network, for example 10.96.0.0/16", field, err)
	}
	const longest = 24 // one node's pods; enough Services for a small cluster
	if !prefix.Addr().Is4() || prefix != prefix.Masked() || prefix.Bits() < shortest || prefix.Bits() > longest {
		return netip.Prefix{}, fmt.Errorf("%s %s: want an IPv4 network in its shortest form with a prefix length of %d to %d", field, value, shortest, longest)
	}
	return prefix, nil
}
