package local

import (
	"net/netip"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/gear"
)

// gatewaysPerRegion share one address, so that one may die.
const gatewaysPerRegion = 2

// The regions and cells of the default fleet. Their order gives them their addresses: append only.
var (
	defaultRegions = []struct{ area, name, certification string }{
		{"cn", "cn-hangzhou", "mlps-3"},
		{"eu", "eu-frankfurt", "gdpr"},
	}
	defaultCells = []struct{ region, name string }{
		{"cn-hangzhou", "hz-1"},
		{"cn-hangzhou", "hz-2"},
		{"eu-frankfurt", "fra-1"},
	}
	defaultZones = []string{"a", "b", "c"}
)

// localRoundTrip in microseconds is so long that no pair of zones is too far apart for a guest: they are parts of
// one machine, and what is measured between them is how busy that is (8 ms while tests ran).
const localRoundTrip = 1_000_000

// regions of the default fleet; recipients maps areas to the age keys that escrow is sealed to.
func regions(network netip.Prefix, recipients map[string]string) []*v1alpha1.Region {
	var all []*v1alpha1.Region
	for i, r := range defaultRegions {
		all = append(all, &v1alpha1.Region{
			TypeMeta:   typeMeta("Region"),
			ObjectMeta: metav1.ObjectMeta{Name: r.name},
			Spec: v1alpha1.RegionSpec{
				Area:            r.area,
				Zones:           defaultZones,
				Certifications:  []string{r.certification},
				EscrowRecipient: recipients[r.area],
				VPCs:            []v1alpha1.VPC{sharedVPC()},
				Placement:       &v1alpha1.PlacementPolicy{MaxRoundTripMicroseconds: new(int64(localRoundTrip))},
				Gateway: v1alpha1.RegionGateway{
					Address: gatewayHost(network, i).String(),
					Port:    gatewayPort, FirstPlainPort: 20000, LastPlainPort: 29999,
					Domain: r.name + ".myriad.internal",
				},
			},
		})
	}
	return all
}

// sharedVPC is one that every tenant may use, of addresses that RFC 1918 and RFC 6598 leave to private networks.
func sharedVPC() v1alpha1.VPC {
	return v1alpha1.VPC{
		Name: "shared", NodePools: []string{"10.0.0.0/14"}, PodPools: []string{"10.64.0.0/10"}, ServicePools: []string{"100.64.0.0/12"},
	}
}

func cells() []*v1alpha1.Cell {
	var all []*v1alpha1.Cell
	for _, c := range defaultCells {
		all = append(all, &v1alpha1.Cell{
			TypeMeta:   typeMeta("Cell"),
			ObjectMeta: metav1.ObjectMeta{Name: c.name},
			Spec:       v1alpha1.CellSpec{Region: c.region, Zones: defaultZones},
		})
	}
	return all
}

// releases are the versions that the distribution holds. End-of-life days: kubernetes.io/releases,
// 14 months after each minor's first release.
func releases(kubernetes []string, etcd string) []*v1alpha1.Release {
	endOfLife := map[string]string{"v1.35": "2027-02-28", "v1.36": "2027-06-28"}
	var all []*v1alpha1.Release
	for _, version := range kubernetes {
		minor := version[:strings.LastIndexByte(version, '.')]
		all = append(all, &v1alpha1.Release{
			TypeMeta:   typeMeta("Release"),
			ObjectMeta: metav1.ObjectMeta{Name: version},
			Spec:       v1alpha1.ReleaseSpec{EtcdVersion: etcd, EndOfLife: endOfLife[minor], Channels: []string{"stable"}},
		})
	}
	return all
}

// templates whose guests are sized by their load. Where no Gearbox is in force they have the smallest gear
// of the default one.
func templates(version string) []*v1alpha1.ClusterTemplate {
	bounds := v1alpha1.GearBounds{Min: "nano"}
	smallest, _ := gear.Initial(gear.Default(), bounds)
	return []*v1alpha1.ClusterTemplate{{
		TypeMeta:   typeMeta("ClusterTemplate"),
		ObjectMeta: metav1.ObjectMeta{Name: "standard"},
		Spec: v1alpha1.ClusterTemplateSpec{
			Kind:         "Standard",
			Version:      version,
			Availability: v1alpha1.Single,
			Network:      v1alpha1.ClusterNetwork{PodCIDR: "10.244.0.0/16", ServiceCIDR: "10.96.0.0/16"},
			Gears:        &bounds,
			Size:         gear.Size(smallest),
		},
	}}
}

func gearbox() *v1alpha1.Gearbox {
	return &v1alpha1.Gearbox{
		TypeMeta:   typeMeta("Gearbox"),
		ObjectMeta: metav1.ObjectMeta{Name: v1alpha1.DefaultGearbox},
		Spec:       gear.Default(),
	}
}

// topology is every object of the default fleet, in the order in which to write them. Each is written
// only if it is not there yet: what is may have been changed by an operator.
func topology(network netip.Prefix, recipients map[string]string, kubernetes []string, etcd string) []client.Object {
	var objects []client.Object
	for _, region := range regions(network, recipients) {
		objects = append(objects, region)
	}
	for _, release := range releases(kubernetes, etcd) {
		objects = append(objects, release)
	}
	objects = append(objects, gearbox())
	for _, template := range templates(kubernetes[len(kubernetes)-1]) {
		objects = append(objects, template)
	}
	for _, cell := range cells() {
		objects = append(objects, cell)
	}
	return objects
}

func typeMeta(kind string) metav1.TypeMeta {
	return metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: kind}
}
