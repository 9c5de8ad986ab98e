package kubernetes

import (
	"context"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/runtime/kubernetes/objects"
)

// state is what the caches hold of a guest.
type state struct {
	exists    bool
	objects   map[key]held
	workloads map[string]workload      // by component
	pods      map[string][]*corev1.Pod // by component
	claims    map[string]*corev1.PersistentVolumeClaim
	nodes     map[string]bool // ready, of those that pods are on
}

// workload is a StatefulSet or a ReplicaSet.
type workload struct {
	key
	spec     string
	replicas int32
	address  string // of its Service, as its manifest had it; empty: an older agent made it
	// claims of a StatefulSet, which can never be changed.
	claims []corev1.PersistentVolumeClaim
	// failure to create pods, as a ReplicaSet tells.
	failure string
}

// read collects what the caches hold of a guest.
func (r *Runtime) read(ctx context.Context, id string) (*state, error) {
	s := &state{
		objects: map[key]held{}, workloads: map[string]workload{}, pods: map[string][]*corev1.Pod{},
		claims: map[string]*corev1.PersistentVolumeClaim{}, nodes: map[string]bool{},
	}
	own := []client.ListOption{client.InNamespace(objects.NamespaceName(id)), client.MatchingLabels{v1alpha1.LabelID: id}}
	for _, kind := range watchedMetadata {
		list := &metav1.PartialObjectMetadataList{}
		list.SetGroupVersionKind(kind.GroupVersion().WithKind(kind.Kind + "List"))
		options := own
		if kind.Kind == "Namespace" {
			options = own[1:]
		}
		if err := r.cache.List(ctx, list, options...); err != nil {
			return nil, r.wrap("read "+kind.Kind+"s", err)
		}
		for i := range list.Items {
			s.objects[key{kind, list.Items[i].Name}] = heldOf(&list.Items[i])
		}
		s.exists = s.exists || kind.Kind == "Namespace" && len(list.Items) > 0
	}
	if err := r.readWorkloads(ctx, s, own); err != nil {
		return nil, err
	}
	return s, r.readPods(ctx, s, own)
}

func (r *Runtime) readWorkloads(ctx context.Context, s *state, own []client.ListOption) error {
	var sets appsv1.StatefulSetList
	if err := r.cache.List(ctx, &sets, own...); err != nil {
		return r.wrap("read StatefulSets", err)
	}
	for i := range sets.Items {
		o := &sets.Items[i]
		w := newWorkload(o, "StatefulSet", o.Spec.Template.Annotations, o.Spec.Replicas)
		w.claims = o.Spec.VolumeClaimTemplates
		s.workloads[o.Labels[objects.LabelComponent]], s.objects[w.key] = w, heldOf(o)
	}
	var replicaSets appsv1.ReplicaSetList
	if err := r.cache.List(ctx, &replicaSets, own...); err != nil {
		return r.wrap("read ReplicaSets", err)
	}
	for i := range replicaSets.Items {
		o := &replicaSets.Items[i]
		w := newWorkload(o, "ReplicaSet", o.Spec.Template.Annotations, o.Spec.Replicas)
		for _, condition := range o.Status.Conditions {
			if condition.Type == appsv1.ReplicaSetReplicaFailure && condition.Status == corev1.ConditionTrue {
				w.failure = condition.Message
			}
		}
		s.workloads[o.Labels[objects.LabelComponent]], s.objects[w.key] = w, heldOf(o)
	}
	return nil
}

func newWorkload(o client.Object, kind string, template map[string]string, replicas *int32) workload {
	w := workload{
		key: key{appsv1.SchemeGroupVersion.WithKind(kind), o.GetName()}, spec: template[objects.AnnotationSpec], replicas: 1,
		address: o.GetAnnotations()[objects.AnnotationAddress],
	}
	if replicas != nil {
		w.replicas = *replicas
	}
	return w
}

func (r *Runtime) readPods(ctx context.Context, s *state, own []client.ListOption) error {
	var pods corev1.PodList
	if err := r.cache.List(ctx, &pods, own...); err != nil {
		return r.wrap("read Pods", err)
	}
	for i := range pods.Items {
		pod := &pods.Items[i]
		component := pod.Labels[objects.LabelComponent]
		s.pods[component] = append(s.pods[component], pod)
		if name := pod.Spec.NodeName; name != "" {
			var node corev1.Node
			err := r.cache.Get(ctx, client.ObjectKey{Name: name}, &node)
			s.nodes[name] = err == nil && nodeReady(&node)
		}
	}
	var claims corev1.PersistentVolumeClaimList
	if err := r.cache.List(ctx, &claims, own...); err != nil {
		return r.wrap("read PersistentVolumeClaims", err)
	}
	for i := range claims.Items {
		s.claims[claims.Items[i].Name] = &claims.Items[i]
	}
	return nil
}

// lostAddress is where a component's Service was that is gone while its workload is there; empty for no such.
func (s *state) lostAddress(component string) string {
	_, there := s.objects[key{corev1.SchemeGroupVersion.WithKind("Service"), component}]
	if address := s.workloads[component].address; !there && isAddress(address) {
		return address
	}
	return ""
}

// pod is the one that counts of a component's pods: the newest that was not told to end and has not
// failed for good, else one that is ending. Nil for none.
func (s *state) pod(component string) *corev1.Pod {
	var best *corev1.Pod
	for _, pod := range s.pods[component] {
		if pod.Status.Phase == corev1.PodFailed || pod.Status.Phase == corev1.PodSucceeded {
			continue
		}
		if best == nil || better(pod, best) {
			best = pod
		}
	}
	return best
}

func better(pod, than *corev1.Pod) bool {
	if ending, other := pod.DeletionTimestamp != nil, than.DeletionTimestamp != nil; ending != other {
		return other
	}
	return pod.CreationTimestamp.After(than.CreationTimestamp.Time)
}

// components that the caches hold anything of, in their order.
func (s *state) components() []string {
	var names []string
	add := func(name string) {
		if name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for name := range s.workloads {
		add(name)
	}
	for name := range s.pods {
		add(name)
	}
	for k := range s.objects {
		if k.kind.Kind == "Service" {
			add(k.name)
		}
	}
	slices.Sort(names)
	return names
}
