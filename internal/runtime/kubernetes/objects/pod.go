package objects

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/controlplane"
)

const (
	// userID of every container, and its group: nobody on any node (distroless images' "nonroot").
	userID = 65532
	// secretMode lets the group read that the kubelet gives the files to (fsGroup), and nobody write.
	secretMode = 0o440
	// stopMargin is how much longer than StopSeconds a pod may take to end, in seconds: the kubelet
	// counts from when it sees the deletion.
	stopMargin = 5
	// defaultStopSeconds of a component that names none: the API's own default.
	defaultStopSeconds = 30

	configVolume = "config"
	tmpVolume    = "tmp"
)

// Limits of what lies on the node's own disk; a pod that exceeds one is evicted.
var (
	// scratchSize of a component's data, which dies with the pod: API servers keep up to 300 MB of
	// audit logs (--audit-log-maxsize × (maxbackup + 1)).
	scratchSize = resource.MustParse("512Mi")
	// tmpSize: no component is known to write there.
	tmpSize = resource.MustParse("64Mi")
)

// podTemplate of a component. Editing it restarts nothing: see Spec.
func (b *builder) podTemplate(c *controlplane.Component, spec string) (*applycorev1.PodTemplateSpecApplyConfiguration, error) {
	container, err := b.container(c)
	if err != nil {
		return nil, err
	}
	pod := applycorev1.PodSpec().
		WithServiceAccountName(serviceAccountName).
		WithAutomountServiceAccountToken(false).
		WithEnableServiceLinks(false).
		WithDNSPolicy(corev1.DNSDefault). // nothing here needs the cell's names, and no path leads to its DNS
		WithHostNetwork(false).
		WithPriorityClassName(priorityClassNames[c.Kind]).
		WithTerminationGracePeriodSeconds(stopSeconds(c)).
		WithSecurityContext(podSecurity()).
		WithAffinity(inZone(c.Zone)).
		WithTolerations(stays(corev1.TaintNodeNotReady), stays(corev1.TaintNodeUnreachable)).
		WithContainers(container).
		WithVolumes(
			applycorev1.Volume().WithName(configVolume).WithSecret(
				applycorev1.SecretVolumeSource().WithSecretName(c.Name).WithDefaultMode(secretMode)),
			emptyDir(tmpVolume, tmpSize))
	if c.Kind != controlplane.Etcd {
		pod.WithVolumes(emptyDir(DataVolume, scratchSize))
	}
	return applycorev1.PodTemplateSpec().
		WithLabels(b.labels(c)).
		WithAnnotations(map[string]string{AnnotationSpec: spec}).
		WithSpec(pod), nil
}

// container is the pod's only one. Its command is written out, paths and all: what one reads in the
// pod is what runs.
func (b *builder) container(c *controlplane.Component) (*applycorev1.ContainerApplyConfiguration, error) {
	container := applycorev1.Container().
		WithName(string(c.Kind)).
		WithImage(c.Image).
		WithImagePullPolicy(corev1.PullIfNotPresent).
		WithCommand(verbatim(c.Program)).
		WithEnv(environment(c)...).
		WithResources(applyResources(c.Size)).
		WithResizePolicy(inPlace(corev1.ResourceCPU), inPlace(corev1.ResourceMemory)).
		WithSecurityContext(containerSecurity()).
		WithTerminationMessagePolicy(corev1.TerminationMessageFallbackToLogsOnError). // its last words are shown to people
		WithVolumeMounts(
			applycorev1.VolumeMount().WithName(configVolume).WithMountPath(configPath).WithReadOnly(true),
			applycorev1.VolumeMount().WithName(DataVolume).WithMountPath(dataPath),
			applycorev1.VolumeMount().WithName(tmpVolume).WithMountPath(tmpPath))
	for _, args := range [][]string{c.Args, c.FirstArgs} {
		for _, arg := range args {
			container.WithArgs(verbatim(expand.Replace(arg)))
		}
	}
	for _, p := range ports[c.Kind] {
		container.WithPorts(applycorev1.ContainerPort().
			WithName(p.name).WithContainerPort(p.number).WithProtocol(corev1.ProtocolTCP))
	}
	return container, addProbes(container, c)
}

// verbatim keeps the kubelet from expanding $(NAME) in what is already as it should be.
func verbatim(text string) string { return strings.ReplaceAll(text, "$", "$$") }

// environment of a component: as on the process runtime, where no more is given either.
func environment(c *controlplane.Component) []*applycorev1.EnvVarApplyConfiguration {
	env := []*applycorev1.EnvVarApplyConfiguration{
		applycorev1.EnvVar().WithName("HOME").WithValue(dataPath),
		applycorev1.EnvVar().WithName("TMPDIR").WithValue(tmpPath),
	}
	for _, variable := range c.Env {
		name, value, _ := strings.Cut(variable, "=")
		env = append(env, applycorev1.EnvVar().WithName(name).WithValue(verbatim(expand.Replace(value))))
	}
	return env
}

// resources of a size. What is zero is not asked for.
func resources(size v1alpha1.ComponentSize) corev1.ResourceRequirements {
	var requirements corev1.ResourceRequirements
	set := func(list *corev1.ResourceList, name corev1.ResourceName, quantity *resource.Quantity) {
		if quantity == nil || quantity.IsZero() {
			return
		}
		if *list == nil {
			*list = corev1.ResourceList{}
		}
		(*list)[name] = quantity.DeepCopy()
	}
	set(&requirements.Requests, corev1.ResourceCPU, &size.CPU)
	set(&requirements.Requests, corev1.ResourceMemory, &size.Memory)
	set(&requirements.Limits, corev1.ResourceCPU, size.CPULimit)
	set(&requirements.Limits, corev1.ResourceMemory, size.MemoryLimit)
	return requirements
}

func applyResources(size v1alpha1.ComponentSize) *applycorev1.ResourceRequirementsApplyConfiguration {
	requirements, apply := resources(size), applycorev1.ResourceRequirements()
	if requirements.Requests != nil {
		apply.WithRequests(requirements.Requests)
	}
	if requirements.Limits != nil {
		apply.WithLimits(requirements.Limits)
	}
	return apply
}

// inPlace has a resource change without a restart of the container.
func inPlace(name corev1.ResourceName) *applycorev1.ContainerResizePolicyApplyConfiguration {
	return applycorev1.ContainerResizePolicy().WithResourceName(name).WithRestartPolicy(corev1.NotRequired)
}

// stopSeconds is how long a pod may take to end before it is killed.
func stopSeconds(c *controlplane.Component) int64 {
	if c.StopSeconds <= 0 {
		return defaultStopSeconds
	}
	return int64(c.StopSeconds) + stopMargin
}

func podSecurity() *applycorev1.PodSecurityContextApplyConfiguration {
	return applycorev1.PodSecurityContext().
		WithRunAsNonRoot(true).WithRunAsUser(userID).WithRunAsGroup(userID).
		WithFSGroup(userID).WithFSGroupChangePolicy(corev1.FSGroupChangeOnRootMismatch). // a large volume is not walked at every start
		WithSeccompProfile(applycorev1.SeccompProfile().WithType(corev1.SeccompProfileTypeRuntimeDefault))
}

func containerSecurity() *applycorev1.SecurityContextApplyConfiguration {
	return applycorev1.SecurityContext().
		WithAllowPrivilegeEscalation(false).
		WithPrivileged(false).
		WithReadOnlyRootFilesystem(true).
		WithCapabilities(applycorev1.Capabilities().WithDrop("ALL"))
}

// inZone binds a pod to the nodes of its zone: it dies and lives with it.
func inZone(zone string) *applycorev1.AffinityApplyConfiguration {
	return applycorev1.Affinity().WithNodeAffinity(applycorev1.NodeAffinity().
		WithRequiredDuringSchedulingIgnoredDuringExecution(applycorev1.NodeSelector().WithNodeSelectorTerms(
			applycorev1.NodeSelectorTerm().WithMatchExpressions(applycorev1.NodeSelectorRequirement().
				WithKey(corev1.LabelTopologyZone).
				WithOperator(corev1.NodeSelectorOpIn).
				WithValues(zone)))))
}

// stays keeps a pod on a node that fails, for as long as the node is known. When the node comes back
// the pod goes on as it was; evicted, it would wait for its zone all the same, and then start anew.
func stays(taint string) *applycorev1.TolerationApplyConfiguration {
	return applycorev1.Toleration().
		WithKey(taint).
		WithOperator(corev1.TolerationOpExists).
		WithEffect(corev1.TaintEffectNoExecute)
}

func emptyDir(name string, limit resource.Quantity) *applycorev1.VolumeApplyConfiguration {
	return applycorev1.Volume().WithName(name).WithEmptyDir(applycorev1.EmptyDirVolumeSource().WithSizeLimit(limit))
}
