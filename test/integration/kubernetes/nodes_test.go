package kubernetes_test

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/internal/runtime/kubernetes/objects"
)

const (
	className   = "fast"
	provisioner = "volumes.test.myriad.dev"
)

// behaviour of the pods of a component: what a scheduler and a kubelet would report.
type behaviour func(pod *corev1.Pod) *corev1.PodStatus

// nodes play the scheduler, the kubelets and the volume provisioner of the cluster.
type nodes struct {
	config *rest.Config
	api    client.Client

	mu     sync.Mutex
	behave map[string]behaviour // by namespace/component
	stuck  map[string]bool      // namespaces whose volumes are never deleted
}

func startNodes(ctx context.Context, config *rest.Config) (*nodes, error) {
	api, err := client.New(config, client.Options{})
	if err != nil {
		return nil, err
	}
	n := &nodes{config: config, api: api, behave: map[string]behaviour{}, stuck: map[string]bool{}}
	for _, zone := range []string{"a", "b", "c"} {
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-" + zone, Labels: map[string]string{corev1.LabelTopologyZone: zone}}}
		if err := api.Create(ctx, node); err != nil {
			return nil, err
		}
		if err := n.setReady(ctx, zone, corev1.ConditionTrue); err != nil {
			return nil, err
		}
	}
	class := &storagev1.StorageClass{
		ObjectMeta:  metav1.ObjectMeta{Name: className, Annotations: map[string]string{"storageclass.kubernetes.io/is-default-class": "true"}},
		Provisioner: provisioner, AllowVolumeExpansion: new(true),
	}
	if err := api.Create(ctx, class); err != nil {
		return nil, err
	}
	go n.run(ctx)
	return n, nil
}

func (n *nodes) setReady(ctx context.Context, zone string, status corev1.ConditionStatus) error {
	node := &corev1.Node{}
	if err := n.api.Get(ctx, client.ObjectKey{Name: "node-" + zone}, node); err != nil {
		return err
	}
	node.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: status}}
	node.Status.Allocatable = corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse("8"), corev1.ResourceMemory: resource.MustParse("32Gi"), corev1.ResourcePods: resource.MustParse("110"),
	}
	node.Status.Capacity = node.Status.Allocatable
	return n.api.Status().Update(ctx, node)
}

// set says how the pods of a component are from now on; nil for ready.
func (n *nodes) set(namespace, component string, b behaviour) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.behave[namespace+"/"+component] = b
}

// keepVolumes says whether the volumes of a namespace are never deleted.
func (n *nodes) keepVolumes(namespace string, keep bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.stuck[namespace] = keep
}

func (n *nodes) run(ctx context.Context) {
	ticker := time.NewTicker(30 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		n.playPods(ctx)
		n.playVolumes(ctx)
	}
}

func (n *nodes) playPods(ctx context.Context) {
	var pods corev1.PodList
	if n.api.List(ctx, &pods, client.MatchingLabels{objects.LabelManagedBy: objects.ManagedBy}) != nil {
		return
	}
	for i := range pods.Items {
		pod := &pods.Items[i]
		n.mu.Lock()
		behave := n.behave[pod.Namespace+"/"+pod.Labels[objects.LabelComponent]]
		n.mu.Unlock()
		if behave == nil {
			behave = ready
		}
		switch status := behave(pod); {
		case pod.DeletionTimestamp != nil:
			_ = n.api.Delete(ctx, pod, client.GracePeriodSeconds(0))
		case status == nil: // it stays as it is
		default:
			n.report(ctx, pod, status)
		}
	}
}

func (n *nodes) report(ctx context.Context, pod *corev1.Pod, status *corev1.PodStatus) {
	if pod.Spec.NodeName == "" && !unscheduled(status) {
		binding := &corev1.Binding{
			ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name},
			Target:     corev1.ObjectReference{Kind: "Node", Name: "node-" + pod.Labels[objects.LabelZone]},
		}
		_ = n.api.SubResource("binding").Create(ctx, pod, binding)
		return // read again with its node
	}
	status.ObservedGeneration = pod.Generation
	for i := range status.ContainerStatuses {
		status.ContainerStatuses[i].Resources = pod.Spec.Containers[0].Resources.DeepCopy()
	}
	for i := range status.Conditions {
		status.Conditions[i].ObservedGeneration = 0
	}
	if fmt.Sprint(reduced(&pod.Status)) == fmt.Sprint(reduced(status)) {
		return
	}
	pod.Status = *status
	if err := n.api.Status().Update(ctx, pod); err != nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
		fmt.Printf("report %s/%s: %v\n", pod.Namespace, pod.Name, err)
	}
}

func reduced(status *corev1.PodStatus) []string {
	var said []string
	for _, c := range status.Conditions {
		said = append(said, fmt.Sprint(c.Type, c.Status, c.Reason, c.Message))
	}
	for _, c := range status.ContainerStatuses {
		said = append(said, fmt.Sprint(c.RestartCount, c.State.String()))
	}
	return append(said, string(status.Phase), fmt.Sprint(status.ObservedGeneration))
}

func unscheduled(status *corev1.PodStatus) bool {
	for _, c := range status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			return true
		}
	}
	return false
}

func (n *nodes) playVolumes(ctx context.Context) {
	var claims corev1.PersistentVolumeClaimList
	if n.api.List(ctx, &claims, client.MatchingLabels{objects.LabelManagedBy: objects.ManagedBy}) != nil {
		return
	}
	for i := range claims.Items {
		claim := &claims.Items[i]
		if claim.Spec.VolumeName != "" || claim.DeletionTimestamp != nil {
			continue
		}
		volume := &corev1.PersistentVolume{
			ObjectMeta: metav1.ObjectMeta{Name: "pv-" + string(claim.UID)},
			Spec: corev1.PersistentVolumeSpec{
				Capacity: claim.Spec.Resources.Requests, AccessModes: claim.Spec.AccessModes, StorageClassName: className,
				ClaimRef:                      &corev1.ObjectReference{Kind: "PersistentVolumeClaim", APIVersion: "v1", Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID},
				PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimDelete,
				PersistentVolumeSource:        corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: provisioner, VolumeHandle: string(claim.UID)}},
			},
		}
		if err := n.api.Create(ctx, volume); err != nil && !apierrors.IsAlreadyExists(err) {
			fmt.Printf("make a volume for %s/%s: %v\n", claim.Namespace, claim.Name, err)
		}
	}
	n.deleteVolumes(ctx)
}

func (n *nodes) deleteVolumes(ctx context.Context) {
	var volumes corev1.PersistentVolumeList
	if n.api.List(ctx, &volumes) != nil {
		return
	}
	for i := range volumes.Items {
		volume := &volumes.Items[i]
		n.mu.Lock()
		stuck := volume.Spec.ClaimRef != nil && n.stuck[volume.Spec.ClaimRef.Namespace]
		n.mu.Unlock()
		if volume.Status.Phase == corev1.VolumeReleased && !stuck {
			_ = n.api.Delete(ctx, volume)
		}
	}
}

// ready is a pod that runs and serves.
func ready(pod *corev1.Pod) *corev1.PodStatus { return running(pod, true) }

// starting is a pod that runs and does not serve yet.
func starting(pod *corev1.Pod) *corev1.PodStatus { return running(pod, false) }

func running(pod *corev1.Pod, serves bool) *corev1.PodStatus {
	status := corev1.ConditionFalse
	if serves {
		status = corev1.ConditionTrue
	}
	return &corev1.PodStatus{
		Phase: corev1.PodRunning,
		Conditions: []corev1.PodCondition{
			{Type: corev1.PodScheduled, Status: corev1.ConditionTrue}, {Type: corev1.PodReady, Status: status},
		},
		ContainerStatuses: []corev1.ContainerStatus{{
			Name: pod.Labels[objects.LabelKind], Ready: serves, Started: new(serves),
			State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}},
		}},
	}
}

// noRoom is a pod that the scheduler finds no node for.
func noRoom(*corev1.Pod) *corev1.PodStatus {
	return &corev1.PodStatus{Phase: corev1.PodPending, Conditions: []corev1.PodCondition{{
		Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable,
		Message: "0/3 nodes are available: 3 Insufficient memory.",
	}}}
}

// noImage is a pod whose image does not come.
func noImage(pod *corev1.Pod) *corev1.PodStatus {
	status := starting(pod)
	status.Phase = corev1.PodPending
	status.ContainerStatuses[0].State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{
		Reason: "ImagePullBackOff", Message: `Back-off pulling image "registry.k8s.io/none:v1"`,
	}}
	return status
}

// crashing is a pod whose container ends after two seconds, again and again.
func crashing(pod *corev1.Pod) *corev1.PodStatus {
	status := starting(pod)
	began := metav1.NewTime(time.Unix(1_700_000_000, 0))
	status.ContainerStatuses[0].RestartCount = 3
	status.ContainerStatuses[0].State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}}
	status.ContainerStatuses[0].LastTerminationState = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
		ExitCode: 1, Reason: "Error", Message: "bind: address already in use", StartedAt: began, FinishedAt: metav1.NewTime(began.Add(2 * time.Second)),
	}}
	return status
}
