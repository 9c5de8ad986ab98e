package cli

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/capacity"
	"github.com/myriad-fleet/myriad/internal/capacity/capacitytest"
)

// exampleFleet is the fleet of docs/examples, which docs/capacity.md shows the plan of.
var exampleFleet = filepath.Join("..", "..", "docs", "examples", "fleet.yaml")

// planned is a small fleet as the hub holds it: docs/capacity.md shows what myriad says of it.
func planned() []client.Object {
	made := capacitytest.Objects(capacitytest.Small(epoch))
	var objects []client.Object
	for i := range made.Regions {
		objects = append(objects, &made.Regions[i])
	}
	for i := range made.Cells {
		objects = append(objects, &made.Cells[i])
	}
	for i := range made.ControlPlanes {
		objects = append(objects, &made.ControlPlanes[i])
	}
	for i := range made.Clusters {
		objects = append(objects, &made.Clusters[i])
	}
	for i := range made.Templates {
		objects = append(objects, &made.Templates[i])
	}
	return objects
}

func TestPlanOutput(t *testing.T) {
	f := newFixture(t, interceptor.Funcs{}, planned()...)
	for name, words := range map[string]string{
		"plan-capacity":       "plan capacity",
		"plan-capacity-grown": "plan capacity --region eu-frankfurt --growth +5/week --days 90 --runs 20",
		"plan-capacity-json":  "plan capacity --region us-ashburn --growth -5%/month -o json",
		"plan-fleet":          "plan fleet -f " + exampleFleet,
		"plan-lose-zone":      "plan what-if lose-zone hz-1/b",
		"plan-lose-cell":      "plan what-if lose-cell fra-1",
		"plan-double-tenant":  "plan what-if double-tenant team-03",
		"plan-upgrade-surge":  "plan what-if upgrade-surge 20",
		"plan-lose-zone-json": "plan what-if lose-zone iad-1/a -o json",
	} {
		f.want(exitOK, strings.Fields(words)...)
		f.golden(name)
	}
}

// TestPlanHTML: the file is written whole, and the JSON beside it.
func TestPlanHTML(t *testing.T) {
	f := newFixture(t, interceptor.Funcs{}, planned()...)
	file := filepath.Join(t.TempDir(), "capacity.html")
	f.want(exitOK, "plan", "capacity", "--runs", "5", "-o", "json", "--html", file)
	var found capacity.Capacity
	if err := json.Unmarshal(f.out.Bytes(), &found); err != nil || len(found.Regions) != 3 {
		t.Errorf("%d regions, error %v", len(found.Regions), err)
	}
	html, err := os.ReadFile(file)
	if err != nil || !strings.Contains(string(html), "</html>") || f.err.String() != "the report is in "+file+"\n" {
		t.Errorf("%d bytes, error %v, said %q", len(html), err, f.err.String())
	}
	f.want(exitOK, "plan", "fleet", "-f", exampleFleet, "--html", file)
	f.want(exitUsage, "plan", "capacity", "--html", filepath.Dir(file))
	f.want(exitUsage, "plan", "fleet", "-f", exampleFleet, "--html", filepath.Join(t.TempDir(), "none", "plan.html"))
}

func TestPlanRefuses(t *testing.T) {
	f := newFixture(t, interceptor.Funcs{}, planned()...)
	cases := map[string]struct {
		code  int
		words string
		want  string
	}{
		"GrowthOfMinusHundred": {exitUsage, "plan capacity --growth -100%/year", `--growth: growth "-100%/year" leaves no guest after one year: a fleet shrinks by less than 100 %; write for example -5%/year`},
		"Nonsense":             {exitUsage, "plan capacity --growth fast", `--growth: growth "fast" is not understood: write for example 2x/year`},
		"NoDays":               {exitUsage, "plan capacity --days 0", "0 days cannot be looked ahead: write 1 to 3660"},
		"NoRuns":               {exitUsage, "plan capacity --runs 0", "0 runs give no forecast"},
		"Drift":                {exitUsage, "plan capacity --drift-up 100", "a drift up of 100 % a month is no share of guests: write 0 to 99"},
		"Names":                {exitUsage, "plan capacity -o name", "--output name says nothing here"},
		"Region":               {exitNotFound, "plan capacity --region cn-hangzou", "did you mean cn-hangzhou"},
		"NoZone":               {exitUsage, "plan what-if lose-zone hz-1", "write CELL/ZONE, for example hz-1/b"},
		"Zone":                 {exitNotFound, "plan what-if lose-zone hz-1/x", "zone of cell hz-1"},
		"Cell":                 {exitNotFound, "plan what-if lose-cell hz-9", "did you mean hz-"},
		"Tenant":               {exitNotFound, "plan what-if double-tenant nobody", "tenant with guests"},
		"SurgeOfNothing":       {exitUsage, "plan what-if upgrade-surge 0", "write 1 to 100"},
		"SurgeOfWords":         {exitUsage, "plan what-if upgrade-surge many", "write a whole number of percent"},
		"NoFile":               {exitUsage, "plan fleet", "docs/examples/fleet.yaml is one to start from"},
		"MissingFile":          {exitNotFound, "plan fleet -f none.yaml", "there is no file none.yaml"},
	}
	for name, tc := range cases {
		f.want(tc.code, strings.Fields(tc.words)...)
		if !strings.Contains(f.err.String(), tc.want) {
			t.Errorf("%s: said %q, must contain %q", name, f.err.String(), tc.want)
		}
	}
}

// TestPlanIsForOperators: who may not read all guests is told so.
func TestPlanIsForOperators(t *testing.T) {
	f := newFixture(t, interceptor.Funcs{
		List: func(ctx context.Context, hub client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
			if _, ok := list.(*v1alpha1.ControlPlaneList); ok {
				return apierrors.NewForbidden(schema.GroupResource{Group: "fleet.myriad.dev", Resource: "controlplanes"}, "", nil)
			}
			return hub.List(ctx, list, options...)
		},
	}, planned()...)
	f.want(exitFailure, "plan", "capacity")
	if want := "plan: only operators may plan"; !strings.Contains(f.err.String(), want) {
		t.Errorf("said %q, must contain %q", f.err.String(), want)
	}
}

// TestPlanEmptyFleet: without cells there is nothing to plan with.
func TestPlanEmptyFleet(t *testing.T) {
	f := newFixture(t, interceptor.Funcs{})
	f.want(exitNotFound, "plan", "capacity")
	f.wantError("the fleet has no cell; run 'myriad up', or have a Kubernetes cluster join: myriad up --cell NAME=KUBECONFIG")
}

// TestPlanFleetFile: every problem is listed with its place and what to write instead.
func TestPlanFleetFile(t *testing.T) {
	f := newFixture(t, interceptor.Funcs{})
	cases := map[string]struct {
		file string
		want []string
	}{
		"Empty":   {"", []string{"it is empty; write at least node, cell, mix and regions"}},
		"Nothing": {"{}", []string{"node.cores: it is 0", "node.memory: it is 0", "cell.zones: it is 0", "cell.maxNodesPerZone: it is 0", "regions: there is none"}},
		"Unknown": {"regions: []\nregoins: []\ncell: {zone: 3}\n", []string{`line 2: unknown field "regoins"`, "did you mean regions", `line 3: unknown field "cell.zone"`, "did you mean zones"}},
		"Twice":   {"days: 1\ndays: 2\n", []string{`key "days" already set in map`}},
		"Type":    {"days: many\n", []string{"days: it is a string: write a number"}},
		"Quantity": {"node: {cores: lots}\n", []string{
			"quantities are written as in Kubernetes: 30, 500m, 120Gi",
		}},
		"BadNumbers": {
			`{days: 30, growth: -100%/month, mix: [{weight: 0, gear: nano}], node: {cores: 30, memory: 120Gi, interfaces: 4, pricePerMonth: -1},
cell: {zones: 0, maxNodesPerZone: 3, reservePercent: 100}, regions: [{name: r, guests: 0}, {name: r, guests: 5, mix: []}]}`,
			[]string{
				`growth: growth "-100%/month" leaves no guest after one month`, "mix: the weights sum to 0: give at least one part a weight of 1 or more",
				"node.addressesPerInterface: it is missing", "node.pricePerMonth: it is -1", "cell.zones: it is 0: write how many zones a cell spans",
				"cell.reservePercent: it is 100: a reserve of 100 % leaves nothing to guests; write 0 to 99, for example 40",
				"regions[0].guests: it is 0: write how many guests the region has", "regions[1].name: r is there already", "regions[1].mix: it is empty",
			},
		},
		"Misfits": {
			`{growth: 2x/year, mix: [{weight: 1, gear: nono}, {weight: 1, gear: 32xlarge}, {weight: 1, gear: nano, availability: Triple}], node: {cores: 30, memory: 120Gi},
cell: {zones: 2, maxNodesPerZone: 3}, regions: [{name: r, guests: 10}]}`,
			[]string{
				"mix[0].gear: there is no gear nono", "did you mean nano", "mix[1].gear: an API server of 32xlarge asks for 37 cores and 96Gi of memory, a node has 30 and 120Gi",
				`mix[2].availability: it is "Triple": write Single or Zonal`, "days: it is 0, and growth is given", "cell.zones: it is 2, and r has Zonal guests: write at least 3",
			},
		},
		"TooLarge": {
			`{mix: [{weight: 1, gear: 8xlarge}], node: {cores: 16, memory: 64Gi}, cell: {zones: 3, maxNodesPerZone: 1}, regions: [{name: r, guests: 10}]}`,
			[]string{"regions[0] (r): a Zonal 8xlarge guest finds no place in an empty cell of 3 zones with 1 nodes"},
		},
	}
	for name, tc := range cases {
		file := filepath.Join(t.TempDir(), "fleet.yaml")
		if err := os.WriteFile(file, []byte(tc.file), 0o600); err != nil {
			t.Fatal(err)
		}
		f.want(exitUsage, "plan", "fleet", "-f", file)
		for _, want := range tc.want {
			if !strings.Contains(f.err.String(), want) {
				t.Errorf("%s: said %q, must contain %q", name, f.err.String(), want)
			}
		}
	}
}

// shownIn a document is an output of a golden file, between comments that name it.
var shownIn = regexp.MustCompile(`(?s)<!-- (plan-[a-z-]+) -->\n\n(.*?)\n\n<!-- end -->`)

// TestCapacityDocument: the outputs that docs/capacity.md shows are those of the tests. -update writes them anew.
func TestCapacityDocument(t *testing.T) {
	file := filepath.Join("..", "..", "docs", "capacity.md")
	document, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	wanted := shownIn.ReplaceAllStringFunc(string(document), func(block string) string {
		count++
		name := shownIn.FindStringSubmatch(block)[1]
		golden, err := os.ReadFile(filepath.Join("testdata", name+".golden"))
		if err != nil {
			t.Fatal(err)
		}
		indented := regexp.MustCompile(`(?m)^(.)`).ReplaceAllString(strings.TrimSpace(string(golden)), "    $1")
		return "<!-- " + name + " -->\n\n" + indented + "\n\n<!-- end -->"
	})
	if count != 8 {
		t.Errorf("docs/capacity.md shows %d outputs, want 8", count)
	}
	if *update {
		if err := os.WriteFile(file, []byte(wanted), 0o600); err != nil {
			t.Fatal(err)
		}
	} else if diff := cmp.Diff(wanted, string(document)); diff != "" {
		t.Errorf("docs/capacity.md; run 'go test ./internal/cli -update': -golden +document\n%s", diff)
	}
}

// shrunk is the fleet of the examples after cell fra-1 lost a tenth of its machines.
func shrunk() []client.Object {
	objects := planned()
	for _, object := range objects {
		if cell, ok := object.(*v1alpha1.Cell); ok && cell.Name == "fra-1" {
			for i := range cell.Status.Zones {
				zone := &cell.Status.Zones[i]
				zone.CPU.Set(zone.CPU.Value() * 9 / 10)
				zone.Memory.Set(zone.Memory.Value() * 9 / 10)
			}
		}
	}
	return objects
}

func TestPlanRebalance(t *testing.T) {
	f := newFixture(t, interceptor.Funcs{}, planned()...)
	f.want(exitOK, "plan", "rebalance")
	f.golden("plan-rebalance-none")
	f = newFixture(t, interceptor.Funcs{}, shrunk()...)
	f.want(exitOK, "plan", "rebalance")
	f.golden("plan-rebalance")
	f.want(exitOK, "plan", "rebalance", "-o", "json")
	var found capacity.Rebalancing
	if err := json.Unmarshal(f.out.Bytes(), &found); err != nil || len(found.Over) == 0 || len(found.Moves) == 0 {
		t.Errorf("%d levels over, %d moves, error %v", len(found.Over), len(found.Moves), err)
	}
	f.want(exitUsage, "plan", "rebalance", "-o", "name")
}
