package objects

import (
	v1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	appsv1 "k8s.io/client-go/applyconfigurations/apps/v1"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"
	metav1 "k8s.io/client-go/applyconfigurations/meta/v1"

	"github.com/myriad-fleet/myriad/internal/controlplane"
)

// statefulSet runs one etcd member. Its volume outlives it: Myriad removes data for a tombstone only,
// together with the namespace.
func (b *builder) statefulSet(c *controlplane.Component, template *applycorev1.PodTemplateSpecApplyConfiguration) *appsv1.StatefulSetApplyConfiguration {
	return appsv1.StatefulSet(c.Name, b.namespace()).
		WithLabels(b.labels(c)).
		WithAnnotations(map[string]string{AnnotationAddress: c.Host}).
		WithSpec(appsv1.StatefulSetSpec().
			WithReplicas(replicas(c)).
			WithServiceName(c.Name).
			WithSelector(b.selector(c)).
			WithPodManagementPolicy(v1.ParallelPodManagement). // a member that is not ready is replaced all the same
			WithUpdateStrategy(appsv1.StatefulSetUpdateStrategy().WithType(v1.OnDeleteStatefulSetStrategyType)).
			WithPersistentVolumeClaimRetentionPolicy(appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy().
				WithWhenDeleted(v1.RetainPersistentVolumeClaimRetentionPolicyType).
				WithWhenScaled(v1.RetainPersistentVolumeClaimRetentionPolicyType)).
			WithVolumeClaimTemplates(b.claim(c)).
			WithTemplate(template))
}

// claim of an etcd member's volume.
func (b *builder) claim(c *controlplane.Component) *applycorev1.PersistentVolumeClaimApplyConfiguration {
	spec := applycorev1.PersistentVolumeClaimSpec().
		WithAccessModes(corev1.ReadWriteOnce).
		WithVolumeMode(corev1.PersistentVolumeFilesystem).
		WithResources(applycorev1.VolumeResourceRequirements().
			WithRequests(corev1.ResourceList{corev1.ResourceStorage: b.cell.VolumeSize}))
	if b.cell.StorageClass != "" {
		spec.WithStorageClassName(b.cell.StorageClass)
	}
	claim := &applycorev1.PersistentVolumeClaimApplyConfiguration{}
	return claim.WithName(DataVolume).WithLabels(b.labels(c)).WithSpec(spec)
}

// replicaSet runs one component that keeps nothing. It is bare, for a Deployment would restart pods
// when its template is edited, and in its own order.
func (b *builder) replicaSet(c *controlplane.Component, template *applycorev1.PodTemplateSpecApplyConfiguration) *appsv1.ReplicaSetApplyConfiguration {
	return appsv1.ReplicaSet(c.Name, b.namespace()).
		WithLabels(b.labels(c)).
		WithAnnotations(map[string]string{AnnotationAddress: c.Host}).
		WithSpec(appsv1.ReplicaSetSpec().
			WithReplicas(replicas(c)).
			WithSelector(b.selector(c)).
			WithTemplate(template))
}

func (b *builder) selector(c *controlplane.Component) *metav1.LabelSelectorApplyConfiguration {
	return metav1.LabelSelector().WithMatchLabels(selector(b.manifest.ID, c.Name))
}

func replicas(c *controlplane.Component) int32 {
	if c.Stopped {
		return 0
	}
	return 1
}
