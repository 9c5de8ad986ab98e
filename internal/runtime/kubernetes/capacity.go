package kubernetes

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/internal/runtime"
	"github.com/myriad-fleet/myriad/internal/runtime/kubernetes/nodes"
	"github.com/myriad-fleet/myriad/internal/runtime/kubernetes/objects"
)

// annotationDefaultClass marks the StorageClass of claims that name none
// (https://kubernetes.io/docs/concepts/storage/storage-classes/#default-storageclass).
const annotationDefaultClass = "storageclass.kubernetes.io/is-default-class"

// fitnessTimeout bounds each question to the cell's API server of whether it can be used.
const fitnessTimeout = 10 * time.Second

// tolerations of guests' pods, which stay on nodes that fail: such nodes count as long as they are ready.
var tolerations []corev1.Toleration

// Capacity is what the cell's nodes can carry, less what pods that are not guests' ask for.
func (r *Runtime) Capacity(ctx context.Context) (runtime.Capacity, error) {
	if err := r.readable(); err != nil {
		return nil, err
	}
	in := nodes.Inventory{Tolerations: tolerations}
	var list corev1.NodeList
	if err := r.cache.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		return nil, r.wrap("read nodes", err)
	}
	for i := range list.Items {
		in.Nodes = append(in.Nodes, &list.Items[i])
	}
	in.Zones = r.zones(list.Items)
	var pods corev1.PodList
	if err := r.cache.List(ctx, &pods, client.UnsafeDisableDeepCopy); err != nil {
		return nil, r.wrap("read pods", err)
	}
	for i := range pods.Items {
		in.Pods = append(in.Pods, &pods.Items[i])
	}
	if err := r.volumes(ctx, &in); err != nil {
		return nil, err
	}
	return nodes.Capacity(in), nil
}

// UseZones tells the zones of the Cell (spec.zones), instead of Options.Zones.
func (r *Runtime) UseZones(zones []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Zones = slices.Clone(zones)
}

// zones of the cell: as it is told, else those of its nodes.
func (r *Runtime) zones(list []corev1.Node) []string {
	r.mu.Lock()
	told := r.Zones
	r.mu.Unlock()
	if len(told) > 0 {
		return told
	}
	var zones []string
	for i := range list {
		if zone := list[i].Labels[corev1.LabelTopologyZone]; zone != "" && !slices.Contains(zones, zone) {
			zones = append(zones, zone)
		}
	}
	slices.Sort(zones)
	return zones
}

// volumes fills in how many volumes nodes can have attached. Where the agent may not read that, volumes
// are not counted.
func (r *Runtime) volumes(ctx context.Context, in *nodes.Inventory) error {
	var classes storagev1.StorageClassList
	if err := r.client.List(ctx, &classes); err != nil {
		if apierrors.IsForbidden(err) {
			return nil
		}
		return r.wrap("read StorageClasses", err)
	}
	for i := range classes.Items {
		class := &classes.Items[i]
		if class.Name == r.Cell.StorageClass || r.Cell.StorageClass == "" && class.Annotations[annotationDefaultClass] == "true" {
			in.VolumeDriver = class.Provisioner
		}
	}
	var drivers storagev1.CSINodeList
	if err := r.client.List(ctx, &drivers); err != nil {
		if apierrors.IsForbidden(err) {
			return nil
		}
		return r.wrap("read CSINodes", err)
	}
	for i := range drivers.Items {
		in.CSINodes = append(in.CSINodes, &drivers.Items[i])
	}
	return nil
}

// Fitness judges whether control planes can be run in the cell, and puts what the cell needs once in place
// again: it is asked for about once a minute.
func (r *Runtime) Fitness(ctx context.Context) (*metav1.Condition, error) {
	facts := nodes.Facts{StorageClass: r.Cell.StorageClass}
	config := rest.CopyConfig(r.Config)
	config.Timeout = fitnessTimeout // discovery takes no context for it
	asker, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, r.wrap("make a discovery client", err)
	}
	version, err := asker.ServerVersion()
	if err != nil {
		facts.Away = err.Error()
		condition := nodes.Fitness(facts)
		return &condition, nil
	}
	facts.Version = version.GitVersion
	if err := r.readable(); err != nil {
		if !apierrors.IsForbidden(err) {
			return nil, err // it is not known yet
		}
		facts.Refused = append(facts.Refused, err.Error())
		condition := nodes.Fitness(facts)
		return &condition, nil
	}
	if err := r.facts(ctx, asker, &facts); err != nil {
		return nil, err
	}
	condition := nodes.Fitness(facts)
	return &condition, nil
}

func (r *Runtime) facts(ctx context.Context, asker discovery.DiscoveryInterface, facts *nodes.Facts) error {
	var list corev1.NodeList
	if err := r.cache.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		return r.wrap("read nodes", err)
	}
	facts.Zones = r.zones(list.Items)
	for i := range list.Items {
		if zone := list.Items[i].Labels[corev1.LabelTopologyZone]; zone != "" && !slices.Contains(facts.NodeZones, zone) {
			facts.NodeZones = append(facts.NodeZones, zone)
		}
	}
	var classes storagev1.StorageClassList
	if err := r.client.List(ctx, &classes); err != nil {
		facts.Refused = append(facts.Refused, "list storageclasses: "+err.Error())
	}
	for i := range classes.Items {
		class := &classes.Items[i]
		facts.StorageClasses = append(facts.StorageClasses, nodes.StorageClass{
			Name: class.Name, Default: class.Annotations[annotationDefaultClass] == "true",
			Waits: class.VolumeBindingMode != nil && *class.VolumeBindingMode == storagev1.VolumeBindingWaitForFirstConsumer,
		})
	}
	resources, err := asker.ServerResourcesForGroupVersion("v1")
	if err != nil {
		return r.wrap("ask for the API's resources", err)
	}
	facts.PodResize = slices.ContainsFunc(resources.APIResources, func(a metav1.APIResource) bool { return a.Name == "pods/resize" })
	facts.Refused = append(facts.Refused, r.refused(ctx)...)
	return nil
}

// refused are the API server's words about what the agent does for every guest, tried without effect.
func (r *Runtime) refused(ctx context.Context) []string {
	if r.lease.err() != nil {
		return nil // another agent does it
	}
	var refused []string
	if err := r.install(ctx); err != nil {
		refused = append(refused, err.Error())
	}
	d, err := newDraft(objects.Namespace(r.Cell, "fitness"))
	if err != nil {
		return append(refused, err.Error())
	}
	err = r.client.Create(ctx, d.object, owner, client.DryRunAll)
	if err != nil && !apierrors.IsAlreadyExists(err) {
		refused = append(refused, fmt.Sprintf("create %s: %v", d.key, err))
	}
	return refused
}
