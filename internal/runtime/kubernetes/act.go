package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/internal/runtime/kubernetes/objects"
	"github.com/myriad-fleet/myriad/internal/runtime/kubernetes/roll"
)

// carryOut writes what differs from the plan. What fails for one component holds up no other.
func (g *guest) carryOut(ctx context.Context, s *scope) error {
	if err := g.installed(ctx); err != nil {
		return err
	}
	if !g.owned || !s.state.exists {
		if err := g.own(ctx, g.id); err != nil {
			return err
		}
		g.owned = true
	}
	b := &build{guest: g, scope: s}
	if err := g.shared(ctx, b); err != nil {
		return err
	}
	var problems []error
	for i := range s.plan.Steps {
		v, step := &s.view.Components[i], s.plan.Steps[i]
		err := g.carryOutStep(ctx, b, v, step)
		g.memory(v.Name).failure = err
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", v.Name, err))
		}
	}
	return errors.Join(problems...)
}

// build makes the objects of a guest when the first of them is asked for: most looks need none.
type build struct {
	guest *guest
	scope *scope
	built *objects.Guest
	all   []draft
}

func (b *build) drafts() ([]draft, error) {
	if b.all != nil {
		return b.all, nil
	}
	built, err := objects.Build(b.guest.Cell, b.scope.wanted.manifest)
	if err != nil {
		return nil, err
	}
	b.built = &built
	b.all, err = b.scope.wanted.drafts(b.guest.Cell, built)
	return b.all, err
}

// workload is the draft of a component's StatefulSet or ReplicaSet.
func (b *build) workload(component string) (draft, error) {
	if _, err := b.drafts(); err != nil {
		return draft{}, err
	}
	for i := range b.built.Components {
		if c := &b.built.Components[i]; c.Name == component {
			d, _, err := workloadDraft(c)
			return d, err
		}
	}
	return draft{}, fmt.Errorf("the manifest has no %s", component)
}

// shared puts everything in place that starts nothing: the namespace's labels, Services, Secrets and so
// on.
func (g *guest) shared(ctx context.Context, b *build) error {
	namespace, err := newDraft(objects.Namespace(g.Cell, g.id))
	if err != nil {
		return err
	}
	if err := g.put(ctx, b.scope, namespace); err != nil {
		return err
	}
	same := true
	for k, hash := range b.scope.wanted.hashes {
		if !isWorkload(k) {
			same = same && g.isSettled(b.scope, k, hash)
		}
	}
	if same {
		return nil
	}
	drafts, err := b.drafts()
	if err != nil {
		return err
	}
	var problems []error
	for _, d := range drafts {
		problems = append(problems, g.put(ctx, b.scope, d))
	}
	return errors.Join(problems...)
}

func isWorkload(k key) bool { return k.kind.Group == "apps" }

const (
	// secretsEvery is how often a Secret is put in place again that nobody is known to have changed:
	// Secrets are written and never read, so that nothing tells when one is deleted.
	secretsEvery = 2 * time.Minute
	// secretsSoon is how often that is done while the component that needs it is not ready.
	secretsSoon = 5 * time.Second
)

// isSettled tells whether an object need not be applied.
func (g *guest) isSettled(s *scope, k key, hash string) bool {
	if k.kind.Kind == secretKind {
		last, known := g.written[k]
		return known && last.hash == hash && g.Clock.Since(last.at) < s.secretsAfter(k.name)
	}
	var last *written
	if w, ok := g.written[k]; ok {
		last = &w
	}
	var now *held
	if h, ok := s.state.objects[k]; ok {
		now = &h
	}
	return settled(hash, last, now)
}

// put applies a draft unless it is in place.
func (g *guest) put(ctx context.Context, s *scope, d draft) error {
	if g.isSettled(s, d.key, d.hash) {
		return nil
	}
	w, err := g.apply(ctx, d)
	if err != nil {
		delete(g.written, d.key)
		return err
	}
	g.written[d.key] = w
	return nil
}

func (g *guest) carryOutStep(ctx context.Context, b *build, v *roll.Component, step roll.Step) error {
	pod := b.scope.state.pod(v.Name)
	if pod != nil && (step.Pod == roll.Restart || step.Pod == roll.Kill || step.Act != roll.Leave && step.Replicas == 0) {
		g.memory(v.Name).ended = pod.UID
	}
	switch step.Act {
	case roll.Leave:
		return nil
	case roll.Remove:
		return g.remove(ctx, b.scope, v.Name)
	case roll.Scale:
		if err := g.scale(ctx, b.scope, v, step.Replicas); err != nil {
			return err
		}
	case roll.Put:
		if err := g.putWorkload(ctx, b, v, step.Replicas); err != nil {
			return err
		}
	}
	if pod == nil {
		return nil
	}
	switch step.Pod {
	case roll.Restart:
		return g.deletePod(ctx, pod)
	case roll.Kill:
		return g.deletePod(ctx, pod, client.GracePeriodSeconds(0))
	case roll.Fit:
		return g.resize(ctx, b.scope, v, pod)
	case roll.Keep:
	}
	return nil
}

// putWorkload makes a workload what is wanted, with so many replicas.
func (g *guest) putWorkload(ctx context.Context, b *build, v *roll.Component, replicas int32) error {
	c := b.scope.wanted.component(v.Name)
	hash := fmt.Sprintf("%s-%d", b.scope.wanted.hashes[c.workload], replicas)
	if !g.isSettled(b.scope, c.workload, hash) {
		d, err := b.workload(v.Name)
		if err != nil {
			return err
		}
		if err := d.complete(replicas, b.scope.state.workloads[v.Name]); err != nil {
			return err
		}
		d.seal(hash)
		if err := g.put(ctx, b.scope, d); err != nil {
			return err
		}
	}
	return g.grow(ctx, b.scope, c)
}

// complete puts the replicas into a workload, and the claims that it has: these can never be changed. A
// volume grows by its claim.
func (d *draft) complete(replicas int32, existing workload) error {
	if err := unstructured.SetNestedField(d.object.Object, int64(replicas), "spec", "replicas"); err != nil {
		return err
	}
	if len(existing.claims) == 0 {
		return nil
	}
	claims := make([]any, 0, len(existing.claims))
	for i := range existing.claims {
		claim, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&existing.claims[i])
		if err != nil {
			return err
		}
		claims = append(claims, claim)
	}
	return unstructured.SetNestedSlice(d.object.Object, claims, "spec", "volumeClaimTemplates")
}

// scale changes a workload's replicas and nothing else.
func (g *guest) scale(ctx context.Context, s *scope, v *roll.Component, replicas int32) error {
	w, ok := s.state.workloads[v.Name]
	if !ok || w.replicas == replicas {
		return nil
	}
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(w.kind)
	object.SetNamespace(objects.NamespaceName(g.id))
	object.SetName(w.name)
	patch := client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, replicas))
	if err := g.client.Patch(ctx, object, patch, owner); err != nil {
		return fmt.Errorf("scale %s to %d: %w", w.key, replicas, err)
	}
	g.written[w.key] = written{} // it is not as it was applied
	return nil
}

// grow asks for a larger volume where one is wanted.
func (g *guest) grow(ctx context.Context, s *scope, c *wantedComponent) error {
	claim := s.state.claims[objects.ClaimName(c.name)]
	if c.volume.IsZero() || claim == nil || claim.DeletionTimestamp != nil || claim.Status.Phase != corev1.ClaimBound {
		return nil
	}
	if has := claim.Spec.Resources.Requests[corev1.ResourceStorage]; has.Cmp(c.volume) >= 0 {
		return nil
	}
	patch := client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"spec":{"resources":{"requests":{"storage":%q}}}}`, c.volume.String()))
	if err := g.client.Patch(ctx, claim, patch, owner); err != nil {
		s.messages[c.name] = fmt.Sprintf("its volume stays at %s, and %s are wanted: %v",
			claim.Spec.Resources.Requests.Storage(), c.volume.String(), err)
	}
	return nil
}

func (g *guest) deletePod(ctx context.Context, pod *corev1.Pod, options ...client.DeleteOption) error {
	options = append(options, client.Preconditions{UID: &pod.UID})
	err := g.client.Delete(ctx, pod, options...)
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return fmt.Errorf("delete pod %s: %w", pod.Name, err)
	}
	return nil
}

// resize changes the resources of a running pod. Where the API refuses, the pod is marked: it is
// restarted in its turn.
func (g *guest) resize(ctx context.Context, s *scope, v *roll.Component, pod *corev1.Pod) error {
	c := s.wanted.component(v.Name)
	patch, err := json.Marshal(map[string]any{"spec": map[string]any{"containers": []any{
		map[string]any{"name": pod.Spec.Containers[0].Name, "resources": c.resources},
	}}})
	if err != nil {
		return fmt.Errorf("resize pod %s: %w", pod.Name, err)
	}
	err = g.client.SubResource("resize").Patch(ctx, pod.DeepCopy(), client.RawPatch(types.StrategicMergePatchType, patch), owner)
	switch {
	case err == nil:
		return nil
	case apierrors.IsNotFound(err), apierrors.IsForbidden(err), apierrors.IsInvalid(err), apierrors.IsMethodNotSupported(err), apierrors.IsBadRequest(err):
		m := g.memory(v.Name)
		m.fixed, m.fixedWhy = pod.UID, err.Error()
		g.Log.Info("a pod cannot be resized in place; it is restarted in its turn", "guest", g.id, "component", v.Name, "error", err)
		s.wakeIn(time.Millisecond)
		return nil
	}
	return fmt.Errorf("resize pod %s: %w", pod.Name, err)
}

// remove takes away what belongs to a component that was dropped from the manifest, with its data.
func (g *guest) remove(ctx context.Context, s *scope, component string) error {
	var problems []error
	for k := range s.state.objects {
		if k.name == component && (isWorkload(k) || k.kind.Kind == "Service") {
			object := metadata(k.kind)
			object.SetNamespace(objects.NamespaceName(g.id))
			object.SetName(k.name)
			problems = append(problems, g.deleteObject(ctx, object))
			delete(g.written, k)
		}
	}
	secret := metadata(corev1.SchemeGroupVersion.WithKind(secretKind))
	secret.SetNamespace(objects.NamespaceName(g.id))
	secret.SetName(component)
	problems = append(problems, g.deleteObject(ctx, secret))
	if claim := s.state.claims[objects.ClaimName(component)]; claim != nil {
		problems = append(problems, g.deleteObject(ctx, claim))
	}
	return errors.Join(problems...)
}

// deleteObject deletes what is there; what is not is no error.
func (r *Runtime) deleteObject(ctx context.Context, object client.Object, options ...client.DeleteOption) error {
	options = append(options, client.PropagationPolicy(metav1.DeletePropagationBackground))
	if err := r.client.Delete(ctx, object, options...); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("delete %s %s: %w", object.GetObjectKind().GroupVersionKind().Kind, object.GetName(), err)
	}
	return nil
}
