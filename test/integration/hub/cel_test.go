package hub_test

import (
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// wantRefused checks that the API server refused an object and said what to write instead.
func wantRefused(t *testing.T, err error, parts ...string) {
	t.Helper()
	if !apierrors.IsInvalid(err) && !apierrors.IsForbidden(err) {
		t.Errorf("got %v, want a refusal", err)
		return
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the refusal is %q, without %q", err, part)
		}
	}
}

// allowTenant lets a user write Clusters and ClusterCredentials in a namespace.
func (f *fleet) allowTenant(namespace, user string) {
	f.t.Helper()
	f.create(&rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "tenant"}, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{v1alpha1.GroupVersion.Group}, Resources: []string{"clusters", "clustercredentials"}, Verbs: []string{"*"}},
	}})
	f.create(&rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "tenant"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "tenant"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}},
	})
}

func addresses(pods, services string) func(*v1alpha1.Cluster) {
	return func(c *v1alpha1.Cluster) {
		c.Spec.Network = &v1alpha1.ClusterNetwork{PodCIDR: pods, ServiceCIDR: services}
	}
}

func inVPC(network v1alpha1.ClusterNetwork) func(*v1alpha1.Cluster) {
	return func(c *v1alpha1.Cluster) { c.Spec.Network = &network }
}

func TestBadClustersAreRefused(t *testing.T) {
	f := newFleet(t)
	namespace := f.namespace("team")
	cases := map[string]struct {
		reason string
		change func(*v1alpha1.Cluster)
		parts  []string // empty: accepted
	}{
		"Good":            {reason: "all of it is in order", change: addresses("10.244.0.0/16", "10.96.0.0/16")},
		"Smallest":        {reason: "256 addresses are enough", change: addresses("10.0.0.0/24", "10.0.1.0/24")},
		"Overlap":         {reason: "a pod could have a Service's address", change: addresses("10.0.0.0/8", "10.96.0.0/16"), parts: []string{"overlap", "for example 10.244.0.0/16 and 10.96.0.0/16"}},
		"OverlapReversed": {reason: "whichever is the larger", change: addresses("10.96.4.0/24", "10.96.0.0/16"), parts: []string{"overlap"}},
		"Equal":           {reason: "equal ranges overlap", change: addresses("10.96.0.0/16", "10.96.0.0/16"), parts: []string{"overlap"}},
		"SmallPods":       {reason: "no node would get addresses", change: addresses("10.244.0.0/25", "10.96.0.0/16"), parts: []string{"podCIDR", "prefix length of 8 to 24", "for example 10.244.0.0/16"}},
		"SmallServices":   {reason: "too few Services", change: addresses("10.244.0.0/16", "10.96.0.0/28"), parts: []string{"serviceCIDR", "prefix length of 12 to 24"}},
		"LargeServices":   {reason: "kube-apiserver allows 20 bits", change: addresses("11.0.0.0/16", "10.0.0.0/11"), parts: []string{"serviceCIDR", "prefix length of 12 to 24"}},
		"LargePods":       {reason: "nothing is left for others", change: addresses("16.0.0.0/7", "10.96.0.0/16"), parts: []string{"podCIDR", "prefix length of 8 to 24"}},
		"HostBits":        {reason: "probably a typing error", change: addresses("10.244.1.0/16", "10.96.0.0/16"), parts: []string{"podCIDR", "shortest form", "for example 10.244.0.0/16"}},
		"NoNetwork":       {reason: "not a network at all", change: addresses("10.244.0.0", "ten"), parts: []string{"podCIDR", "serviceCIDR", "for example 10.96.0.0/16"}},
		"IPv6":            {reason: "not built yet", change: addresses("fd00::/64", "10.96.0.0/16"), parts: []string{"podCIDR", "IPv4"}},
		"Loopback":        {reason: "no host would route it", change: addresses("127.1.0.0/16", "10.96.0.0/16"), parts: []string{"podCIDR", "loopback"}},
		"Name":            {reason: "a dot is no part of a DNS label", change: func(c *v1alpha1.Cluster) { c.Name = "a.b" }, parts: []string{"DNS label", "at most 40", "for example team-a-prod"}},
		"LongName":        {reason: "names go into other names", change: func(c *v1alpha1.Cluster) { c.Name = strings.Repeat("a", 41) }, parts: []string{"at most 40"}},
		"DigitFirst":      {reason: "a letter comes first", change: func(c *v1alpha1.Cluster) { c.Name = "1prod" }, parts: []string{"starting with a letter"}},
		"UpperCase":       {reason: "Kubernetes itself refuses it", change: func(c *v1alpha1.Cluster) { c.Name = "Prod" }, parts: []string{"lower case"}},
		"Version":         {reason: "the v is missing", change: func(c *v1alpha1.Cluster) { c.Spec.Version = "1.36.3" }, parts: []string{"v1.N.P", "for example v1.36.3"}},
		"VersionShort":    {reason: "the patch is missing", change: func(c *v1alpha1.Cluster) { c.Spec.Version = "v1.36" }, parts: []string{"v1.N.P"}},
		"VersionZero":     {reason: "leading zeros are another version", change: func(c *v1alpha1.Cluster) { c.Spec.Version = "v1.036.3" }, parts: []string{"v1.N.P"}},
		"Availability":    {reason: "there are two kinds", change: func(c *v1alpha1.Cluster) { c.Spec.Availability = "Double" }, parts: []string{`supported values: "Single", "Zonal"`}},
		"NoRegion":        {reason: "it must lie somewhere", change: func(c *v1alpha1.Cluster) { c.Spec.Region = "" }, parts: []string{"spec.region", "or spec.residency"}},
		"Residency":       {reason: "the fleet chooses a region", change: anywhere("gdpr")},
		"EmptyResidency":  {reason: "it allows everything, which nobody means", change: func(c *v1alpha1.Cluster) { c.Spec.Residency = &v1alpha1.Residency{} }, parts: []string{"areas, regions or certifications", "for example areas: [eu]"}},
		"InVPC":           {reason: "its addresses are planned", change: inVPC(v1alpha1.ClusterNetwork{VPC: "prod", Nodes: 100})},
		"NoCIDRs":         {reason: "nobody plans them without a VPC", change: inVPC(v1alpha1.ClusterNetwork{PodCIDR: "10.244.0.0/16"}), parts: []string{"write podCIDR and serviceCIDR", "or the vpc"}},
		"NodesWithoutVPC": {reason: "nodes have addresses of a VPC", change: inVPC(v1alpha1.ClusterNetwork{PodCIDR: "10.244.0.0/16", ServiceCIDR: "10.96.0.0/16", Nodes: 3}), parts: []string{"planned in a vpc only"}},
		"NodeCIDR":        {reason: "host bits", change: inVPC(v1alpha1.ClusterNetwork{VPC: "prod", NodeCIDR: "10.0.0.1/24"}), parts: []string{"nodeCIDR", "shortest form", "for example 10.0.0.0/24"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			cluster := &v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "cel-" + strings.ToLower(name)}, Spec: v1alpha1.ClusterSpec{Region: f.name}}
			tc.change(cluster)
			err := f.api.Create(t.Context(), cluster)
			if len(tc.parts) > 0 {
				wantRefused(t, err, tc.parts...)
			} else if err != nil {
				t.Errorf("%s: %v", tc.reason, err)
			}
		})
	}
}

func TestImmutableFieldsOfClusters(t *testing.T) {
	f := newFleet(t)
	cluster := f.cluster(f.namespace("team"), "prod", addresses("10.244.0.0/16", "10.96.0.0/16"))
	bare := f.cluster(cluster.Namespace, "bare")
	cases := map[string]struct {
		cluster *v1alpha1.Cluster
		patch   string
		parts   []string
	}{
		"Region":             {cluster: cluster, patch: `{"spec":{"region":"elsewhere"}}`, parts: []string{"region is immutable", "create a new Cluster"}},
		"Template":           {cluster: cluster, patch: `{"spec":{"template":"other"}}`, parts: []string{"template is immutable", "create a new Cluster"}},
		"Availability added": {cluster: bare, patch: `{"spec":{"availability":"Zonal"}}`, parts: []string{"availability is immutable"}},
		"Network changed":    {cluster: cluster, patch: `{"spec":{"network":{"podCIDR":"10.245.0.0/16"}}}`, parts: []string{"network is immutable"}},
		"Network removed":    {cluster: cluster, patch: `{"spec":{"network":null}}`, parts: []string{"network is immutable"}},
		"Region removed":     {cluster: cluster, patch: `{"spec":{"region":null,"residency":{"areas":["eu"]}}}`, parts: []string{"region is immutable"}},
		"Cell added":         {cluster: bare, patch: `{"spec":{"cell":"x"}}`, parts: []string{"cell is immutable"}},
		"Network added":      {cluster: bare, patch: `{"spec":{"network":{"podCIDR":"10.244.0.0/16","serviceCIDR":"10.96.0.0/16"}}}`, parts: []string{"network is immutable"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			wantRefused(t, f.api.Patch(t.Context(), tc.cluster.DeepCopy(), client.RawPatch("application/merge-patch+json", []byte(tc.patch))), tc.parts...)
		})
	}
}

func TestOtherKindsAreChecked(t *testing.T) {
	f := newFleet(t)
	cell := f.cell("c1", func(c *v1alpha1.Cell) { c.Spec.CredentialGeneration = 3 })
	order := f.order(f.cluster(f.namespace("team"), "prod"))
	cases := map[string]struct {
		object client.Object
		patch  string
		parts  []string
	}{
		"generation":   {object: cell, patch: `{"spec":{"credentialGeneration":2}}`, parts: []string{"only grows"}},
		"cell region":  {object: cell, patch: `{"spec":{"region":"x"}}`, parts: []string{"region is immutable"}},
		"drill":        {object: cell, patch: `{"spec":{"drills":[{"zone":"z","mode":"Kill"}]}}`, parts: []string{"one of spec.zones"}},
		"area":         {object: f.region, patch: `{"spec":{"area":"us"}}`, parts: []string{"area is immutable"}},
		"ports":        {object: f.region, patch: `{"spec":{"gateway":{"lastPlainPort":1024}}}`, parts: []string{"firstPlainPort must not be above"}},
		"shared port":  {object: f.region, patch: `{"spec":{"gateway":{"port":20001}}}`, parts: []string{"outside firstPlainPort"}},
		"pool":         {object: f.region, patch: `{"spec":{"vpcs":[{"name":"p","nodePools":["10.0.0.1/8"],"podPools":["10.0.0.0/8"],"servicePools":["10.0.0.0/8"]}]}}`, parts: []string{"shortest form", "for example 10.0.0.0/12"}},
		"interfaces":   {object: cell, patch: `{"spec":{"network":{"interfacesPerNode":4}}}`, parts: []string{"needs addressesPerInterface"}},
		"reserve":      {object: cell, patch: `{"spec":{"reservePercent":100}}`, parts: []string{"reservePercent", "99"}},
		"no zones":     {object: cell, patch: `{"spec":{"zones":[]}}`, parts: []string{"zones"}},
		"id":           {object: order, patch: `{"spec":{"id":"zzzzzzzzzz"}}`, parts: []string{"id is immutable"}},
		"epoch":        {object: order, patch: `{"spec":{"epoch":0}}`, parts: []string{"epoch"}},
		"tombstone id": {object: order, patch: `{"spec":{"tombstone":{"id":"zzzzzzzzzz"}}}`, parts: []string{"tombstone.id must equal"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			object, ok := tc.object.DeepCopyObject().(client.Object)
			if !ok {
				t.Fatal("not an object")
			}
			wantRefused(t, f.api.Patch(t.Context(), object, client.RawPatch("application/merge-patch+json", []byte(tc.patch))), tc.parts...)
		})
	}
}
