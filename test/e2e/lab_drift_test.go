package e2e

import (
	"context"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// driftBudget is from the deletion of an object until there is another one.
const driftBudget = 10 * time.Second

// TestLabDrift deletes objects of a running guest, under load. There is another one within seconds, and
// where the object serves no requests by itself, none fails.
func TestLabDrift(t *testing.T) {
	g := steadyInLab(t)
	admin := g.lab.client(t, g)
	scheduler, manager := g.anyOf(t, "kube-scheduler"), g.anyOf(t, "kube-controller-manager")
	run := g.patientLoad(t, 541)
	quiet(t, run)
	for _, object := range []client.Object{
		&policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Name: "etcd"}},
		&networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Name: "etcd-a"}},
		&networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Name: "kube-apiserver-b"}},
		&corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: manager}},
		&appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Name: scheduler}},
	} {
		g.deletedAnew(t, admin, object)
	}
	g.deleteSecret(t, admin, manager)
	g.healthy(t, nil)
	quiet(t, run)
	if err := stop(t, run).Flawless(); err != nil {
		t.Error(err)
	}
}

// TestLabDriftInAZone deletes what a zone's part of a guest consists of, one after the other. The other
// zones serve on.
func TestLabDriftInAZone(t *testing.T) {
	g := steadyInLab(t)
	admin := g.lab.client(t, g)
	run := g.load(t, 542)
	quiet(t, run)
	for _, object := range []client.Object{
		&corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "kube-apiserver-c"}},
		&appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Name: "kube-apiserver-c"}},
		&appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Name: "etcd-c"}},
	} {
		run.Mark(object.GetName())
		g.deletedAnew(t, admin, object)
		g.healthy(t, nil)
		quiet(t, run)
	}
	report := stop(t, run)
	if err := report.Consistent(); err != nil {
		t.Error(err)
	}
	for _, mark := range report.Marks {
		if mark.WritesBackSeconds > writesBackBudget {
			t.Errorf("after the deletion of %s writes are back within %.1fs, want %ds", mark.Name, mark.WritesBackSeconds, writesBackBudget)
		}
	}
}

// deletedAnew deletes an object of the guest, with what it owns, and waits for another one.
func (g *guest) deletedAnew(t *testing.T, admin client.Client, object client.Object) {
	t.Helper()
	key := client.ObjectKeyFromObject(object)
	if err := admin.Get(t.Context(), key, object); err != nil {
		t.Fatal(err)
	}
	old := object.GetUID()
	if err := admin.Delete(t.Context(), object, client.PropagationPolicy(metav1.DeletePropagationBackground)); err != nil {
		t.Fatal(err)
	}
	awaitAnew(t, admin, object, old)
}

func awaitAnew(t *testing.T, admin client.Client, object client.Object, old types.UID) {
	t.Helper()
	key := client.ObjectKeyFromObject(object)
	eventually(t, driftBudget, "another "+key.Name, func(ctx context.Context) (string, bool) {
		if err := admin.Get(ctx, key, object); err != nil {
			return err.Error(), false
		}
		return "it is the old one", object.GetUID() != old
	})
}

// deleteSecret of a component, and its pod: nobody watches Secrets, so the next pod is what misses it.
func (g *guest) deleteSecret(t *testing.T, admin client.Client, component string) {
	t.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: component}}
	if err := admin.Get(t.Context(), client.ObjectKeyFromObject(secret), secret); err != nil {
		t.Fatal(err)
	}
	old := secret.GetUID()
	pod := g.pods(t)[component]
	for _, object := range []client.Object{secret, pod} {
		if err := admin.Delete(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, healBudget, "another pod and Secret for "+component, func(ctx context.Context) (string, bool) {
		if err := admin.Get(ctx, client.ObjectKeyFromObject(secret), secret); err != nil {
			return err.Error(), false
		}
		now, found := g.pods(t)[component]
		return "the old ones are there, or none", secret.GetUID() != old && found && now.UID != pod.UID
	})
}

// client of the lab's administrator for objects of a guest.
func (l *laboratory) client(t *testing.T, g *guest) client.Client {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", l.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	admin, err := client.New(config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return client.NewNamespacedClient(admin, g.namespaceInLab())
}
