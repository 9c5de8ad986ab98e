package kubernetes

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/runtime/kubernetes/objects"
)

// key of an object in a guest's namespace.
type key struct {
	kind schema.GroupVersionKind
	name string
}

func (k key) String() string { return k.kind.Kind + " " + k.name }

// draft is an object to apply.
type draft struct {
	key
	object *unstructured.Unstructured
	hash   string
}

// wanted is what a manifest asks for, without the objects themselves: they are built again when one
// must be written, so that certificates and files are in memory only once.
type wanted struct {
	manifest   controlplane.Manifest
	hash       string // of the manifest
	hashes     map[key]string
	components []wantedComponent
}

type wantedComponent struct {
	name, spec, template string
	kind                 controlplane.Kind
	zone                 string
	after                []string
	stopped              bool
	resources            corev1.ResourceRequirements
	volume               resource.Quantity
	workload             key
}

// newWanted checks a manifest: whatever cannot be made into objects is refused here.
func newWanted(cell objects.Cell, m controlplane.Manifest) (*wanted, error) {
	raw, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode the manifest: %w", err)
	}
	w := &wanted{manifest: m, hash: hashOf(raw), hashes: map[key]string{}}
	guest, err := objects.Build(cell, m)
	if err != nil {
		return nil, err
	}
	all, err := w.drafts(cell, guest)
	if err != nil {
		return nil, err
	}
	for _, d := range all {
		w.hashes[d.key] = d.hash
	}
	for i := range guest.Components {
		c := &guest.Components[i]
		workload, template, err := workloadDraft(c)
		if err != nil {
			return nil, err
		}
		w.hashes[workload.key] = workload.hash
		w.components = append(w.components, wantedComponent{
			name: c.Name, spec: c.Spec, template: template, kind: c.Kind, zone: c.Zone, after: c.After,
			stopped: c.Stopped, resources: c.Resources, volume: c.VolumeSize, workload: workload.key,
		})
	}
	return w, nil
}

func (w *wanted) component(name string) *wantedComponent {
	for i := range w.components {
		if w.components[i].name == name {
			return &w.components[i]
		}
	}
	return nil
}

// drafts are the objects of a guest besides its namespace and its workloads, in the order in which to
// apply them.
func (w *wanted) drafts(cell objects.Cell, guest objects.Guest) ([]draft, error) {
	names := make([]string, 0, len(w.manifest.Components))
	for i := range w.manifest.Components {
		names = append(names, w.manifest.Components[i].Name)
	}
	services, err := objects.Services(cell, w.manifest.ID, names)
	if err != nil {
		return nil, err
	}
	var list []objects.Object
	for i, service := range services {
		// The address that the manifest was rendered with: a Service that was deleted gets it back.
		if host := w.manifest.Components[i].Host; isAddress(host) {
			service.Spec.WithClusterIP(host)
		}
		list = append(list, service)
	}
	list = append(list, guest.Shared...)
	for i := range guest.Components {
		list = append(list, guest.Components[i].Secret)
	}
	all := make([]draft, 0, len(list))
	for _, object := range list {
		d, err := newDraft(object)
		if err != nil {
			return nil, err
		}
		all = append(all, d)
	}
	return all, nil
}

func isAddress(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}

// workloadDraft is the StatefulSet or ReplicaSet of a component, and the hash of its pods' template,
// which the pods carry.
func workloadDraft(c *objects.Component) (draft, string, error) {
	var object objects.Object = c.ReplicaSet
	if c.StatefulSet != nil {
		object = c.StatefulSet
	}
	d, err := newDraft(object)
	if err != nil {
		return draft{}, "", err
	}
	template, _, err := unstructured.NestedMap(d.object.Object, "spec", "template")
	if err != nil {
		return draft{}, "", fmt.Errorf("%s: %w", d.key, err)
	}
	raw, err := json.Marshal(template)
	if err != nil {
		return draft{}, "", fmt.Errorf("%s: %w", d.key, err)
	}
	hash := hashOf(raw)
	err = unstructured.SetNestedField(d.object.Object, hash, "spec", "template", "metadata", "annotations", annotationTemplate)
	return d, hash, err
}

// newDraft makes an apply configuration one that carries its own hash.
func newDraft(object objects.Object) (draft, error) {
	raw, err := json.Marshal(object)
	if err != nil {
		return draft{}, fmt.Errorf("encode %T: %w", object, err)
	}
	u := &unstructured.Unstructured{}
	if err := json.Unmarshal(raw, &u.Object); err != nil {
		return draft{}, fmt.Errorf("encode %T: %w", object, err)
	}
	d := draft{key: key{u.GroupVersionKind(), u.GetName()}, object: u}
	d.seal(hashOf(raw))
	return d, nil
}

// seal writes the draft's hash into it.
func (d *draft) seal(hash string) {
	annotations := d.object.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[annotationApplied] = hash
	d.object.SetAnnotations(annotations)
	d.hash = hash
}

func hashOf(raw []byte) string {
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:12])
}
