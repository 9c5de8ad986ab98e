package load_test

import (
	"testing"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/load"
)

func with(name v1alpha1.LoadMetricName, value string, missing ...v1alpha1.LoadMetricName) *v1alpha1.Load {
	return &v1alpha1.Load{Metrics: []v1alpha1.LoadMetric{{Name: name, Value: resource.MustParse(value)}}, Missing: missing}
}

func TestMatters(t *testing.T) {
	for _, c := range []struct {
		reason        string
		before, after *v1alpha1.Load
		want          bool
	}{
		{"no load is no news", with("pods", "5"), nil, false},
		{"the first load is", nil, with("pods", "5"), true},
		{"the same is not", with("pods", "5"), with("pods", "5"), false},
		{"twice nearly nothing is nearly nothing", with("pods", "5"), with("pods", "10"), false},
		{"a lot that is less than a tenth", with("pods", "1000"), with("pods", "1090"), false},
		{"more than a tenth and a lot", with("pods", "1000"), with("pods", "1200"), true},
		{"downwards, too", with("pods", "1200"), with("pods", "1000"), true},
		{"all of it", with("pods", "1200"), with("pods", "0"), true},
		{"a share of a rate", with("writesPerSecond", "50500m"), with("writesPerSecond", "60"), true},
		{"etcd's file breathes", with("databaseBytes", "20Mi"), with("databaseBytes", "30Mi"), false},
		{"another one is missing", with("pods", "5"), with("pods", "5", "nodes"), true},
		{"none is missing any more", with("pods", "5", "nodes"), with("pods", "5"), true},
		{"the same are missing in another order", with("pods", "5", "nodes", "watches"), with("pods", "5", "watches", "nodes"), false},
		{"a metric that an older agent did not know", &v1alpha1.Load{}, with("pods", "0"), true},
	} {
		if got := load.Matters(c.before, c.after); got != c.want {
			t.Errorf("%s: got %t", c.reason, got)
		}
	}
	for _, name := range load.Names() {
		if !load.Matters(with(name, "1"), with(name, "1G")) {
			t.Errorf("%s may move without mattering", name)
		}
	}
}

func TestLost(t *testing.T) {
	now := with("pods", "1", "nodes")
	for reason, c := range map[string]struct {
		others []*v1alpha1.Load
		want   bool
	}{
		"it was known":          {[]*v1alpha1.Load{with("pods", "1"), with("pods", "1")}, true},
		"it was missing before": {[]*v1alpha1.Load{with("pods", "1"), with("pods", "1", "nodes")}, false},
	} {
		if got := load.Lost(now, c.others...); got != c.want {
			t.Errorf("%s: got %t", reason, got)
		}
	}
}
