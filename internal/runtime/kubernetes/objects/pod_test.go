package objects

import (
	"encoding/json"
	"testing"

	corev1 "k8s.io/api/core/v1"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"pgregory.net/rapid"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/controlplane"
)

func (c *Component) template() *applycorev1.PodTemplateSpecApplyConfiguration {
	if c.StatefulSet != nil {
		return c.StatefulSet.Spec.Template
	}
	return c.ReplicaSet.Spec.Template
}

// podOf a template, as the API server reads it.
func podOf(t interface{ Fatal(...any) }, c *Component) *corev1.PodTemplateSpec {
	raw, err := json.Marshal(c.template())
	if err != nil {
		t.Fatal(err)
	}
	var pod corev1.PodTemplateSpec
	if err := json.Unmarshal(raw, &pod); err != nil {
		t.Fatal(err)
	}
	return &pod
}

// TestRestricted asks upstream's own judge.
func TestRestricted(t *testing.T) {
	judge, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	restricted := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	guest, err := Build(testCell(), testManifest(t, v1alpha1.Zonal, nil))
	if err != nil {
		t.Fatal(err)
	}
	for i := range guest.Components {
		pod := podOf(t, &guest.Components[i])
		for _, result := range judge.EvaluatePod(restricted, &pod.ObjectMeta, &pod.Spec) {
			if !result.Allowed {
				t.Errorf("%s: %s: %s", guest.Components[i].Name, result.ForbiddenReason, result.ForbiddenDetail)
			}
		}
	}
}

// TestPods are promises about every pod, whatever its guest.
func TestPods(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		manifest := testManifest(t, rapid.SampledFrom([]v1alpha1.Availability{v1alpha1.Single, v1alpha1.Zonal}).Draw(t, "availability"),
			func(in *controlplane.Input) {
				in.Order.RenderRevision = rapid.SampledFrom(controlplane.Revisions()).Draw(t, "revision")
			})
		guest, err := Build(testCell(), manifest)
		if err != nil {
			t.Fatal(err)
		}
		for i := range guest.Components {
			checkPod(t, &guest.Components[i])
		}
	})
}

func checkPod(t *rapid.T, c *Component) {
	pod := podOf(t, c)
	container := pod.Spec.Containers[0]
	patience := func(p *corev1.Probe) int32 { return p.PeriodSeconds * p.FailureThreshold }
	for promise, kept := range map[string]bool{
		"no token":                     !*pod.Spec.AutomountServiceAccountToken,
		"no links to other Services":   !*pod.Spec.EnableServiceLinks,
		"not in the node's network":    !pod.Spec.HostNetwork,
		"read-only root":               *container.SecurityContext.ReadOnlyRootFilesystem,
		"a slow start is never killed": patience(container.StartupProbe) >= 600,
		"a start is noticed at once":   container.StartupProbe.PeriodSeconds == 1,
		"a stall is no death":          patience(container.LivenessProbe) >= 60,
		"restart hash":                 pod.Annotations[AnnotationSpec] == c.Spec,
		"bound to its zone":            pod.Spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms[0].MatchExpressions[0].Values[0] == c.Zone,
		"one kind of workload":         (c.StatefulSet == nil) != (c.ReplicaSet == nil),
		"keeps its data when stateful": (c.Kind == controlplane.Etcd) == (c.StatefulSet != nil),
		"resizes to what it asks for":  container.Resources.Requests.Cpu().Equal(*c.Resources.Requests.Cpu()),
		"a class of its own":           pod.Spec.PriorityClassName == priorityClassNames[c.Kind],
	} {
		if !kept {
			t.Errorf("%s: broken promise: %s", c.Name, promise)
		}
	}
	for _, toleration := range pod.Spec.Tolerations {
		if toleration.Effect != corev1.TaintEffectNoExecute || toleration.TolerationSeconds != nil {
			t.Errorf("%s: is evicted some time after its node fails: %v", c.Name, toleration)
		}
	}
	checkMounts(t, c, pod)
}

// checkMounts: what is mounted exists, or comes from the claim.
func checkMounts(t *rapid.T, c *Component, pod *corev1.PodTemplateSpec) {
	volumes := map[string]bool{DataVolume: c.StatefulSet != nil}
	for _, volume := range pod.Spec.Volumes {
		if volumes[volume.Name] {
			t.Errorf("%s: volume %s is given twice", c.Name, volume.Name)
		}
		volumes[volume.Name] = true
	}
	for _, mount := range pod.Spec.Containers[0].VolumeMounts {
		if !volumes[mount.Name] {
			t.Errorf("%s: mounts %s, which does not exist", c.Name, mount.Name)
		}
	}
}
