// Package volumes makes the lab's PersistentVolumes: directories on the node that the scheduler chose,
// gone when their claims are.
package volumes

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

const (
	// Provisioner is what the lab's StorageClass names.
	Provisioner = "lab.fleet.myriad.dev/local"
	// provisionedBy marks a PersistentVolume; its value is Provisioner.
	provisionedBy = "pv.kubernetes.io/provisioned-by"
	// selectedNode is where the scheduler writes the node of a claim's first pod.
	selectedNode = "volume.kubernetes.io/selected-node"
	hostname     = "kubernetes.io/hostname"

	// retryAfter a failure: the disk may be full, or the API server away.
	retryAfter = time.Second
)

// Controller makes and removes volumes.
type Controller struct {
	client kubernetes.Interface
	// directory of a node's volumes, by the node's name.
	directory func(node string) (string, error)
	log       *slog.Logger
	changes   chan struct{}
	synced    []cache.InformerSynced
	claims    func() ([]*corev1.PersistentVolumeClaim, error)
	volumes   func() ([]*corev1.PersistentVolume, error)
	class     func(name string) (*storagev1.StorageClass, error)
}

// NewController makes a controller that works from the informers, which the caller starts.
func NewController(client kubernetes.Interface, factory informers.SharedInformerFactory, directory func(node string) (string, error), log *slog.Logger) (*Controller, error) {
	claims, volumes := factory.Core().V1().PersistentVolumeClaims(), factory.Core().V1().PersistentVolumes()
	classes := factory.Storage().V1().StorageClasses()
	c := &Controller{
		client: client, directory: directory, log: log, changes: make(chan struct{}, 1),
		claims:  func() ([]*corev1.PersistentVolumeClaim, error) { return claims.Lister().List(labels.Everything()) },
		volumes: func() ([]*corev1.PersistentVolume, error) { return volumes.Lister().List(labels.Everything()) },
		class:   classes.Lister().Get,
	}
	for _, informer := range []cache.SharedIndexInformer{claims.Informer(), volumes.Informer(), classes.Informer()} {
		registration, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc:    func(any) { c.changed() },
			UpdateFunc: func(any, any) { c.changed() },
			DeleteFunc: func(any) { c.changed() },
		})
		if err != nil {
			return nil, fmt.Errorf("watch claims and volumes: %w", err)
		}
		c.synced = append(c.synced, registration.HasSynced)
	}
	return c, nil
}

func (c *Controller) changed() {
	select {
	case c.changes <- struct{}{}:
	default: // one is waiting already
	}
}

// Run makes and removes volumes until ctx is done.
func (c *Controller) Run(ctx context.Context) error {
	if !cache.WaitForCacheSync(ctx.Done(), c.synced...) {
		return ctx.Err()
	}
	for {
		var again <-chan time.Time
		if err := c.reconcile(ctx); err != nil {
			c.log.Error("volumes", "error", err)
			again = time.After(retryAfter)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-c.changes:
		case <-again:
		}
	}
}

// reconcile looks at all claims and volumes: they are few.
func (c *Controller) reconcile(ctx context.Context) error {
	claims, claimsErr := c.claims()
	volumes, volumesErr := c.volumes()
	problems := []error{claimsErr, volumesErr}
	for _, claim := range claims {
		problems = append(problems, c.provision(ctx, claim))
	}
	for _, volume := range volumes {
		problems = append(problems, c.reclaim(ctx, volume))
	}
	return errors.Join(problems...)
}

// provision makes the volume of a claim that waits for one on a node.
func (c *Controller) provision(ctx context.Context, claim *corev1.PersistentVolumeClaim) error {
	node := claim.Annotations[selectedNode]
	if claim.Spec.VolumeName != "" || claim.DeletionTimestamp != nil || node == "" || claim.Spec.StorageClassName == nil {
		return nil
	}
	class, err := c.class(*claim.Spec.StorageClassName)
	if apierrors.IsNotFound(err) || err == nil && class.Provisioner != Provisioner {
		return nil
	}
	if err != nil {
		return err
	}
	volume, err := c.volume(claim, class, node)
	if err != nil {
		return fmt.Errorf("volume for %s/%s: %w", claim.Namespace, claim.Name, err)
	}
	// Pods run as users that own nothing here.
	if err := makeDirectory(volume.Spec.Local.Path); err != nil {
		return fmt.Errorf("volume for %s/%s: %w", claim.Namespace, claim.Name, err)
	}
	_, err = c.client.CoreV1().PersistentVolumes().Create(ctx, volume, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) { // it does until the claim is bound to it
		return fmt.Errorf("volume for %s/%s: %w", claim.Namespace, claim.Name, err)
	}
	return nil
}

func makeDirectory(path string) error {
	if err := os.MkdirAll(path, 0o777); err != nil {
		return err
	}
	return os.Chmod(path, 0o777) // whatever the umask
}

// volume that satisfies a claim on a node.
func (c *Controller) volume(claim *corev1.PersistentVolumeClaim, class *storagev1.StorageClass, node string) (*corev1.PersistentVolume, error) {
	directory, err := c.directory(node)
	if err != nil {
		return nil, err
	}
	name := "pvc-" + string(claim.UID)
	policy := corev1.PersistentVolumeReclaimDelete
	if class.ReclaimPolicy != nil {
		policy = *class.ReclaimPolicy
	}
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{provisionedBy: Provisioner}},
		Spec: corev1.PersistentVolumeSpec{
			Capacity:                      corev1.ResourceList{corev1.ResourceStorage: claim.Spec.Resources.Requests[corev1.ResourceStorage]},
			AccessModes:                   claim.Spec.AccessModes,
			PersistentVolumeReclaimPolicy: policy,
			StorageClassName:              class.Name,
			PersistentVolumeSource: corev1.PersistentVolumeSource{
				Local: &corev1.LocalVolumeSource{Path: filepath.Join(directory, name)},
			},
			ClaimRef: &corev1.ObjectReference{
				APIVersion: "v1", Kind: "PersistentVolumeClaim",
				Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID,
			},
			NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{
				NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{
					{Key: hostname, Operator: corev1.NodeSelectorOpIn, Values: []string{node}},
				}}},
			}},
		},
	}, nil
}

// reclaim removes a volume whose claim is gone: what it holds, then itself.
func (c *Controller) reclaim(ctx context.Context, volume *corev1.PersistentVolume) error {
	if volume.Annotations[provisionedBy] != Provisioner || volume.Status.Phase != corev1.VolumeReleased ||
		volume.Spec.PersistentVolumeReclaimPolicy != corev1.PersistentVolumeReclaimDelete || volume.Spec.Local == nil {
		return nil
	}
	if err := os.RemoveAll(volume.Spec.Local.Path); err != nil {
		return fmt.Errorf("remove volume %s: %w", volume.Name, err)
	}
	err := c.client.CoreV1().PersistentVolumes().Delete(ctx, volume.Name, metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("remove volume %s: %w", volume.Name, err)
	}
	return nil
}
