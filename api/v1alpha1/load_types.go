package v1alpha1

import (
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Load is what a guest carries, as the cell's agent sampled it. It is written at once when it changes
// enough to matter for the guest's gear, and otherwise at most every thirteen minutes.
type Load struct {
	// SampledAt is the time of the sample, at the agent.
	SampledAt metav1.Time `json:"sampledAt"`
	// Metrics that could be read.
	// +optional
	// +listType=map
	// +listMapKey=name
	Metrics []LoadMetric `json:"metrics,omitempty"`
	// Missing names the metrics that could not be read. They are unknown, not zero.
	// +optional
	// +listType=set
	Missing []LoadMetricName `json:"missing,omitempty"`
	// Objects of the resources that have the most, 10 at most, the largest first.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=10
	Objects []ResourceObjects `json:"objects,omitempty"`
	// Requests per second by verb, as kube-apiserver names them (GET, LIST, WATCH, POST, …), those with
	// the most first.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=12
	Requests []VerbRequests `json:"requests,omitempty"`
	// Usage of CPU and memory by instance.
	// +optional
	// +listType=map
	// +listMapKey=name
	Usage []ComponentUsage `json:"usage,omitempty"`
}

// LoadMetric is one number of a guest's load.
type LoadMetric struct {
	// Name of the metric.
	Name LoadMetricName `json:"name"`
	// Value in the metric's unit.
	Value resource.Quantity `json:"value"`
}

// ResourceObjects counts the objects of one resource.
type ResourceObjects struct {
	// Resource with its group, for example deployments.apps.
	Resource string `json:"resource"`
	// Count of objects.
	Count int64 `json:"count"`
}

// VerbRequests counts the requests of one verb.
type VerbRequests struct {
	// Verb, for example LIST.
	Verb string `json:"verb"`
	// PerSecond is the mean since the sample before.
	PerSecond resource.Quantity `json:"perSecond"`
}

// ComponentUsage is what one instance of a component uses.
type ComponentUsage struct {
	// Name of the instance, for example kube-apiserver-a.
	Name string `json:"name"`
	// CPU in cores, the mean since the sample before; none: not known.
	// +optional
	CPU *resource.Quantity `json:"cpu,omitempty"`
	// Memory in bytes: the resident set on the process runtime, the working set in containers.
	// +optional
	Memory *resource.Quantity `json:"memory,omitempty"`
}
