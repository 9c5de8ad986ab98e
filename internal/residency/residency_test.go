package residency

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

var (
	frankfurt = Place{Region: "eu-frankfurt", Area: "eu", Certifications: []string{"gdpr", "c5"}}
	ashburn   = Place{Region: "us-ashburn", Area: "us", Certifications: []string{"c5"}}
	gone      = Place{Region: "mars"}
)

func TestViolation(t *testing.T) {
	many := make([]string, 30)
	for i := range many {
		many[i] = fmt.Sprintf("region-%02d", i)
	}
	cases := map[string]struct {
		reason           string
		rule             *v1alpha1.Residency
		place            Place
		violation, basis string
	}{
		"NoRule":        {reason: "everywhere", place: ashburn},
		"NoRuleGone":    {reason: "without a rule nobody need know", place: gone},
		"Area":          {reason: "met", rule: &v1alpha1.Residency{Areas: []string{"cn", "eu"}}, place: frankfurt, basis: "area eu is one of cn, eu"},
		"OtherArea":     {reason: "not met", rule: &v1alpha1.Residency{Areas: []string{"eu"}}, place: ashburn, violation: "area us is none of eu"},
		"Region":        {reason: "met", rule: &v1alpha1.Residency{Regions: []string{"eu-frankfurt"}}, place: frankfurt, basis: "region eu-frankfurt is one of eu-frankfurt"},
		"OtherRegion":   {reason: "not met", rule: &v1alpha1.Residency{Regions: []string{"eu-paris"}}, place: frankfurt, violation: "region eu-frankfurt is none of eu-paris"},
		"Certification": {reason: "met", rule: &v1alpha1.Residency{Certifications: []string{"gdpr"}}, place: frankfurt, basis: "holds gdpr"},
		"OneMissing":    {reason: "all must be held, and only what lacks is named", rule: &v1alpha1.Residency{Certifications: []string{"gdpr", "c5", "mlps-3"}}, place: ashburn, violation: "region us-ashburn does not hold gdpr, mlps-3"},
		"EveryList": {
			reason: "a place must meet every list that is not empty", place: frankfurt,
			rule:  &v1alpha1.Residency{Areas: []string{"eu"}, Regions: []string{"eu-frankfurt"}, Certifications: []string{"gdpr"}},
			basis: "area eu is one of eu; region eu-frankfurt is one of eu-frankfurt; holds gdpr",
		},
		"OneList": {
			reason: "one list that is not met is enough", rule: &v1alpha1.Residency{Areas: []string{"us"}, Certifications: []string{"gdpr"}}, place: ashburn,
			violation: "region us-ashburn does not hold gdpr",
		},
		"Gone":      {reason: "removed while in use", rule: &v1alpha1.Residency{Areas: []string{"eu"}}, place: gone, violation: "there is no region mars: nobody knows its area"},
		"GoneNamed": {reason: "its name alone proves nothing", rule: &v1alpha1.Residency{Regions: []string{"mars"}}, place: gone, violation: "there is no region mars: nobody knows its area"},
		"Many": {
			reason: "a long list is cut", rule: &v1alpha1.Residency{Regions: many}, place: ashburn,
			violation: "region us-ashburn is none of region-00, region-01, region-02, region-03, region-04, region-05, region-06, region-07, region-08, region-09, …",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := Violation(tc.rule, tc.place); got != tc.violation {
				t.Errorf("%s: violation %q, want %q", tc.reason, got, tc.violation)
			}
			if tc.violation != "" {
				return
			}
			if got := Basis(tc.rule, tc.place); got != tc.basis {
				t.Errorf("%s: basis %q, want %q", tc.reason, got, tc.basis)
			}
		})
	}
}

func TestText(t *testing.T) {
	rule := &v1alpha1.Residency{Areas: []string{"eu", "cn"}, Regions: []string{"a"}, Certifications: []string{"gdpr"}}
	if got, want := Text(rule), "areas eu, cn; regions a; certifications gdpr"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := Text(nil); got != NoRule {
		t.Errorf("%q, want %q", got, NoRule)
	}
}

func TestSnapshots(t *testing.T) {
	rule := &v1alpha1.Residency{Areas: []string{"eu"}}
	for _, tc := range []struct {
		reason string
		rule   *v1alpha1.Residency
		store  *Place
		want   string
	}{
		{"no store, nothing to refuse", rule, nil, ""},
		{"no rule", nil, &ashburn, ""},
		{"allowed", rule, &frankfurt, ""},
		{"not allowed", rule, &ashburn, "the cell's snapshots are stored in region us-ashburn, and area us is none of eu"},
		{"unknown", rule, &gone, "the cell's snapshots are stored in region mars, and there is no region mars: nobody knows its area"},
	} {
		if got := Snapshots(tc.rule, tc.store); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.reason, got, tc.want)
		}
	}
	long := &v1alpha1.Residency{}
	for i := range 20 {
		long.Areas = append(long.Areas, fmt.Sprintf("area-%d-%s", i, strings.Repeat("ü", 13)))
		long.Regions = append(long.Regions, fmt.Sprintf("region-%02d-%s", i, strings.Repeat("x", 30)))
		long.Certifications = append(long.Certifications, fmt.Sprintf("certification-%02d-%s", i, strings.Repeat("x", 23)))
	}
	if got := Snapshots(long, &ashburn); utf8.RuneCountInString(got) > refusalLength || !utf8.ValidString(got) {
		t.Errorf("%d characters, the API takes %d: %s", utf8.RuneCountInString(got), refusalLength, got)
	}
}

func region(name, area, recipient string, certifications ...string) v1alpha1.Region {
	return v1alpha1.Region{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.RegionSpec{
		Area: area, EscrowRecipient: recipient, Certifications: certifications,
	}}
}

func cell(name, region, snapshots string) v1alpha1.Cell {
	return v1alpha1.Cell{
		ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.CellSpec{Region: region},
		Status: v1alpha1.CellStatus{SnapshotRegion: snapshots},
	}
}

// order of the guest in a cell, sealed to the key of its area.
func order(cell, region, recipient string, epoch int64) v1alpha1.ControlPlane {
	return v1alpha1.ControlPlane{
		ObjectMeta: metav1.ObjectMeta{Name: "k3x9q0v7ab", Namespace: v1alpha1.CellNamespace(cell)},
		Spec:       v1alpha1.ControlPlaneSpec{ID: "k3x9q0v7ab", Region: region, EscrowRecipient: recipient, Epoch: epoch},
	}
}

func stored(order v1alpha1.ControlPlane) v1alpha1.ControlPlane {
	order.Status.Etcd = &v1alpha1.EtcdStatus{LastSnapshot: &v1alpha1.EtcdSnapshot{Name: "one"}}
	return order
}

// testFleet: Frankfurt and Paris share a key; Ashburn's metrics stay, those of Paris flow to Ashburn; a cell
// in Frankfurt stores its snapshots there, and one in Ashburn.
func testFleet() Fleet {
	regions := []v1alpha1.Region{
		region("eu-frankfurt", "eu", "age1eu", "gdpr"), region("eu-paris", "eu", "age1eu"), region("us-ashburn", "us", "age1us"),
	}
	regions[1].Spec.MetricsRegion = "us-ashburn"
	return NewFleet(regions, []v1alpha1.Cell{
		cell("fra-1", "eu-frankfurt", "eu-frankfurt"), cell("fra-2", "eu-frankfurt", "us-ashburn"), cell("fra-3", "eu-frankfurt", ""),
		cell("par-1", "eu-paris", "mars"), cell("ash-1", "us-ashburn", "us-ashburn"),
	})
}

// lines are a report in short.
func lines(parts []Part) []string {
	var all []string
	for _, part := range parts {
		line := string(part.Kind) + " | " + part.Where + " | " + part.Basis
		if part.Violation != "" {
			line = "VIOLATION " + string(part.Kind) + " | " + part.Where + " | " + part.Violation
		}
		all = append(all, line)
	}
	return all
}

func TestReport(t *testing.T) {
	eu := &v1alpha1.Residency{Areas: []string{"eu"}}
	refused := order("fra-2", "eu-frankfurt", "age1eu", 1)
	refused.Spec.SnapshotsRefused = "area us is none of eu"
	superseded := stored(order("ash-1", "us-ashburn", "age1us", 1))
	superseded.Spec.SupersededBy = 2
	keyless := order("fra-3", "eu-frankfurt", "", 1)
	keyless.Status.Escrow = "sealed"
	cases := map[string]struct {
		reason string
		rule   *v1alpha1.Residency
		change func(Fleet)
		orders []v1alpha1.ControlPlane
		want   []string
	}{
		"NoGuest": {reason: "a Cluster that has no cell lies nowhere", rule: eu},
		"NoRule": {
			reason: "told of all the same", orders: []v1alpha1.ControlPlane{stored(order("ash-1", "us-ashburn", "age1us", 1))},
			want: []string{
				"control plane | region us-ashburn, cell ash-1 | ",
				"escrow | the hub, sealed to a key of region us-ashburn (area us) | ",
				"snapshots | region us-ashburn | ",
				"metrics | region us-ashburn first | ",
			},
		},
		"Allowed": {
			reason: "each part has its basis", rule: eu, orders: []v1alpha1.ControlPlane{stored(order("fra-1", "eu-frankfurt", "age1eu", 1))},
			want: []string{
				"control plane | region eu-frankfurt, cell fra-1 | area eu is one of eu",
				"escrow | the hub, sealed to a key of region eu-frankfurt (area eu), eu-paris (area eu) | only regions of areas within the rule have the key: eu",
				"snapshots | region eu-frankfurt | area eu is one of eu",
				"metrics | region eu-frankfurt first | area eu is one of eu",
			},
		},
		"Certification": {
			reason: "an area's key may be held in regions of the area that are not certified themselves",
			rule:   &v1alpha1.Residency{Certifications: []string{"gdpr"}}, orders: []v1alpha1.ControlPlane{order("fra-3", "eu-frankfurt", "age1eu", 1)},
			want: []string{
				"control plane | region eu-frankfurt, cell fra-3 | holds gdpr",
				"escrow | the hub, sealed to a key of region eu-frankfurt (area eu), eu-paris (area eu) | only regions of areas within the rule have the key: eu",
				"snapshots | nowhere: cell fra-3 has no store of snapshots | cell fra-3 has no store of snapshots",
				"metrics | region eu-frankfurt first | holds gdpr",
			},
		},
		"Elsewhere": {
			reason: "every part is judged by its own place", rule: eu, orders: []v1alpha1.ControlPlane{order("par-1", "eu-paris", "age1eu", 1)},
			want: []string{
				"control plane | region eu-paris, cell par-1 | area eu is one of eu",
				"escrow | the hub, sealed to a key of region eu-frankfurt (area eu), eu-paris (area eu) | only regions of areas within the rule have the key: eu",
				"VIOLATION snapshots | region mars | there is no region mars: nobody knows its area",
				"VIOLATION metrics | region us-ashburn first | area us is none of eu",
			},
		},
		"Refused": {
			reason: "what is refused and was never stored lies nowhere", rule: eu, orders: []v1alpha1.ControlPlane{refused},
			want: []string{
				"control plane | region eu-frankfurt, cell fra-2 | area eu is one of eu",
				"escrow | the hub, sealed to a key of region eu-frankfurt (area eu), eu-paris (area eu) | only regions of areas within the rule have the key: eu",
				"snapshots | nowhere: none was stored, and they are refused: area us is none of eu | none was stored, and they are refused: area us is none of eu",
				"metrics | region eu-frankfurt first | area eu is one of eu",
			},
		},
		"RefusedLate": {
			reason: "a refusal removes nothing", rule: eu, orders: []v1alpha1.ControlPlane{stored(refused)},
			want: []string{
				"control plane | region eu-frankfurt, cell fra-2 | area eu is one of eu",
				"escrow | the hub, sealed to a key of region eu-frankfurt (area eu), eu-paris (area eu) | only regions of areas within the rule have the key: eu",
				"VIOLATION snapshots | region us-ashburn, stored before they were refused | area us is none of eu",
				"metrics | region eu-frankfurt first | area eu is one of eu",
			},
		},
		"Superseded": {
			reason: "the data of a frozen copy is data, too, and its key is a key", rule: eu,
			orders: []v1alpha1.ControlPlane{superseded, order("fra-1", "eu-frankfurt", "age1eu", 2)},
			want: []string{
				"control plane | region eu-frankfurt, cell fra-1 | area eu is one of eu",
				"VIOLATION control plane | region us-ashburn, cell ash-1 (a superseded copy: frozen, its data is kept) | area us is none of eu",
				"escrow | the hub, sealed to a key of region eu-frankfurt (area eu), eu-paris (area eu) | only regions of areas within the rule have the key: eu",
				"VIOLATION escrow | the hub, sealed to a key of region us-ashburn (area us) | region us-ashburn has the same recovery key, and no region of its area us meets the rule",
				"snapshots | region eu-frankfurt | area eu is one of eu",
				"VIOLATION snapshots | region us-ashburn | area us is none of eu",
				"metrics | region eu-frankfurt first | area eu is one of eu",
			},
		},
		"SharedKey": {
			reason: "a key that another area has, too, opens the escrow there", rule: eu,
			change: func(f Fleet) { f.Regions["us-ashburn"].Spec.EscrowRecipient = "age1eu" },
			orders: []v1alpha1.ControlPlane{order("fra-3", "eu-frankfurt", "age1eu", 1)},
			want: []string{
				"control plane | region eu-frankfurt, cell fra-3 | area eu is one of eu",
				"VIOLATION escrow | the hub, sealed to a key of region eu-frankfurt (area eu), eu-paris (area eu), us-ashburn (area us) | region us-ashburn has the same recovery key, and no region of its area us meets the rule",
				"snapshots | nowhere: cell fra-3 has no store of snapshots | cell fra-3 has no store of snapshots",
				"metrics | region eu-frankfurt first | area eu is one of eu",
			},
		},
		"RegionGone": {
			reason: "removed while in use: nothing of it can be vouched for", rule: eu,
			change: func(f Fleet) {
				delete(f.Regions, "eu-frankfurt")
				delete(f.Regions, "eu-paris")
				delete(f.Cells, "fra-1")
			},
			orders: []v1alpha1.ControlPlane{stored(order("fra-1", "eu-frankfurt", "age1eu", 1))},
			want: []string{
				"VIOLATION control plane | region eu-frankfurt, cell fra-1 | there is no region eu-frankfurt: nobody knows its area",
				"VIOLATION escrow | the hub, sealed to a key of nobody known | no region names the key any more: nobody knows where it is held",
				"VIOLATION snapshots | not known: snapshots were stored, and cell fra-1 does not say where | nobody knows where the snapshots lie",
				"VIOLATION metrics | region eu-frankfurt first | there is no region eu-frankfurt: nobody knows its area",
			},
		},
		"Keyless": {
			reason: "an escrow without a key that is known is sealed to somebody", rule: eu, orders: []v1alpha1.ControlPlane{keyless},
			want: []string{
				"control plane | region eu-frankfurt, cell fra-3 | area eu is one of eu",
				"VIOLATION escrow | the hub, sealed to a key of nobody known | no region names the key any more: nobody knows where it is held",
				"snapshots | nowhere: cell fra-3 has no store of snapshots | cell fra-3 has no store of snapshots",
				"metrics | region eu-frankfurt first | area eu is one of eu",
			},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			fleet := testFleet()
			if tc.change != nil {
				tc.change(fleet)
			}
			parts := Report(fleet.Guest(tc.rule, tc.orders))
			if diff := cmp.Diff(tc.want, lines(parts)); diff != "" {
				t.Errorf("%s: -want +got\n%s", tc.reason, diff)
			}
			var violated []string
			for _, line := range tc.want {
				if strings.HasPrefix(line, "VIOLATION") {
					violated = append(violated, line)
				}
			}
			if diff := cmp.Diff(violated, lines(Violated(parts))); diff != "" {
				t.Errorf("violated: -want +got\n%s", diff)
			}
			for _, part := range parts {
				if part.Rule != Text(tc.rule) {
					t.Errorf("%s is told under rule %q", part.Kind, part.Rule)
				}
			}
		})
	}
}

func TestNoEscrow(t *testing.T) {
	parts := Report(testFleet().Guest(&v1alpha1.Residency{Areas: []string{"eu"}}, []v1alpha1.ControlPlane{order("fra-3", "eu-frankfurt", "", 1)}))
	if got, want := lines(parts)[1], "escrow | nowhere: there is no escrow | there is no escrow"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestRefusal(t *testing.T) {
	eu := &v1alpha1.Residency{Areas: []string{"eu"}}
	for _, tc := range []struct {
		reason, region string
		rule           *v1alpha1.Residency
		want           string
	}{
		{"all of it lies in the area", "eu-frankfurt", eu, ""},
		{"no rule", "us-ashburn", nil, ""},
		{"the region itself", "us-ashburn", eu, "area us is none of eu"},
		{"metrics leave the area", "eu-paris", eu, "its metrics flow to region us-ashburn, and area us is none of eu"},
		{"no such region", "mars", eu, "there is no region mars: nobody knows its area"},
	} {
		if got := testFleet().Refusal(tc.rule, tc.region); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.reason, got, tc.want)
		}
	}
	shared := testFleet()
	shared.Regions["us-ashburn"].Spec.EscrowRecipient = "age1eu"
	want := "region us-ashburn has the same recovery key, and no region of its area us meets the rule"
	if got := shared.Refusal(eu, "eu-frankfurt"); got != want {
		t.Errorf("a key that another area has, too: %q, want %q", got, want)
	}
}

// TestPlacedIsResident: a guest that lies where nothing refuses it, with its snapshots refused as Snapshots
// says, has nothing that violates its rule; and whatever lies elsewhere is a violation.
func TestPlacedIsResident(t *testing.T) {
	areas, certifications := []string{"cn", "eu", "us"}, []string{"gdpr", "mlps-3"}
	names := []string{"r0", "r1", "r2", "r3", "gone"}
	rapid.Check(t, func(t *rapid.T) {
		var regions []v1alpha1.Region
		for _, name := range names[:4] {
			made := region(name, rapid.SampledFrom(areas).Draw(t, "area"), rapid.SampledFrom([]string{"", "age1a", "age1b"}).Draw(t, "key"),
				rapid.SliceOfNDistinct(rapid.SampledFrom(certifications), 0, 2, rapid.ID).Draw(t, "held")...)
			made.Spec.MetricsRegion = rapid.SampledFrom(append([]string{""}, names...)).Draw(t, "metrics")
			regions = append(regions, made)
		}
		at := rapid.SampledFrom(names).Draw(t, "at")
		fleet := NewFleet(regions, []v1alpha1.Cell{cell("c", at, rapid.SampledFrom(append([]string{""}, names...)).Draw(t, "store"))})
		rule := &v1alpha1.Residency{
			Areas:          rapid.SliceOfNDistinct(rapid.SampledFrom(areas), 1, 2, rapid.ID).Draw(t, "areas"),
			Regions:        rapid.SliceOfNDistinct(rapid.SampledFrom(names), 0, 4, rapid.ID).Draw(t, "regions"),
			Certifications: rapid.SliceOfNDistinct(rapid.SampledFrom(certifications), 0, 2, rapid.ID).Draw(t, "wanted"),
		}
		recipient := ""
		if known := fleet.Regions[at]; known != nil {
			recipient = known.Spec.EscrowRecipient
		}
		guest := order("c", at, recipient, 1)
		guest.Spec.SnapshotsRefused = Snapshots(rule, fleet.Store("c"))
		violated := Violated(Report(fleet.Guest(rule, []v1alpha1.ControlPlane{guest})))
		if refusal := fleet.Refusal(rule, at); (refusal == "") != (len(violated) == 0) {
			t.Fatalf("refused: %q; violated: %v", refusal, lines(violated))
		}
	})
}
