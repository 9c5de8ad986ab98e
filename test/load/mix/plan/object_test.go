package plan

import (
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/json"
)

// now is when Leases are renewed in these tests.
const now = "2026-11-27T12:00:00.000000Z"

// types of the objects of each kind.
var types = map[Kind]client.Object{
	Nodes: &corev1.Node{}, NodeLeases: &coordinationv1.Lease{}, CRDs: &apiextensionsv1.CustomResourceDefinition{},
	CustomResources: &unstructured.Unstructured{}, ConfigMaps: &corev1.ConfigMap{}, Secrets: &corev1.Secret{},
	Services: &corev1.Service{}, Leases: &coordinationv1.Lease{}, Events: &corev1.Event{},
	Deployments: &appsv1.Deployment{}, Pods: &corev1.Pod{}, NodePods: &corev1.Pod{},
}

func TestObjects(t *testing.T) {
	scope := Scope{Seed: 9}
	paths := map[string]Kind{}
	for kind, object := range types {
		operation := Operation{Action: Create, Object: Object{Population{Kind: kind}, 3}, Bytes: 3000, Replicas: 2}
		encoded := scope.Render(operation, now)
		strict, err := json.UnmarshalStrict(encoded, object)
		if err != nil || len(strict) > 0 {
			t.Errorf("%s is not of its type: %v %v", kind, strict, err)
		}
		path := scope.Path(operation.Object)
		if !strings.HasSuffix(path, "/"+object.GetName()) {
			t.Errorf("%s is named %s and lies at %s", kind, object.GetName(), path)
		}
		if other, taken := paths[path]; taken {
			t.Errorf("%s and %s lie at the same path %s", kind, other, path)
		}
		paths[path] = kind
		if object.GetLabels()[Label] != "mix-9" {
			t.Errorf("%s has the labels %v: nobody would clean it up", kind, object.GetLabels())
		}
		sized := kind != Nodes && kind != NodeLeases && kind != CRDs
		if size := len(encoded); sized && (size < 3000 || size > 4000) {
			t.Errorf("%s of 3000 bytes is %d", kind, size)
		}
	}
	pod := types[NodePods].(*corev1.Pod)
	if pod.Spec.NodeName != "mix-9-0" || *pod.Spec.TerminationGracePeriodSeconds != 0 {
		t.Errorf("a pod on node 0 is bound to %q and may take %ds to end", pod.Spec.NodeName, *pod.Spec.TerminationGracePeriodSeconds)
	}
}

func TestRender(t *testing.T) {
	scope := Scope{Seed: 1}
	first := scope.Render(Operation{Action: Patch, Object: Object{Population{Kind: Pods}, 0}, Phase: 1, Number: 2}, now)
	second := scope.Render(Operation{Action: Patch, Object: Object{Population{Kind: Pods}, 0}, Phase: 1, Number: 3}, now)
	if string(first) == string(second) {
		t.Errorf("two patches are the same, the second changes nothing: %s", first)
	}
	if got := scope.Render(Operation{Action: Get}, now); got != nil {
		t.Errorf("a read sends %s", got)
	}
	if a, b := scope.content(5000), (Scope{Seed: 2}).content(5000); a == b || len(a) != 5000 {
		t.Errorf("contents of two seeds are equal, or %d bytes instead of 5000", len(a))
	}
	path, body := scope.Contested(Operation{Object: Object{Index: 1}}, "42")
	if !strings.HasSuffix(path, "/configmaps/mix-1-contested") || !strings.Contains(string(body), `"resourceVersion":"42"`) {
		t.Errorf("the contested object is written to %s as %s", path, body)
	}
}
