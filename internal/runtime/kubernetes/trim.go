package kubernetes

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/myriad-fleet/myriad/internal/runtime/kubernetes/objects"
)

// trim takes out of an object what nobody reads, before the cache holds it: a cell has thousands. What
// the managed fields say remains as annotationFootprint.
func trim(in any) (any, error) {
	if gone, ok := in.(cache.DeletedFinalStateUnknown); ok {
		return gone, nil
	}
	object, ok := in.(metav1.Object)
	if !ok {
		return nil, fmt.Errorf("%T has no metadata", in)
	}
	switch o := in.(type) {
	case *corev1.Pod:
		trimPod(o)
	case *corev1.Node:
		o.Annotations, o.ManagedFields, o.Status.Images = nil, nil, nil
	case *appsv1.StatefulSet:
		o.Spec.Template.Spec = corev1.PodSpec{}
		keepFootprint(object)
	case *appsv1.ReplicaSet:
		o.Spec.Template.Spec = corev1.PodSpec{}
		keepFootprint(object)
	default:
		keepFootprint(object)
	}
	return in, nil
}

// keepFootprint replaces the managed fields by their footprint. An object that has one went through
// here before.
func keepFootprint(object metav1.Object) {
	annotations := object.GetAnnotations()
	if _, done := annotations[annotationFootprint]; done && object.GetManagedFields() == nil {
		return
	}
	kept := map[string]string{annotationFootprint: footprintOf(object.GetManagedFields()).String()}
	for _, name := range []string{annotationApplied, objects.AnnotationAddress} {
		if value, ok := annotations[name]; ok {
			kept[name] = value
		}
	}
	object.SetAnnotations(kept)
	object.SetManagedFields(nil)
}

// trimPod leaves of a pod what its state, its resources and its room on a node follow from.
func trimPod(pod *corev1.Pod) {
	kept := map[string]string{}
	for _, name := range []string{objects.AnnotationSpec, annotationTemplate} {
		if value, ok := pod.Annotations[name]; ok {
			kept[name] = value
		}
	}
	pod.Annotations, pod.ManagedFields = kept, nil
	spec := corev1.PodSpec{
		NodeName: pod.Spec.NodeName, Overhead: pod.Spec.Overhead, Resources: pod.Spec.Resources,
		HostNetwork: pod.Spec.HostNetwork,
	}
	spec.InitContainers = trimContainers(pod.Spec.InitContainers)
	spec.Containers = trimContainers(pod.Spec.Containers)
	for _, volume := range pod.Spec.Volumes {
		if volume.PersistentVolumeClaim != nil || volume.Ephemeral != nil || volume.CSI != nil {
			spec.Volumes = append(spec.Volumes, volume)
		}
	}
	pod.Spec = spec
}

func trimContainers(containers []corev1.Container) []corev1.Container {
	kept := make([]corev1.Container, 0, len(containers))
	for i := range containers {
		c := &containers[i]
		kept = append(kept, corev1.Container{Name: c.Name, Resources: c.Resources, RestartPolicy: c.RestartPolicy})
	}
	return kept
}
