package e2e

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/test/lab"
)

// TestLabBlocked: a guest that cannot start says what lacks, and starts once that is there.
func TestLabBlocked(t *testing.T) {
	s := labFleet(t)
	const image = "127.0.0.1:1/kube-scheduler:v0" // where nobody listens
	for _, tc := range []struct {
		name   string
		change func(*v1alpha1.ControlPlaneSpec)
		says   []string
	}{{
		name: "no-room",
		change: func(spec *v1alpha1.ControlPlaneSpec) {
			spec.Size.Etcd.Memory, spec.Size.Etcd.MemoryLimit = resource.MustParse("1Ti"), new(resource.MustParse("1Ti"))
		},
		says: []string{"etcd-", "Insufficient memory"},
	}, {
		name:   "no-image",
		change: func(spec *v1alpha1.ControlPlaneSpec) { spec.Images = map[string]string{"kube-scheduler": image} },
		says:   []string{"kube-scheduler-", image},
	}} {
		t.Run(tc.name, func(t *testing.T) {
			var good v1alpha1.ControlPlaneSpec
			g := s.createChanged(t, tc.name, func(spec *v1alpha1.ControlPlaneSpec) {
				good = *spec.DeepCopy()
				tc.change(spec)
			})
			s.awaitCondition(t, tc.name, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonBlocked, tc.says...)
			g.order(t, func(spec *v1alpha1.ControlPlaneSpec) { spec.Size, spec.Images = good.Size, good.Images })
			s.run(t, "cluster", "wait", tc.name)
		})
	}
}

// TestLabHostileWebhook: an admission webhook that keeps new pods out is named; guests that run go on.
func TestLabHostileWebhook(t *testing.T) {
	g := steadyInLab(t)
	before := g.instances(t)
	run := g.patientLoad(t, 521)
	quiet(t, run)
	remove := g.lab.webhook(t, g.labCell())
	t.Cleanup(func() { g.deleteCluster(t, "default", "refused") })
	g.run(t, "cluster", "create", "refused", "--region", "eu-frankfurt")
	g.awaitCondition(t, "refused", v1alpha1.ConditionReady, metav1.ConditionFalse, "", "hostile.example.com")
	remove(t)
	g.run(t, "cluster", "wait", "refused")
	quiet(t, run)
	if err := stop(t, run).Flawless(); err != nil {
		t.Error(err)
	}
	g.sameInstances(t, before, "a hostile webhook")
}

// webhook is asked before a pod of a cell's guests is created, and never answers. It is removed after
// the test, or by the function that it returns.
func (l *laboratory) webhook(t *testing.T, cell string) (remove func(*testing.T)) {
	t.Helper()
	hooks := l.admin.AdmissionregistrationV1().ValidatingWebhookConfigurations()
	hook := &admissionv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "hostile-" + cell},
		Webhooks: []admissionv1.ValidatingWebhook{{
			Name: "hostile.example.com", SideEffects: new(admissionv1.SideEffectClassNone), AdmissionReviewVersions: []string{"v1"},
			FailurePolicy: new(admissionv1.Fail), TimeoutSeconds: new(int32(1)),
			ClientConfig:      admissionv1.WebhookClientConfig{URL: new("https://127.0.0.1:1/")},
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{v1alpha1.LabelCell: cell}},
			Rules: []admissionv1.RuleWithOperations{{
				Operations: []admissionv1.OperationType{admissionv1.Create},
				Rule:       admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"}},
			}},
		}},
	}
	if _, err := hooks.Create(t.Context(), hook, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	remove = func(t *testing.T) {
		t.Helper()
		if err := client.IgnoreNotFound(hooks.Delete(context.Background(), hook.Name, metav1.DeleteOptions{})); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(func() { remove(t) })
	return remove
}

// beforeSealing is a render revision whose etcd and API servers both differ from the latest's.
const beforeSealing = 2

// TestLabKubeletStopsInAnUpdate stops the kubelet of the zone that an update has begun with. The update
// waits for it: no second zone is touched. It goes on once the kubelet does.
func TestLabKubeletStopsInAnUpdate(t *testing.T) {
	g := steadyInLab(t)
	plane, err := g.controlPlane(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	latest := plane.Spec.RenderRevision
	before := g.instances(t)
	run := g.load(t, 531)
	quiet(t, run)

	run.Mark("update")
	g.order(t, func(spec *v1alpha1.ControlPlaneSpec) { spec.RenderRevision = beforeSealing })
	zone := ""
	eventually(t, healBudget, "the update to begin with a zone", func(context.Context) (string, bool) {
		zone = firstChange(before, g.instances(t))
		return "nothing has changed", zone != ""
	})
	goOn := func() {
		if err := g.lab.Signal(context.Background(), zone, "kubelet", syscall.SIGCONT); err != nil {
			t.Error(err)
		}
	}
	run.Mark("stop")
	if err := g.lab.Signal(t.Context(), zone, "kubelet", syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(goOn)
	const patience = 15 * time.Second // longer than the lab takes to find that a node is away
	never(t, patience, "a second zone is touched while zone "+zone+" does not come back", func(context.Context) (string, bool) {
		return g.touchedBeside(t, before, zone)
	})
	quiet(t, run)
	run.Mark("go on")
	goOn()
	g.restarted(t, before, []string{"etcd", "kube-apiserver"})
	g.healthy(t, nil)
	quiet(t, run)
	report := stop(t, run)
	if err := report.Consistent(); err != nil {
		t.Error(err)
	}
	// The other marks hold drained restarts, see TestDrainedRestart.
	if stopped := report.Marks[1]; stopped.WritesBackSeconds > writesBackBudget {
		t.Errorf("after %q writes are back within %.1fs, want %ds", stopped.Name, stopped.WritesBackSeconds, writesBackBudget)
	}
	before = g.instances(t)
	g.order(t, func(spec *v1alpha1.ControlPlaneSpec) { spec.RenderRevision = latest })
	g.restarted(t, before, []string{"etcd", "kube-apiserver"})
	g.healthy(t, nil)
}

// firstChange is the zone of a component of etcd or of the API servers that is another one now.
func firstChange(before, now map[string]string) string {
	for component, instance := range before {
		if isOneOf(component, []string{"etcd", "kube-apiserver"}) && now[component] != instance {
			return component[strings.LastIndex(component, "-")+1:]
		}
	}
	return ""
}

// touchedBeside tells whether a zone's etcd or API server is another one than before, beside one zone.
func (g *guest) touchedBeside(t *testing.T, before map[string]string, zone string) (string, bool) {
	t.Helper()
	others := map[string]string{}
	for component, instance := range before {
		if !strings.HasSuffix(component, "-"+zone) {
			others[component] = instance
		}
	}
	second := firstChange(others, g.instances(t))
	return "zone " + second, second != ""
}

// TestLabNodeGone: what a zone has to offer changes within seconds after its node is gone, and again when
// it is back.
func TestLabNodeGone(t *testing.T) {
	g := steadyInLab(t)
	const zone, budget = "c", 30 * time.Second
	g.awaitNodes(t, zone, 1, budget)
	t.Cleanup(func() { g.hold(t, zone, "") })
	begun := time.Now()
	g.hold(t, zone, string(lab.Kill))
	g.awaitNodes(t, zone, 0, budget)
	t.Logf("the Cell's status tells of a dead node after %.1fs", time.Since(begun).Seconds())
	g.hold(t, zone, "")
	g.awaitNodes(t, zone, 1, healBudget)
	g.healthy(t, nil)
}

// awaitNodes waits until the Cell's status counts so many ready nodes in a zone.
func (g *guest) awaitNodes(t *testing.T, zone string, want int64, budget time.Duration) {
	t.Helper()
	eventually(t, budget, fmt.Sprintf("%d nodes in zone %s", want, zone), func(ctx context.Context) (string, bool) {
		var cell v1alpha1.Cell
		if err := g.hub.Get(ctx, client.ObjectKey{Name: g.cell}, &cell); err != nil {
			return err.Error(), false
		}
		for _, offered := range cell.Status.Zones {
			if offered.Name == zone && offered.Nodes != nil {
				return fmt.Sprintf("%+v", offered), *offered.Nodes == want
			}
		}
		return "the zone is not reported", want == 0
	})
}
