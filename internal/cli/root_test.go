package cli

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/local"
	"github.com/myriad-fleet/myriad/internal/runtime"
)

func TestCompletion(t *testing.T) {
	cases := map[string]struct {
		reason string
		words  []string
		want   []string
	}{
		"Cluster":    {"clusters of the namespace", []string{"cluster", "get", ""}, []string{"hello", "waiting"}},
		"Namespace":  {"-n counts", []string{"-n", "team-b", "cluster", "describe", ""}, nil},
		"OneCluster": {"describe takes one cluster", []string{"cluster", "describe", "hello", ""}, nil},
		"Region":     {"a flag's values", []string{"cluster", "create", "a", "--region", ""}, []string{"cn-hangzhou", "eu-frankfurt"}},
		"Cell":       {"cells", []string{"cell", "cordon", ""}, []string{"fra-1", "hz-1"}},
		"Place":      {"cells and regions", []string{"zone", "fail", ""}, []string{"fra-1", "hz-1", "cn-hangzhou", "eu-frankfurt"}},
		"Zone":       {"zones", []string{"zone", "fail", "hz-1", ""}, []string{"a", "b", "c"}},
		"Output":     {"fixed words", []string{"cluster", "list", "-o", ""}, outputs},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, interceptor.Funcs{}, append(fleet(), hello(), unready("waiting", "", ""))...)
			f.want(exitOK, append([]string{"__complete"}, tc.words...)...)
			lines := strings.Split(strings.TrimSpace(f.out.String()), "\n")
			got := lines[:len(lines)-1] // the last line is a directive to the shell
			if diff := cmp.Diff(append([]string{}, tc.want...), append([]string{}, got...)); diff != "" {
				t.Errorf("%s: -want +got\n%s", tc.reason, diff)
			}
		})
	}
}

func TestCompletionWithoutAHub(t *testing.T) {
	f := newFixture(t, interceptor.Funcs{
		List: func(ctx context.Context, _ client.WithWatch, _ client.ObjectList, _ ...client.ListOption) error {
			if _, ok := ctx.Deadline(); !ok {
				t.Error("the Tab key must not hang")
			}
			return errors.New("down")
		},
	})
	f.want(exitOK, "__complete", "cluster", "get", "")
	if !strings.HasPrefix(f.out.String(), ":") {
		t.Errorf("completed to %q, want nothing", f.out.String())
	}
}

func TestStatusTellsWhatIsWrong(t *testing.T) {
	objects := append(fleet(), hello(), unready("waiting", v1alpha1.ReasonNoRoom, ""))
	broken := objects[2].(*v1alpha1.Cell)
	broken.Status.Conditions = []metav1.Condition{condition(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonLeaseExpired, "")}
	broken.Status.Orphans = []v1alpha1.Orphan{orphan("o000000001", "team-a", "one")}
	f := newFixture(t, interceptor.Funcs{}, objects...)
	f.session.processes = func(context.Context, string) ([]local.Process, error) {
		return []local.Process{
			{Group: "cell-hz-1", Component: runtime.Component{Name: "agent", State: runtime.BackOff, Restarts: 4, LastExit: "exit status 1"}},
			{Group: "hub", Component: runtime.Component{Name: "etcd-a", State: runtime.Running, PID: 4711}},
		}, nil
	}
	f.want(exitNotReady, "status")
	f.golden("status-broken")
	want := "\nguests that run without an order: 1; take them over: myriad cell adopt --all\n" +
		"error: 1 of 2 cells not ready: hz-1 (LeaseExpired); look with 'myriad cell describe', or run 'myriad up' to start what is down\n"
	if diff := cmp.Diff(want, f.err.String()); diff != "" {
		t.Errorf("standard error: -want +got\n%s", diff)
	}
}

func TestStatusWithoutAHub(t *testing.T) {
	f := newFixture(t, interceptor.Funcs{
		List: func(context.Context, client.WithWatch, client.ObjectList, ...client.ListOption) error {
			return context.DeadlineExceeded
		},
	})
	f.session.processes = func(context.Context, string) ([]local.Process, error) {
		return []local.Process{{Group: "hub", Component: runtime.Component{Name: "etcd-a", State: runtime.BackOff, LastExit: "no space left on device"}}}, nil
	}
	f.want(exitNoFleet, "status")
	if !strings.Contains(f.out.String(), "no space left on device") {
		t.Errorf("the processes say why the hub is down: %s", f.out.String())
	}
}

func TestVersion(t *testing.T) {
	f := newFixture(t, interceptor.Funcs{}, fleet()...)
	f.want(exitOK, "version", "--client", "-o", "json")
	var got versions
	if err := json.Unmarshal(f.out.Bytes(), &got); err != nil || got.Client == "" || got.Go == "" {
		t.Errorf("versions %+v, error %v", got, err)
	}
	f.want(exitNoFleet, "version", "--home", t.TempDir())
	if !strings.HasPrefix(f.out.String(), "Client:") {
		t.Errorf("without a fleet the client's version is still told: %q", f.out.String())
	}
}

// TestReference keeps docs/cli.md what the program says; 'make generate' writes it.
func TestReference(t *testing.T) {
	f := newFixture(t, interceptor.Funcs{})
	f.want(exitOK, "docs")
	compareGolden(t, filepath.Join("..", "..", "docs", "cli.md"), f.out.String())
}

func TestEveryCommandIsExplained(t *testing.T) {
	f := newFixture(t, interceptor.Funcs{})
	for _, command := range leaves(newRoot(f.session)) {
		if command.Short == "" || strings.HasSuffix(command.Short, ".") {
			t.Errorf("%s: Short is %q: one line without a full stop", command.CommandPath(), command.Short)
		}
		if command.Args == nil {
			t.Errorf("%s takes any arguments and ignores them", command.CommandPath())
		}
	}
}
