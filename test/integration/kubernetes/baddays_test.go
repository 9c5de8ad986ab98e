package kubernetes_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/runtime"
	"github.com/myriad-fleet/myriad/internal/runtime/kubernetes"
	"github.com/myriad-fleet/myriad/internal/runtime/kubernetes/objects"
)

// TestForeignNamespace: a namespace that is not ours is an error, and nothing in it is touched.
func TestForeignNamespace(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	order := orderOf(v1alpha1.Single)
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: objects.NamespaceName(order.ID)}}
	if err := f.api.Create(t.Context(), namespace); err != nil {
		t.Fatal(err)
	}
	for what, try := range map[string]func() error{
		"Reserve": func() error { _, err := f.Reserve(t.Context(), order.ID, []string{"etcd-a"}); return err },
		"Delete":  func() error { return f.Delete(t.Context(), order.ID) },
		"Discard": func() error { return f.Discard(t.Context(), order.ID, "etcd-a") },
	} {
		if err := try(); err == nil || !strings.Contains(err.Error(), "does not belong to cell") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if o, err := f.Observe(t.Context(), order.ID); err != nil || o.Exists {
		t.Errorf("observed %+v, %v", o, err)
	}
	after := &corev1.Namespace{}
	if err := f.api.Get(t.Context(), client.ObjectKeyFromObject(namespace), after); err != nil || after.ResourceVersion != namespace.ResourceVersion {
		t.Errorf("the namespace was touched: %v", err)
	}
}

// TestDrift deletes and edits a guest's objects: all is put right within seconds.
func TestDrift(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	order, _ := f.create(v1alpha1.Single)
	namespace := objects.NamespaceName(order.ID)
	named := func(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: namespace, Name: name} }

	service := &corev1.Service{ObjectMeta: named("kube-apiserver-a")}
	f.get(service)
	address := service.Spec.ClusterIP
	for _, object := range []client.Object{
		service, &appsv1.StatefulSet{ObjectMeta: named("etcd-a")}, &appsv1.ReplicaSet{ObjectMeta: named("kube-apiserver-a")},
		&corev1.ServiceAccount{ObjectMeta: named("control-plane")}, &networkingv1.NetworkPolicy{ObjectMeta: named("etcd-a")},
	} {
		f.get(object)
		old := object.GetUID()
		if err := f.api.Delete(t.Context(), object, client.PropagationPolicy(metav1.DeletePropagationBackground)); err != nil {
			t.Fatal(err)
		}
		f.eventually(fmt.Sprintf("%T %s is made anew", object, object.GetName()), func() error {
			if err := f.api.Get(t.Context(), client.ObjectKeyFromObject(object), object); err != nil {
				return err
			}
			if object.GetUID() == old {
				return fmt.Errorf("it is the old one")
			}
			return nil
		})
	}
	f.get(service)
	if service.Spec.ClusterIP != address {
		t.Errorf("the Service came back at %s, it was at %s", service.Spec.ClusterIP, address)
	}
	f.awaitReady(order.ID)

	edit(f, &appsv1.ReplicaSet{ObjectMeta: named("kube-scheduler-a")}, "replicas and image are put right",
		func(o *appsv1.ReplicaSet) {
			o.Spec.Replicas, o.Spec.Template.Spec.Containers[0].Image = new(int32(0)), "evil:1"
		},
		func(o *appsv1.ReplicaSet) bool {
			return *o.Spec.Replicas == 1 && o.Spec.Template.Spec.Containers[0].Image != "evil:1"
		})
	edit(f, &corev1.Service{ObjectMeta: named("etcd-a")}, "the selector is put right",
		func(o *corev1.Service) { o.Spec.Selector = map[string]string{"app": "evil"} },
		func(o *corev1.Service) bool { return o.Spec.Selector["app"] == "" && len(o.Spec.Selector) == 2 })
	edit(f, &networkingv1.NetworkPolicy{ObjectMeta: named("etcd-a")}, "the policy is put right",
		func(o *networkingv1.NetworkPolicy) { o.Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{{}} },
		func(o *networkingv1.NetworkPolicy) bool {
			return len(o.Spec.Ingress) > 0 && len(o.Spec.Ingress[0].From) > 0
		})
	edit(f, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, "pod security is put right",
		func(o *corev1.Namespace) { delete(o.Labels, "pod-security.kubernetes.io/enforce") },
		func(o *corev1.Namespace) bool { return o.Labels["pod-security.kubernetes.io/enforce"] == "restricted" })
	f.awaitReady(order.ID)
}

// TestSecretGone: nobody watches Secrets. One that is missing is there again when a pod needs it.
func TestSecretGone(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	order, _ := f.create(v1alpha1.Single)
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: objects.NamespaceName(order.ID), Name: "kube-scheduler-a"}}
	if err := f.api.Delete(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	cluster.nodes.set(secret.Namespace, secret.Name, func(pod *corev1.Pod) *corev1.PodStatus {
		status := starting(pod)
		if cluster.nodes.api.Get(context.Background(), client.ObjectKeyFromObject(secret), &corev1.Secret{}) == nil {
			status = ready(pod)
		}
		return status
	})
	pod := f.pods(order.ID, secret.Name)[0]
	if err := f.api.Delete(t.Context(), &pod); err != nil {
		t.Fatal(err)
	}
	f.eventually("a new pod is there", func() error {
		if pods := f.pods(order.ID, secret.Name); len(pods) == 0 || pods[0].UID == pod.UID {
			return fmt.Errorf("%d pods", len(pods))
		}
		return nil
	})
	f.awaitReady(order.ID)
	f.awaitComponent(order.ID, secret.Name, "counts a restart", func(c runtime.Component) bool { return c.Restarts == 1 })
}

// TestClassGone: nobody may read PriorityClasses. One that is missing is there again when the cell is next judged.
// All cells of the tests share them, so this test runs by itself.
func TestClassGone(t *testing.T) {
	f := newFixture(t)
	judge := func() {
		if fit, err := f.Fitness(t.Context()); err != nil || fit == nil || fit.Status != metav1.ConditionTrue {
			t.Fatalf("the cell is judged to be %+v, %v", fit, err)
		}
	}
	judge()
	for _, name := range []string{"myriad-etcd", "myriad-apiserver", "myriad-controller"} {
		class := &schedulingv1.PriorityClass{ObjectMeta: metav1.ObjectMeta{Name: name}}
		f.get(class)
		if err := f.api.Delete(t.Context(), class); err != nil {
			t.Fatal(err)
		}
		judge()
		f.get(class)
	}
}

// TestBlocked: what keeps a guest from running is in its status, in the words of whoever said so.
func TestBlocked(t *testing.T) {
	cases := map[string]struct {
		reason    string
		component string
		behave    behaviour
		state     runtime.State
		says      string
		lastExit  string
	}{
		"NoRoom":   {"the scheduler's words", "etcd-a", noRoom, runtime.Blocked, "Insufficient memory", ""},
		"NoImage":  {"the kubelet's words", "kube-apiserver-a", noImage, runtime.Blocked, "Back-off pulling image", ""},
		"Crashing": {"its own last words", "kube-apiserver-a", crashing, runtime.BackOff, "", "exit status 1 after 2s: bind: address already in use"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			order := orderOf(v1alpha1.Single)
			cluster.nodes.set(objects.NamespaceName(order.ID), c.component, c.behave)
			f.apply(f.manifest(order))
			f.awaitComponent(order.ID, c.component, c.reason, func(got runtime.Component) bool {
				return got.State == c.state && strings.Contains(got.Message, c.says) && got.LastExit == c.lastExit && !got.Ready
			})
			cluster.nodes.set(objects.NamespaceName(order.ID), c.component, nil)
			f.awaitReady(order.ID)
		})
	}
}

// TestWebhook: an admission webhook that refuses, or whose endpoint is dead, is named.
func TestWebhook(t *testing.T) {
	for resource, component := range map[string]string{"pods": "etcd-a", "secrets": "etcd-a", "replicasets": "kube-apiserver-a"} {
		t.Run(resource, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			hook := f.webhook(resource)
			order := orderOf(v1alpha1.Single)
			f.apply(f.manifest(order))
			f.awaitComponent(order.ID, component, "names the webhook", func(c runtime.Component) bool {
				return strings.Contains(c.Message, "hostile.example.com") && !c.Ready
			})
			if err := f.api.Delete(t.Context(), hook); err != nil {
				t.Fatal(err)
			}
			f.awaitReady(order.ID)
		})
	}
}

// webhook that is called for a resource of this cell's guests, and is dead.
func (f *fixture) webhook(resource string) *admissionv1.ValidatingWebhookConfiguration {
	f.Helper()
	group, version := "", "v1"
	if resource == "replicasets" {
		group = "apps"
	}
	hook := &admissionv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: f.cell.Name},
		Webhooks: []admissionv1.ValidatingWebhook{{
			Name: "hostile.example.com", SideEffects: new(admissionv1.SideEffectClassNone), AdmissionReviewVersions: []string{"v1"},
			FailurePolicy: new(admissionv1.Fail), TimeoutSeconds: new(int32(1)),
			ClientConfig:      admissionv1.WebhookClientConfig{URL: new("https://127.0.0.1:1/")},
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{v1alpha1.LabelCell: f.cell.Name}},
			Rules: []admissionv1.RuleWithOperations{{
				Operations: []admissionv1.OperationType{admissionv1.Create},
				Rule:       admissionv1.Rule{APIGroups: []string{group}, APIVersions: []string{version}, Resources: []string{resource}},
			}},
		}},
	}
	if err := f.api.Create(f.Context(), hook); err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = client.IgnoreNotFound(f.api.Delete(context.Background(), hook)) })
	order := orderOf(v1alpha1.Single)
	probe := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "probe-" + order.ID, Labels: map[string]string{v1alpha1.LabelCell: f.cell.Name}}}
	if err := f.api.Create(f.Context(), probe); err != nil {
		f.Fatal(err)
	}
	f.eventually("the API server asks the webhook", func() error {
		var object client.Object = &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: probe.Name, Name: "probe"}}
		switch resource {
		case "pods":
			object = &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: probe.Name, Name: "probe"}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "a", Image: "a"}}}}
		case "replicasets":
			labels := map[string]string{"a": "a"}
			object = &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Namespace: probe.Name, Name: "probe"}, Spec: appsv1.ReplicaSetSpec{
				Selector: &metav1.LabelSelector{MatchLabels: labels},
				Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "a", Image: "a"}}}},
			}}
		}
		if err := f.api.Create(f.Context(), object, client.DryRunAll); err == nil || !strings.Contains(err.Error(), "hostile.example.com") {
			return fmt.Errorf("create %s: %w", resource, err)
		}
		return nil
	})
	return hook
}

// TestTwoAgents: one agent works in a cell; another one says who has it, and follows it.
func TestTwoAgents(t *testing.T) {
	t.Parallel()
	f := &fixture{T: t, api: cluster.nodes.api, log: &syncBuffer{}}
	f.cell = objects.Cell{Name: fmt.Sprintf("cell-%d", sequence.Add(1)), VolumeSize: volumeSize}
	first, stop := f.start()
	order := orderOf(v1alpha1.Single)
	reserve := func(r *kubernetes.Runtime) error {
		_, err := r.Reserve(t.Context(), order.ID, []string{"etcd-a"})
		return err
	}
	f.eventually("the first agent has the cell", func() error { return reserve(first) })
	second, _ := f.start(func(o *kubernetes.Options) { o.Identity = "other" })
	f.eventually("the second agent knows who has it", func() error {
		if err := reserve(second); err == nil || !strings.Contains(err.Error(), `agent "test" holds Lease myriad-system/agent-`+f.cell.Name) {
			return fmt.Errorf("the answer to Reserve is %w", err)
		}
		return nil
	})
	if err := second.Delete(t.Context(), order.ID); err == nil {
		t.Error("the second agent deletes")
	}
	stop()
	f.eventually("the second agent follows", func() error { return reserve(second) })
}

// TestVolumeStays: a provisioner that does not delete a volume keeps a guest from being gone, and the
// error says which volume that is.
func TestVolumeStays(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	order, _ := f.create(v1alpha1.Single)
	namespace := objects.NamespaceName(order.ID)
	cluster.nodes.keepVolumes(namespace, true)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := f.Delete(ctx, order.ID); err == nil || !strings.Contains(err.Error(), "volume pv-") {
		t.Errorf("Delete: %v", err)
	}
	cluster.nodes.keepVolumes(namespace, false)
	if err := f.Delete(t.Context(), order.ID); err != nil {
		t.Error(err)
	}
}

func (f *fixture) get(object client.Object) {
	f.Helper()
	if err := f.api.Get(f.Context(), client.ObjectKeyFromObject(object), object); err != nil {
		f.Fatal(err)
	}
}

// edit changes an object as a stranger does, and waits until it is put right.
func edit[T client.Object](f *fixture, object T, what string, change func(T), right func(T) bool) {
	f.Helper()
	f.eventually("edit "+object.GetName(), func() error {
		f.get(object)
		change(object)
		return f.api.Update(f.Context(), object, client.FieldOwner("stranger"))
	})
	f.eventually(what, func() error {
		if err := f.api.Get(f.Context(), client.ObjectKeyFromObject(object), object); err != nil && !apierrors.IsNotFound(err) {
			return err
		}
		if !right(object) {
			return fmt.Errorf("it is still %+v", object)
		}
		return nil
	})
}
