package gear

import (
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

func TestCheckSaysWhatIsWrong(t *testing.T) {
	q := resource.MustParse
	for _, tc := range []struct {
		reason string
		change func(*v1alpha1.GearboxSpec)
		want   []string
	}{
		{"more load never needs less", func(b *v1alpha1.GearboxSpec) { b.Factors[0].CPU = q("-1m") }, []string{"spec.factors[0] (nodes).cpu", "negative"}},
		{"a base below nothing is none", func(b *v1alpha1.GearboxSpec) { b.Base.Memory = q("-1") }, []string{"spec.base.memory", "negative"}},
		{"a base that no gear could take", func(b *v1alpha1.GearboxSpec) { b.Base.CPU = q("80m") }, []string{"spec.ladder[0] (nano)", "never come down"}},
		{"numbers that overflow", func(b *v1alpha1.GearboxSpec) { b.Factors[0].Memory = q("8E") }, []string{"spec.factors[0] (nodes).memory", "any machine"}},
		{"a metric that nobody samples", func(b *v1alpha1.GearboxSpec) { b.Factors[0].Metric = "moons" }, []string{"spec.factors[0] (moons)", "no such metric", "nodes"}},
		{"a metric twice", func(b *v1alpha1.GearboxSpec) { b.Factors[1].Metric = v1alpha1.LoadNodes }, []string{"spec.factors[1] (nodes)", "already"}},
		{"no factors", func(b *v1alpha1.GearboxSpec) { b.Factors = nil }, []string{"spec.factors"}},
		{"no gears", func(b *v1alpha1.GearboxSpec) { b.Ladder = nil }, []string{"spec.ladder"}},
		{"a gear without name", func(b *v1alpha1.GearboxSpec) { b.Ladder[0].Name = "" }, []string{"spec.ladder[0] ()", "name"}},
		{"two gears of one name", func(b *v1alpha1.GearboxSpec) { b.Ladder[2].Name = "nano" }, []string{"spec.ladder[2] (nano)", "same name"}},
		{"a gear that sets nothing aside", func(b *v1alpha1.GearboxSpec) { b.Ladder[0].Size.Etcd.CPU = q("0") }, []string{"spec.ladder[0] (nano).size.etcd.cpu", "nothing aside"}},
		{"a limit below its request", func(b *v1alpha1.GearboxSpec) { b.Ladder[0].Size.Etcd.MemoryLimit = new(q("1Mi")) }, []string{"size.etcd.memoryLimit", "less than the request"}},
		{"an inversion of the ladder", func(b *v1alpha1.GearboxSpec) { b.Ladder[1], b.Ladder[2] = b.Ladder[2], b.Ladder[1] }, []string{"spec.ladder[2] (micro).size.apiServer.cpu", "smaller gear mini"}},
		{"an inversion of the tuning", func(b *v1alpha1.GearboxSpec) { b.Ladder[4].Tuning.MaxRequestsInFlight = 10 }, []string{"spec.ladder[4] (medium).tuning.maxRequestsInFlight"}},
		{"an inversion of the limits", func(b *v1alpha1.GearboxSpec) { b.Ladder[4].Limits.Nodes = 11 }, []string{"spec.ladder[4] (medium).limits.nodes"}},
		{"a limit above none", func(b *v1alpha1.GearboxSpec) { b.Ladder[3].Size.Etcd.CPULimit = nil }, []string{"spec.ladder[4] (medium).size.etcd.cpuLimit", "has none"}},
		{"a rung that is none", func(b *v1alpha1.GearboxSpec) {
			b.Ladder[1].Size = b.Ladder[0].Size
			b.Ladder[1].Tuning = b.Ladder[0].Tuning
		}, []string{"spec.ladder[1] (micro)", "no more"}},
		{"a gap in the ladder", func(b *v1alpha1.GearboxSpec) { b.Ladder = slices.Delete(b.Ladder, 1, 6) }, []string{"spec.ladder[1] (xlarge)", "gap"}},
		{"bands that overlap", func(b *v1alpha1.GearboxSpec) { b.Shifting.LeavePercent = 80 }, []string{"spec.shifting", "overlap"}},
		{"bands that overlap by a default", func(b *v1alpha1.GearboxSpec) { b.Shifting.LeavePercent, b.Shifting.EnterPercent = 0, 50 }, []string{"spec.shifting", "overlap"}},
		{"a band above all", func(b *v1alpha1.GearboxSpec) { b.Shifting.EnterPercent = 101 }, []string{"spec.shifting.enterPercent"}},
		{"a negative delay", func(b *v1alpha1.GearboxSpec) { b.Shifting.UpDelaySeconds = new(int32(-1)) }, []string{"spec.shifting.upDelaySeconds"}},
		{"in-flight limits of none", func(b *v1alpha1.GearboxSpec) { b.Ladder[0].Tuning.MaxRequestsInFlight = 0 }, []string{"spec.ladder[0] (nano).tuning", "let nothing in"}},
		{"controllers that stall", func(b *v1alpha1.GearboxSpec) { b.Ladder[0].Tuning.ControllerRequestsPerSecond = 1 }, []string{"controllerRequestsPerSecond"}},
		{"a soft limit above the hard one", func(b *v1alpha1.GearboxSpec) { b.Ladder[11].Tuning.APIServerMemory = new(q("1Ti")) }, []string{"spec.ladder[11] (32xlarge).tuning.apiServerMemory", "killed"}},
		{"a soft limit of nothing", func(b *v1alpha1.GearboxSpec) { b.Ladder[0].Tuning.APIServerMemory = new(q("0")) }, []string{"apiServerMemory", "garbage"}},
		{"a gear for no nodes", func(b *v1alpha1.GearboxSpec) { b.Ladder[0].Limits.Nodes = 0 }, []string{"spec.ladder[0] (nano).limits.nodes"}},
		{"a database that etcd warns of", func(b *v1alpha1.GearboxSpec) { b.Ladder[11].Limits.DatabaseBytes = q("9Gi") }, []string{"limits.databaseBytes", "8Gi"}},
	} {
		t.Run(tc.reason, func(t *testing.T) {
			box := Default()
			tc.change(&box)
			found := slices.ContainsFunc(Check(box), func(problem string) bool {
				return !slices.ContainsFunc(tc.want, func(part string) bool { return !strings.Contains(problem, part) })
			})
			if !found {
				t.Errorf("no problem says %q: %q", tc.want, Check(box))
			}
		})
	}
}

func TestMergeBounds(t *testing.T) {
	type b = v1alpha1.GearBounds
	for _, tc := range []struct {
		reason        string
		own, template *b
		want          b
		problem       string
	}{
		{"neither limits", nil, nil, b{}, ""},
		{"the template's hold", nil, &b{Min: "nano", Max: "large"}, b{Min: "nano", Max: "large"}, ""},
		{"the Cluster's are narrower", &b{Max: "mini"}, &b{Min: "nano", Max: "large"}, b{Min: "nano", Max: "mini"}, ""},
		{"a pin stands alone", &b{Pinned: "mini"}, &b{Min: "nano", Max: "large"}, b{Pinned: "mini"}, ""},
		{"outside the template's", &b{Max: "2xlarge"}, &b{Max: "large"}, b{Max: "large"}, "max 2xlarge"},
		{"a pin outside", &b{Pinned: "nano"}, &b{Min: "mini"}, b{Min: "mini"}, "pinned nano"},
		{"no gear", &b{Max: "huge"}, &b{Max: "large"}, b{Max: "large"}, `"huge" is no gear`},
		{"no gear in the template", nil, &b{Min: "huge", Max: "large"}, b{Max: "large"}, "the template's"},
		{"upside down", &b{Min: "large", Max: "nano"}, nil, b{}, "exchange"},
	} {
		t.Run(tc.reason, func(t *testing.T) {
			got, problem := Merge(Default(), tc.own, tc.template)
			if got != tc.want || (problem == "") != (tc.problem == "") || !strings.Contains(problem, tc.problem) {
				t.Errorf("got %+v, %q", got, problem)
			}
		})
	}
	if gear, ok := Initial(Default(), b{Min: "mini"}); !ok || gear.Name != "mini" {
		t.Error("the initial gear is not the smallest within bounds")
	}
	if n := EtcdQuotaBytes(Default(), b{Max: "medium"}); n != 4<<30 {
		t.Errorf("quota %d", n)
	}
}
